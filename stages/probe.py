"""Read classes from the four representations of a run with a linear classifier, beside controls."""

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from lzn.data import ImageSet, dequantise
from lzn.metrics import linear_probe
from lzn.randomness import generator_for
from lzn.studies import RepresentationModel, represent_images
from stages.dataset_files import read_split, write_json
from stages.entry import StageCall, run_stage
from stages.params import ParamsError, Section, load_section
from stages.runs import RepresentationRun
from stages.tracking import Tracker
from stages.trained import read_trained

Representations = dict[str, NDArray[np.float32]]


class ProbeParams(Section):
    """How representations of a data set are made and probed."""

    batch_size: Annotated[int, Field(ge=1)]
    """Latents are computed among the anchors of this many images."""
    max_iterations: Annotated[int, Field(ge=1)]
    seed: Annotated[int, Field(ge=0)]
    controls: tuple[Literal["raw_pixels", "untrained"], ...]
    """What the representations are compared with; pixels of large images do not fit into memory."""


def probe(call: StageCall) -> None:
    """Write accuracies of the trained and the untrained encoder's representations and of pixels."""
    trained = read_trained(call.workspace.folder("train", call.item))
    if not isinstance(trained.run, RepresentationRun):
        raise ParamsError(
            f"{call.params_file}: run {call.item} is not of the study 'representation': take it out of "
            "families.representing"
        )
    data_name = trained.run.data
    params: ProbeParams = load_section(call.params_file, f"probe.{data_name}", ProbeParams)
    data_folder = call.workspace.folder("prepare", data_name)
    splits = [read_split(data_folder, split) for split in ("train", "test")]
    candidates = {}
    if "raw_pixels" in params.controls:
        candidates["raw_pixels"] = [{"pixels": _pixels(split)} for split in splits]
    if "untrained" in params.controls:
        untrained = trained.configuration.build_model()
        candidates["untrained"] = [
            _represent(untrained, trained.run, split, params, call) for split in splits
        ]
    candidates["trained"] = [_represent(trained.model, trained.run, split, params, call) for split in splits]
    measured = {
        owner: {name: _probe(train[name], test[name], splits, params) for name in train}
        for owner, (train, test) in candidates.items()
    }
    write_json(call.workspace.metrics("probe", call.item), measured)
    with Tracker.join(trained.configuration.identity, tags={}) as tracker:
        tracker.log_summary(
            {
                f"probe.{owner}.{name}.{metric}": value
                for owner, results in measured.items()
                for name, result in results.items()
                for metric, value in result.items()
            }
        )
    for owner, results in measured.items():
        print(f"{owner}: " + ", ".join(f"{name} {result['top1']:.4f}" for name, result in results.items()))


def _pixels(split: ImageSet) -> NDArray[np.float32]:
    pixels: NDArray[np.float32] = dequantise(split.images[:]).flatten(1).numpy()
    return pixels


def _represent(
    model: object, run: RepresentationRun, split: ImageSet, params: ProbeParams, call: StageCall
) -> Representations:
    assert isinstance(model, RepresentationModel)
    representations = represent_images(
        model.encoder.to(call.device),
        split.images,
        solver=run.latent.solver.build(),
        generator=generator_for(params.seed, "probe", device=call.device),
        batch_size=params.batch_size,
        device=call.device,
    )
    return {name: tensor.cpu().numpy() for name, tensor in representations.items()}


def _probe(
    train: NDArray[np.float32], test: NDArray[np.float32], splits: list[ImageSet], params: ProbeParams
) -> dict[str, float]:
    result = linear_probe(
        train, splits[0].labels, test, splits[1].labels, max_iterations=params.max_iterations
    )
    return {"top1": result.top1, **({} if result.top5 is None else {"top5": result.top5})}


if __name__ == "__main__":
    run_stage("probe", probe, of_a_run=True)
