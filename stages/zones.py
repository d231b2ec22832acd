"""Measure how many latents keep their zones, in minibatches and in a bank of the training set; classify in both."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated

from pydantic import Field
from torch import Tensor

from lzn.base.randomness import generator_for
from lzn.base.sections import ParamsError, Section
from lzn.data import dequantise, random_subset
from lzn.data.prepared import read_split
from lzn.flow import AnchorBank
from lzn.metrics import accuracy
from lzn.runs.configuration import JointRun
from lzn.runs.solvers import SolverParams
from lzn.runs.trained import TrainedRun, read_trained
from lzn.studies import (
    LABEL_SOLVER,
    CentresInBank,
    CentresInBatch,
    ZoneProtocol,
    bank_zone_stability,
    batch_zone_stability,
    classify_images,
    encode_images,
)
from stages.measuring.quantity import Nested
from stages.measuring.seed_statistics import run_measuring_stage
from stages.runtime.stage_main import StageCall


class StabilityParams(Section):
    """How many latents are asked whether they stay; all are drawn from whole zones, at alpha = 1."""

    seed: Annotated[int, Field(ge=0)]
    latent_solver: SolverParams
    """From the anchors to the latents."""
    zone_solver: SolverParams
    """From the latents to the anchors, which decides the zone. Both must be finer than training needs them."""
    num_pairs: Annotated[int, Field(ge=2)]
    """Pairs of batches, of the run's training batch size, that share one sample."""
    samples_per_pair: Annotated[int, Field(ge=1)]
    """Samples that are, one after the other, the one that is shared."""
    bank_samples: Annotated[int, Field(ge=2)]
    """Training images whose latents are drawn among the whole training set's anchors."""

    @property
    def protocol(self) -> ZoneProtocol:
        """How latents are drawn and their zones found."""
        return ZoneProtocol(latent_solver=self.latent_solver.build(), zone_solver=self.zone_solver.build())


class ZoneClassificationParams(Section):
    """How test images are classified; latents are computed with the run's own solver, as in the stage classify."""

    batch_size: Annotated[int, Field(ge=1)]


class ZonesParams(Section):
    """What is asked about the zones of the runs on a data set."""

    encoding_batch_size: Annotated[int, Field(ge=1)]
    """Training images encoded at once."""
    stability: StabilityParams
    classification: ZoneClassificationParams | None = None
    """For runs of case study 3; may be left out where there are none."""


def measure_zones(call: StageCall) -> Nested:
    """The shares of latents that stay in their zones; for a run with labels, accuracies in batch and bank."""
    trained = read_trained(call.trained_folder)
    if trained.run.latent is None:
        raise ParamsError(
            f"{call.params.path}: run {call.item} has no encoder: take it out of families.encoding"
        )
    data_name = trained.run.data
    params: ZonesParams = call.params.section(f"zones.{data_name}", ZonesParams)
    images = read_split(call.outputs.folder("prepare", data_name), "train").images
    encoder = trained.model.to(call.device).encoder
    anchors = encode_images(encoder, images, batch_size=params.encoding_batch_size, device=call.device)
    bank = AnchorBank(anchors)
    batch_size = trained.run.training.batch_size
    measured: dict[str, Mapping[str, float]] = {
        "num_anchors": {"batch": batch_size, "bank": bank.num_anchors}
    }
    try:
        measured |= _stability(
            params.stability, anchors, bank, batch_size=batch_size, run_seed=trained.run.seed
        )
    except ValueError as error:  # more samples or larger batches than there are images
        raise ParamsError(f"{call.params.path}: zones.{data_name}.stability: {error}") from error
    if isinstance(trained.run, JointRun) and params.classification is not None:
        measured["accuracy"] = _accuracies(params.classification, trained, trained.run, bank, call)
    return measured


def _stability(
    params: StabilityParams, anchors: Tensor, bank: AnchorBank, *, batch_size: int, run_seed: int
) -> dict[str, Mapping[str, float]]:
    """Shares that stay where the batch is redrawn, where it is the same, and in the bank."""
    batches = batch_zone_stability(
        anchors,
        params.protocol,
        batch_size=batch_size,
        num_pairs=params.num_pairs,
        samples_per_pair=params.samples_per_pair,
        generator=generator_for(params.seed, "zones of batches", run_seed, device=anchors.device),
    )
    chosen = random_subset(len(anchors), params.bank_samples, seed=params.seed).to(anchors.device)
    of_bank = bank_zone_stability(
        bank,
        anchors[chosen],
        params.protocol,
        generator=generator_for(params.seed, "zones of the bank", run_seed, device=anchors.device),
    )
    return {
        "redrawn_batch": asdict(batches.redrawn),
        "same_batch": asdict(batches.same),
        "bank": asdict(of_bank),
    }


def _accuracies(
    params: ZoneClassificationParams, trained: TrainedRun, run: JointRun, bank: AnchorBank, call: StageCall
) -> dict[str, float]:
    """Test accuracy from latents in batches of test images, and from latents in the bank."""
    test = read_split(call.outputs.folder("prepare", run.data), "test")
    images = dequantise(test.images[:]).to(call.device)
    solver, encoder = run.latent.solver.build(), trained.model.encoder
    measured = {}
    for name, latents_of in (
        ("batch", CentresInBatch(encoder, solver)),
        ("bank", CentresInBank(encoder, bank, solver)),
    ):
        predicted = classify_images(
            images,
            latents_of,
            trained.model.label_anchors.points,
            label_solver=LABEL_SOLVER,
            batch_size=params.batch_size,
        )
        measured[name] = accuracy(predicted.cpu().numpy(), test.labels)
    return measured


if __name__ == "__main__":
    run_measuring_stage("zones", measure_zones)
