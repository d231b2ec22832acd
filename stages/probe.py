"""Read classes from a run's representations with a linear classifier, beside controls, and along the training."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from lzn.base.files import load_weights
from lzn.base.sections import ParamsError, Section
from lzn.data.prepared import read_split
from lzn.networks import ResNetEncoder
from lzn.runs.configuration import RepresentationRun
from lzn.runs.trained import TrainedRun, read_configuration, read_trained
from lzn.studies import BackboneOutput, BatchRepresentation, FourRepresentations
from stages.measuring.plot_rows import mean_and_std, write_plot_rows
from stages.measuring.quantity import NestedQuantities, flatten_quantities
from stages.measuring.seed_statistics import run_measuring_stage, trained_seeds
from stages.probing.methods import Accuracies, AdamWProbe, ProbedData, ProbeMethod
from stages.runtime.stage_main import Hardware, StageCall


class ProbeSettings(Section):
    """What is probed, and how."""

    method: ProbeMethod
    """Of the trained run and of the controls."""
    controls: tuple[Literal["raw_pixels", "untrained"], ...]
    """What the representations are compared with; pixels of large images do not fit into memory."""
    along_training: ProbeMethod | None
    """How each snapshot of the training is probed, without head (Figure 20); None: not at all."""


class ProbeParams(ProbeSettings):
    """How representations of a data set are made and probed."""

    seed: Annotated[int, Field(ge=0)]
    """With the run's seed it decides latents, views and the order of images."""
    batch_size: Annotated[int, Field(ge=1)]
    """Images that are encoded at once; fixed latents are computed among their anchors."""
    of_runs: dict[str, ProbeSettings] = Field(default_factory=dict)
    """Runs that are probed otherwise, by name."""

    def of(self, run: str) -> ProbeSettings:
        """What is probed of this run."""
        return self.of_runs.get(run, self)


Probed = dict[str, dict[str, Accuracies]]


def probe(call: StageCall) -> Probed:
    """Accuracies of one seed: by encoder and representation, and by snapshot."""
    trained = read_trained(call.trained_folder)
    if not isinstance(trained.run, RepresentationRun):
        raise ParamsError(
            f"{call.params.path}: run {call.item} is not of the study 'representation': take it out of "
            "families.representing"
        )
    where = f"probe.{trained.run.data}"
    params: ProbeParams = call.params.section(where, ProbeParams)
    try:
        return _probe(call, trained, trained.run, params)
    except ValueError as error:  # batches that are larger than the training set
        raise ParamsError(f"{call.params.path}: {where}: {error}") from error


def _probe(call: StageCall, trained: TrainedRun, run: RepresentationRun, params: ProbeParams) -> Probed:
    settings = params.of(call.item)
    data = _data(call, trained, run, params)

    def representations(encoder: ResNetEncoder) -> BatchRepresentation:
        return FourRepresentations(encoder.to(call.device), run.latent.solver.build(), params.batch_size)

    measured = {"trained": _probe_with(call, data, representations(trained.model.encoder), settings.method)}
    if "untrained" in settings.controls:
        untrained = trained.configuration.build_model()
        encoder = untrained.encoder
        assert isinstance(encoder, ResNetEncoder)
        measured["untrained"] = _probe_with(call, data, representations(encoder), settings.method)
    if "raw_pixels" in settings.controls:
        measured["raw_pixels"] = _probe_with(call, data, _pixels, settings.method)
    if settings.along_training is not None:
        measured["along_training"] = {
            str(step): _probe_with(
                call,
                data,
                BackboneOutput(encoder.to(call.device), params.batch_size),
                settings.along_training,
            )["without_head"]
            for step, encoder in _snapshots(call, trained)
        }
    return measured


def _data(call: StageCall, trained: TrainedRun, run: RepresentationRun, params: ProbeParams) -> ProbedData:
    folder = call.outputs.folder("prepare", run.data)
    hardware: Hardware = call.params.section("hardware", Hardware)
    return ProbedData(
        run,
        train=read_split(folder, "train"),
        test=read_split(folder, "test"),
        num_classes=trained.configuration.num_classes,
        batch_size=params.batch_size,
        seed=params.seed,
        num_workers=hardware.num_workers,
        device=call.device,
    )


def _probe_with(
    call: StageCall, data: ProbedData, represent: BatchRepresentation, method: ProbeMethod
) -> dict[str, Accuracies]:
    if not isinstance(method, AdamWProbe):
        return data.probe(represent, method)
    with call.progress(total=method.num_epochs, unit="epoch") as bar:
        return data.probe(represent, method, on_epoch=lambda epoch: bar.update(1))


def _pixels(images: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
    return {"pixels": images.flatten(1)}


def _snapshots(call: StageCall, trained: TrainedRun) -> Iterator[tuple[int, ResNetEncoder]]:
    """Encoders by number of finished steps; imported runs have none."""
    for file in sorted((call.trained_folder / "snapshots").glob("step_*.safetensors")):
        model = load_weights(trained.configuration.build_model(), file)
        encoder = model.encoder
        assert isinstance(encoder, ResNetEncoder)
        yield int(re.sub(r"\D", "", file.stem)), encoder


def write_curve_along_training(call: StageCall, measured: NestedQuantities) -> Mapping[str, Path]:
    """For DVC's plot: top-1 accuracy of each snapshot; of a run that is not probed along its training, of its end."""
    flat = flatten_quantities(measured)
    along = {
        int(name.split(".")[1]): found
        for name, found in flat.items()
        if name.startswith("along_training.") and name.endswith(".top1")
    }
    if not along:
        first = call.outputs.seed_folder("train", call.item, trained_seeds(call)[0])
        along = {read_configuration(first).run.training.num_steps: flat["trained.without_head.top1"]}
    rows = [[step, *mean_and_std(along[step])] for step in sorted(along)]
    write_plot_rows(call.outputs.plot("probe", f"{call.item}.csv"), ["step", "top1", "std"], rows)
    return {}


if __name__ == "__main__":
    run_measuring_stage("probe", probe, extras=write_curve_along_training)
