"""Case study 2 (section 4): unsupervised representations from the alignment of two views of each image."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lzn.base.full_precision import full_precision
from lzn.base.randomness import BatchRandom
from lzn.data import ImageArray, dequantise
from lzn.flow import Solver, alignment_loss, compute_latents
from lzn.networks import ResNetEncoder
from lzn.studies.encoding import full_batches
from lzn.studies.generation import images_of
from lzn.studies.latent_sampling import LatentSampler, anchors_of_all
from lzn.training import Anchors, Coupled, Losses, StepInParts

Augmentation = Callable[[Tensor, BatchRandom], Tensor]
"""Maps images (b, c, h, w) in [-1, 1] and random numbers to a view of each image."""

REPRESENTATIONS = ("without_head", "with_head", "with_latent", "with_latent_alpha_0")
"""The representations of D.4: backbone output, anchor, latent, and latent at the zone's centre."""


class RepresentationModel(nn.Module):
    """The image encoder."""

    def __init__(self, encoder: ResNetEncoder) -> None:
        super().__init__()
        self.encoder = encoder


def anchors_of_views(model: Any, views: Tensor) -> Tensor:
    """Return the anchors (b, q) that ``model.encoder`` computes from views (b, c, h, w)."""
    anchors: Tensor = model.encoder(views)
    return anchors


@dataclass(frozen=True)
class ViewSamples:
    """Two views of each sample, each (b, ...)."""

    first: Tensor
    second: Tensor


@dataclass(frozen=True, kw_only=True)
class RepresentationStep(StepInParts[ViewSamples]):
    """Training step: alignment, with log, of the first views' latents with the second views' anchors (algorithm 5).

    The defaults are for batches of images, and a model with the attribute ``encoder``.

    Attributes:
        augment: makes a view of each image; if a batch was loaded as two views, it is applied to each.
        latents: draws the first views' latents.
        solver: solver of the flow towards the second views' anchors.
        num_skipped_steps: ``u`` of Eq. 5.
        data: returns the data (b, ...) of a batch, or two views of it, (b, 2, c, h, w).
        encoder: maps (model, views) to anchors (b, q); called once with the views of both kinds, one after the other.
    """

    augment: Augmentation
    latents: LatentSampler
    solver: Solver
    num_skipped_steps: int
    data: Callable[[Any], Tensor] = images_of
    encoder: Callable[[Any, Tensor], Tensor] = anchors_of_views

    def prepare(self, batch: Any, random: BatchRandom) -> ViewSamples:
        """Make two views; labels are not used.

        Raises:
            ValueError: the batch was loaded with views, but not two per image.
        """
        data = self.data(batch)
        with full_precision(data.device):  # autocast would round the views
            return ViewSamples(*(self.augment(images, random) for images in _two_views(data)))

    def encode(self, model: Any, samples: ViewSamples) -> Anchors:
        """Compute the anchors of both views."""
        first, second = self.encoder(model, torch.cat([samples.first, samples.second])).chunk(2)
        return first, second

    def couple(self, model: Any, samples: ViewSamples, anchors: Anchors, random: BatchRandom) -> Coupled:
        """Align the views."""
        first, second = anchors
        latents = self.latents(first, random)
        share = random.share
        aligned = alignment_loss(
            latents,
            anchors_of_all(second, share),
            torch.arange(share.first, share.last, device=latents.device),
            solver=self.solver,
            num_skipped_steps=self.num_skipped_steps,
            log=True,
        )
        return Coupled(losses=Losses(aligned.loss, {"alignment_accuracy": aligned.accuracy}))

    def decode(self, model: Any, samples: ViewSamples, latents: Tensor | None) -> None:
        """Nothing is decoded."""


def _two_views(images: Tensor) -> Sequence[Tensor]:
    """Return the two views of loaded images (b, 2, c, h, w), or images (b, c, h, w) twice."""
    if images.ndim != 5:
        return images, images
    if images.shape[1] != 2:
        raise ValueError(f"alignment needs 2 views of each image, but {images.shape[1]} were loaded")
    return images.unbind(1)


BatchRepresentation = Callable[[Tensor, torch.Generator], Mapping[str, Tensor]]
"""Maps images (b, c, h, w) in [-1, 1] and a generator, on one device, to representations (b, d) by name."""


@dataclass(frozen=True)
class FourRepresentations:
    """The four `REPRESENTATIONS` of a batch, with latents among the anchors of the whole batch.

    Attributes:
        encoder: in evaluation mode.
        solver: solver of the latents.
        encoding_batch_size: number of images encoded at once.
    """

    encoder: ResNetEncoder
    solver: Solver
    encoding_batch_size: int

    @torch.no_grad()
    def __call__(self, images: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Compute representations (b, d); ``generator`` draws the latents' noise."""
        representation = _backbone_output(self.encoder, images, self.encoding_batch_size)
        anchors = self.encoder.head(representation)
        noise = torch.randn(anchors.shape, generator=generator, device=anchors.device)
        latents = {
            name: compute_latents(anchors, noise, alpha=alpha, solver=self.solver)
            for name, alpha in (("with_latent", 1.0), ("with_latent_alpha_0", 0.0))
        }
        return {"without_head": representation, "with_head": anchors, **latents}


@dataclass(frozen=True)
class BackboneOutput:
    """Only the representation ``without_head``, that of the paper's main result."""

    encoder: ResNetEncoder
    encoding_batch_size: int

    @torch.no_grad()
    def __call__(self, images: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Compute the representation (b, d); ``generator`` is not used."""
        return {"without_head": _backbone_output(self.encoder, images, self.encoding_batch_size)}


def _backbone_output(encoder: ResNetEncoder, images: Tensor, encoding_batch_size: int) -> Tensor:
    return torch.cat([encoder(part, with_head=False) for part in torch.split(images, encoding_batch_size)])


def represent_images(
    represent: BatchRepresentation,
    images: ImageArray,
    *,
    generator: torch.Generator,
    batch_size: int,
    device: torch.device | str = "cpu",
) -> dict[str, Tensor]:
    """Compute representations of uint8 images (n, c, h, w) by name, each (n, d), on the CPU.

    ``represent`` is called with ``batch_size`` images at a time (see `full_batches`), on ``device``, which must be the
    generator's.
    """
    parts: dict[str, list[Tensor]] = {}
    for rows, new in full_batches(len(images), batch_size):
        batch = dequantise(images[rows]).to(device)
        for name, representation in represent(batch, generator).items():
            parts.setdefault(name, []).append(representation[new].cpu())
    return {name: torch.cat(part) for name, part in parts.items()}
