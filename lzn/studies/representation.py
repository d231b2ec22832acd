"""Case study 2 (section 4): unsupervised representations from the alignment of two views of each image."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lzn.base.full_precision import full_precision
from lzn.base.randomness import BatchRandom
from lzn.data import ImageArray, dequantise
from lzn.flow import Solver, alignment_loss, compute_latents
from lzn.networks import ResNetEncoder
from lzn.studies.encoding import full_batches
from lzn.studies.generation import LatentSampler
from lzn.training import Batch, Losses

Augmentation = Callable[[Tensor, BatchRandom], Tensor]
"""Maps images (b, c, h, w) in [-1, 1] and random numbers to a view of each image."""

REPRESENTATIONS = ("without_head", "with_head", "with_latent", "with_latent_alpha_0")
"""The representations of D.4: backbone output, anchor, latent, and latent at the zone's centre."""


class RepresentationModel(nn.Module):
    """The image encoder."""

    def __init__(self, encoder: ResNetEncoder) -> None:
        super().__init__()
        self.encoder = encoder


@dataclass(frozen=True, kw_only=True)
class RepresentationStep:
    """Training step: alignment, with log, of the first views' latents with the second views' anchors (algorithm 5).

    Attributes:
        augment: makes a view of each image; if a batch was loaded as two views, it is applied to each.
        latents: draws the first views' latents.
        solver: solver of the flow towards the second views' anchors.
        num_skipped_steps: ``u`` of Eq. 5.
    """

    augment: Augmentation
    latents: LatentSampler
    solver: Solver
    num_skipped_steps: int

    def __call__(self, model: RepresentationModel, batch: Batch, random: BatchRandom) -> Losses:
        """Compute the alignment loss of two views of one batch; labels are not used.

        Raises:
            ValueError: the batch was loaded with views, but not two per image.
        """
        with full_precision(batch.images.device):  # autocast would round the views
            views = [self.augment(images, random) for images in _two_views(batch.images)]
        anchors, anchors_view2 = model.encoder(torch.cat(views)).chunk(2)
        latents = self.latents(anchors, random)
        if batch.share.processes.count > 1:
            anchors_view2 = batch.share.gather(anchors_view2.double())
        targets = torch.arange(batch.share.first, batch.share.last, device=latents.device)
        aligned = alignment_loss(
            latents,
            anchors_view2,
            targets,
            solver=self.solver,
            num_skipped_steps=self.num_skipped_steps,
            log=True,
        )
        return Losses(aligned.loss, {"alignment_accuracy": aligned.accuracy})


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
