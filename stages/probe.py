"""Classify representations of a run with a linear classifier: trained, controls, and snapshots of the training."""

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
from stages.runtime.families import require_study
from stages.runtime.stage_main import Hardware, StageCall


class ProbeSettings(Section):
    """What is probed of a run, and how."""

    method: ProbeMethod
    """For the trained run and the controls."""
    controls: tuple[Literal["raw_pixels", "untrained"], ...]
    """Features for comparison. Pixels of large images do not fit into memory."""
    along_training: ProbeMethod | None
    """For each snapshot of the training, without head (Figure 20); None: snapshots are not probed."""


class ProbeParams(ProbeSettings):
    """The section ``probe.<data set>``."""

    seed: Annotated[int, Field(ge=0)]
    """Together with the run's seed, it determines latents, views and the order of images."""
    batch_size: Annotated[int, Field(ge=1)]
    """Images that are encoded together; latents of fixed representations are computed among their anchors."""
    of_runs: dict[str, ProbeSettings] = Field(default_factory=dict)
    """Settings of single runs, by name; they replace those above."""

    def of(self, run: str) -> ProbeSettings:
        """Return the settings of a run."""
        return self.of_runs.get(run, self)


Probed = dict[str, dict[str, Accuracies]]


def probe(call: StageCall) -> Probed:
    """Measure the accuracies of one seed, by encoder and representation, and by snapshot."""
    trained = read_trained(call.trained_folder)
    run = require_study(call, trained, RepresentationRun, family="representing")
    where = f"probe.{run.data}"
    params: ProbeParams = call.params.section(where, ProbeParams)
    try:
        return _probe(call, trained, run, params)
    except ValueError as error:  # a batch is larger than the training set
        raise ParamsError(f"{call.params.path}: {where}: {error}") from error


def _probe(call: StageCall, trained: TrainedRun, run: RepresentationRun, params: ProbeParams) -> Probed:
    settings = params.of(call.item)
    data = _read_data(call, trained, run, params)

    def representations_of(encoder: ResNetEncoder) -> BatchRepresentation:
        return FourRepresentations(encoder.to(call.device), run.latent.solver.build(), params.batch_size)

    measured = {
        "trained": _probe_with(call, data, representations_of(trained.model.encoder), settings.method)
    }
    if "untrained" in settings.controls:
        encoder = trained.configuration.build_model().encoder
        assert isinstance(encoder, ResNetEncoder)
        measured["untrained"] = _probe_with(call, data, representations_of(encoder), settings.method)
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
            for step, encoder in _read_snapshots(call, trained)
        }
    return measured


def _read_data(
    call: StageCall, trained: TrainedRun, run: RepresentationRun, params: ProbeParams
) -> ProbedData:
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


def _read_snapshots(call: StageCall, trained: TrainedRun) -> Iterator[tuple[int, ResNetEncoder]]:
    """Yield the number of finished steps and the encoder of each snapshot; imported runs have none."""
    for file in sorted((call.trained_folder / "snapshots").glob("step_*.safetensors")):
        model = load_weights(trained.configuration.build_model(), file)
        encoder = model.encoder
        assert isinstance(encoder, ResNetEncoder)
        yield int(re.sub(r"\D", "", file.stem)), encoder


def write_curve_along_training(call: StageCall, measured: NestedQuantities) -> Mapping[str, Path]:
    """Write the top-1 accuracy of each snapshot, or only of the trained run if there are none, for DVC's plot."""
    flat = flatten_quantities(measured)
    along = {
        int(name.split(".")[1]): accuracy
        for name, accuracy in flat.items()
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
