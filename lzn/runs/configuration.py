"""The ``runs`` section of params.yaml: the configuration of a training run, one type per case study."""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from typing import Annotated, Any, Literal, Self

import torch
from pydantic import Field, field_validator, model_validator
from torch import nn

from lzn.base.randomness import derive_seed, seeded_global_generator
from lzn.base.sections import Section
from lzn.data import SampleViews
from lzn.flow import LabelAnchors
from lzn.networks import LatentEncoder, ResNetEncoder, UNetConfig, VelocityUNet
from lzn.runs.augmentations import AugmentationParams
from lzn.runs.solvers import SolverParams
from lzn.studies import (
    GenerationStep,
    GenerativeModel,
    JointModel,
    JointStep,
    LabelAlignment,
    LatentSampler,
    RepresentationModel,
    RepresentationStep,
    velocity_from_latents,
    velocity_from_latents_and_classes,
)
from lzn.training import Compute, TrainingSchedule, TrainingStep
from lzn.training.optimisation import part_names


class LatentParams(Section):
    """The latent space of a run, and the sampling of latents in training."""

    dim: Annotated[int, Field(ge=1)]
    solver: SolverParams
    alpha: Annotated[float, Field(ge=0, le=1)]

    def build(self) -> LatentSampler:
        """Return the sampler of latents for the training step."""
        return LatentSampler(solver=self.solver.build(), alpha=self.alpha)


class LatentBlockParams(Section):
    """The latent blocks of the U-Net image encoder (C.2)."""

    channels: Annotated[int, Field(ge=1)]
    units: Annotated[int, Field(ge=1)]
    resolutions: tuple[int, ...] | None = None


class AlignmentParams(Section):
    """The flow of latent alignment: its solver, and the number of first steps that are skipped (Eq. 2)."""

    solver: SolverParams
    num_skipped_steps: Annotated[int, Field(ge=0)]

    @model_validator(mode="after")
    def _leaves_a_step(self) -> "AlignmentParams":
        if self.num_skipped_steps >= self.solver.num_steps:
            raise ValueError(f"num_skipped_steps must be below solver.num_steps, {self.solver.num_steps}")
        return self


class ResNetParams(Section):
    """Parameters of `lzn.networks.ResNetEncoder`."""

    depth: Literal[14, 26, 50]
    base_channels: Annotated[int, Field(ge=1)]
    stem: Literal["imagenet", "small"]
    image_channels: Annotated[int, Field(ge=1)]
    head_layers: Annotated[int, Field(ge=1)]


class Run(Section, ABC):
    """Settings of every run."""

    data: str
    """Key of the data set in the section ``data``."""
    seeds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] = (0,)
    """The run is trained once per seed. Results are means and deviations over seeds."""
    training: TrainingSchedule
    compute: Compute = Compute()

    @abstractmethod
    def build_model(self, num_classes: int) -> nn.Module:
        """Return the model with its initial weights."""

    @abstractmethod
    def build_step(self) -> TrainingStep[Any]:
        """Return the training step."""

    def build_views(self) -> SampleViews | None:
        """Return the views that loading processes make of each training image; None for the image itself."""
        return None

    @model_validator(mode="after")
    def _can_be_built(self) -> Self:
        """Build model and step on the meta device, so that their checks find errors before a training starts."""
        with torch.device("meta"):
            model = self.build_model(num_classes=2)
        self.build_step()
        parts = part_names(model)
        if parts != sorted(self.training.learning_rates):
            raise ValueError(
                f"training.learning_rates must name the model's parts {', '.join(parts)}, "
                f"got {', '.join(sorted(self.training.learning_rates))}"
            )
        return self

    @field_validator("seeds")
    @classmethod
    def _are_different(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds):
            raise ValueError(f"seeds must be different, got {', '.join(map(str, seeds))}")
        return seeds

    def of_seed(self, seed: int) -> Self:
        """Return the run with one of its seeds: the configuration of one training.

        Raises:
            ValueError: the run does not have this seed.
        """
        if seed not in self.seeds:
            raise ValueError(f"the run has no seed {seed}; its seeds are {', '.join(map(str, self.seeds))}")
        return self.model_copy(update={"seeds": (seed,)})

    def shaping_values(self) -> dict[str, object]:
        """Return plain values of all settings that change the parameters of a step, with one seed.

        Others, such as the number of steps, reports and the use of memory, may change along a training.
        """
        return {
            **self.model_dump(mode="json", exclude={"seeds", "training", "compute"}),
            "seed": self.seed,
            "training": self.training.shaping_values(),
            "compute": self.compute.shaping_values(),
        }

    @property
    def seed(self) -> int:
        """The only seed, or the first of several."""
        return self.seeds[0]

    def seeded_initial_weights(self) -> AbstractContextManager[None]:
        """Seed the global generator inside the block, so that initial weights depend only on the run's seed."""
        return seeded_global_generator(derive_seed(self.seed, "initial weights"), torch.get_default_device())


class GenerationRun(Run):
    """Case study 1: RF (without ``latent``) or RF+LZN; and conditional RF, the baseline of case study 3."""

    study: Literal["generation"]
    unet: UNetConfig
    conditional: bool
    latent: LatentParams | None
    latent_blocks: LatentBlockParams | None = None

    def build_model(self, num_classes: int) -> GenerativeModel:
        """Return the model with its initial weights.

        Raises:
            ValueError: only one of ``latent`` and ``latent_blocks`` is given.
        """
        if (self.latent is None) != (self.latent_blocks is None):
            raise ValueError("latent and latent_blocks go together: give both (RF+LZN) or neither (RF)")
        with self.seeded_initial_weights():
            decoder = VelocityUNet(
                self.unet,
                latent_dim=0 if self.latent is None else self.latent.dim,
                num_classes=num_classes if self.conditional else 0,
            )
            if self.latent is None or self.latent_blocks is None:
                return GenerativeModel(decoder)
            return GenerativeModel(decoder, _build_encoder(self.unet, self.latent, self.latent_blocks))

    def build_step(self) -> TrainingStep[GenerativeModel]:
        """Return the training step."""
        return GenerationStep(
            None if self.latent is None else self.latent.build(),
            velocity=velocity_from_latents_and_classes if self.conditional else velocity_from_latents,
        )


class RepresentationRun(Run):
    """Case study 2."""

    study: Literal["representation"]
    encoder: ResNetParams
    latent: LatentParams
    alignment: AlignmentParams
    augmentation: AugmentationParams

    def build_model(self, num_classes: int) -> RepresentationModel:
        """Return the model with its initial weights; it does not depend on the number of classes."""
        with self.seeded_initial_weights():
            return RepresentationModel(ResNetEncoder(head_dim=self.latent.dim, **self.encoder.model_dump()))

    def build_views(self) -> SampleViews | None:
        """Return the views, or only their crops, that loading processes make."""
        return self.augmentation.build_on_load()

    def build_step(self) -> TrainingStep[RepresentationModel]:
        """Return the training step."""
        return RepresentationStep(
            augment=self.augmentation.build_on_device(),
            latents=self.latent.build(),
            solver=self.alignment.solver.build(),
            num_skipped_steps=self.alignment.num_skipped_steps,
        )


class JointRun(Run):
    """Case study 3. Without ``generate`` there is no decoder and no rectified flow loss ("no gen")."""

    study: Literal["joint"]
    generate: bool
    unet: UNetConfig
    latent: LatentParams
    latent_blocks: LatentBlockParams
    alignment: AlignmentParams
    alignment_weight: Annotated[float, Field(gt=0)] = 1.0

    def build_model(self, num_classes: int) -> JointModel:
        """Return the model with its initial weights."""
        with self.seeded_initial_weights():
            encoder = _build_encoder(self.unet, self.latent, self.latent_blocks)
            label_anchors = LabelAnchors(num_classes, self.latent.dim)
            decoder = (
                VelocityUNet(self.unet, latent_dim=self.latent.dim, num_classes=num_classes)
                if self.generate
                else None
            )
            return JointModel(encoder, label_anchors, decoder)

    def build_step(self) -> TrainingStep[JointModel]:
        """Return the training step."""
        return JointStep(
            latents=self.latent.build(),
            alignment=LabelAlignment(
                solver=self.alignment.solver.build(),
                num_skipped_steps=self.alignment.num_skipped_steps,
                weight=self.alignment_weight,
            ),
            velocity=velocity_from_latents_and_classes if self.generate else None,
        )


AnyRun = Annotated[GenerationRun | RepresentationRun | JointRun, Field(discriminator="study")]


def _build_encoder(unet: UNetConfig, latent: LatentParams, blocks: LatentBlockParams) -> LatentEncoder:
    return LatentEncoder(
        unet,
        latent_dim=latent.dim,
        block_channels=blocks.channels,
        block_units=blocks.units,
        latent_resolutions=blocks.resolutions,
    )


def count_parameters(model: nn.Module) -> int:
    """Return the number of trainable parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
