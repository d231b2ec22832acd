"""Measure the share of latents that stay in their zones, and test accuracy: in minibatches and in an anchor bank."""

from dataclasses import asdict
from typing import Annotated

from pydantic import Field
from torch import Tensor

from lzn.base.randomness import generator_for
from lzn.base.sections import ParamsError, Section
from lzn.data import random_subset
from lzn.data.prepared import read_split
from lzn.flow import AnchorBank
from lzn.runs.configuration import JointRun
from lzn.runs.solvers import SolverParams
from lzn.runs.trained import read_trained
from lzn.studies import (
    CentresInBank,
    CentresInBatch,
    ZoneProtocol,
    bank_zone_stability,
    batch_zone_stability,
    encode_images,
)
from stages.measuring.classification import ClassifiedImages
from stages.measuring.quantity import Nested
from stages.measuring.resumable_numbers import resumable_numbers
from stages.measuring.seed_statistics import run_measuring_stage
from stages.runtime.families import wrong_family
from stages.runtime.stage_main import StageCall


class StabilityParams(Section):
    """How the stability of zones is measured, with latents at alpha = 1."""

    seed: Annotated[int, Field(ge=0)]
    latent_solver: SolverParams
    """Solver of the flow from anchors to latents."""
    zone_solver: SolverParams
    """Solver of the flow from latents to anchors, which determines the zone. Both must be finer than in training."""
    num_pairs: Annotated[int, Field(ge=2)]
    """Pairs of batches of the training batch size that have one sample in common."""
    samples_per_pair: Annotated[int, Field(ge=1)]
    """Number of samples that are used, one after the other, as the common one."""
    bank_samples: Annotated[int, Field(ge=2)]
    """Training images whose latents are drawn among the anchors of the whole training set."""

    @property
    def protocol(self) -> ZoneProtocol:
        """The protocol with both solvers."""
        return ZoneProtocol(latent_solver=self.latent_solver.build(), zone_solver=self.zone_solver.build())


class ZoneClassificationParams(Section):
    """How test images are classified; the solver of latents is that of the run, as in the stage ``classify``."""

    batch_size: Annotated[int, Field(ge=1)]


class ZonesParams(Section):
    """The section ``zones.<data set>``."""

    encoding_batch_size: Annotated[int, Field(ge=1)]
    """Training images that are encoded together."""
    stability: StabilityParams
    classification: ZoneClassificationParams | None = None
    """For runs of case study 3; None: no accuracy is measured."""


def measure_zones(call: StageCall) -> Nested:
    """Measure the shares of latents of one seed that stay in their zones, and accuracies for case study 3."""
    trained = read_trained(call.trained_folder)
    if trained.run.latent is None:
        raise wrong_family(call, "encoding", "has no encoder")
    data_name = trained.run.data
    params: ZonesParams = call.params.section(f"zones.{data_name}", ZonesParams)
    images = read_split(call.outputs.folder("prepare", data_name), "train").images
    encoder = trained.model.to(call.device).encoder
    anchors = encode_images(encoder, images, batch_size=params.encoding_batch_size, device=call.device)
    bank = AnchorBank(anchors)
    batch_size, seed = trained.run.training.batch_size, trained.run.seed
    measured: dict[str, float | Nested] = {"num_anchors": {"batch": batch_size, "bank": bank.num_anchors}}
    stability = params.stability
    with resumable_numbers(call, "zones", params, trained) as finished:
        try:
            measured |= finished.numbers(
                "batches", lambda: _in_batches(stability, anchors, batch_size=batch_size, run_seed=seed)
            )
            measured["bank"] = finished.numbers(
                "bank", lambda: _in_bank(stability, bank, anchors, run_seed=seed)
            )
        except ValueError as error:  # more samples, or a larger batch, than there are images
            raise ParamsError(f"{call.params.path}: zones.{data_name}.stability: {error}") from error
        if isinstance(trained.run, JointRun) and params.classification is not None:
            test, solver = ClassifiedImages.of(call, trained), trained.run.latent.solver.build()
            in_batch, in_bank = CentresInBatch(encoder, solver), CentresInBank(encoder, bank, solver)
            size = params.classification.batch_size
            measured["accuracy"] = {
                "batch": finished.number("accuracy_batch", lambda: test.accuracy(in_batch, batch_size=size)),
                "bank": finished.number("accuracy_bank", lambda: test.accuracy(in_bank, batch_size=size)),
            }
    return measured


def _in_batches(params: StabilityParams, anchors: Tensor, *, batch_size: int, run_seed: int) -> Nested:
    """Measure the shares of latents that stay when the batch is redrawn, and in the same batch."""
    batches = batch_zone_stability(
        anchors,
        params.protocol,
        batch_size=batch_size,
        num_pairs=params.num_pairs,
        samples_per_pair=params.samples_per_pair,
        generator=generator_for(params.seed, "zones of batches", run_seed, device=anchors.device),
    )
    return {"redrawn_batch": asdict(batches.redrawn), "same_batch": asdict(batches.same)}


def _in_bank(params: StabilityParams, bank: AnchorBank, anchors: Tensor, *, run_seed: int) -> Nested:
    """Measure the share of latents that stay in the bank."""
    chosen = random_subset(len(anchors), params.bank_samples, seed=params.seed).to(anchors.device)
    of_bank = bank_zone_stability(
        bank,
        chosen,
        params.protocol,
        generator=generator_for(params.seed, "zones of the bank", run_seed, device=anchors.device),
    )
    return asdict(of_bank)


if __name__ == "__main__":
    run_measuring_stage("zones", measure_zones)
