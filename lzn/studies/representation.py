"""Case study 2 (section 4): unsupervised representations by aligning the zones of two views of each image."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lzn.base.randomness import BatchRandom
from lzn.data import ImageArray, dequantise
from lzn.flow import Solver, alignment_objective, compute_latents, flow_to_anchors, nearest_anchor
from lzn.networks import ResNetEncoder
from lzn.studies.generation import LatentDraw
from lzn.training import Batch, Losses

Augmentation = Callable[[Tensor, BatchRandom], Tensor]

REPRESENTATIONS = ("without_head", "with_head", "with_latent", "with_latent_alpha_0")
"""The four representations of D.4: backbone output, anchor, latent, latent at the zone's centre."""


class RepresentationModel(nn.Module):
    """One image encoder."""

    def __init__(self, encoder: ResNetEncoder) -> None:
        super().__init__()
        self.encoder = encoder


@dataclass(frozen=True, kw_only=True)
class RepresentationStep:
    """Minus the alignment, with logarithm, of the first views' latents with the second views' anchors (algorithm 5).

    Attributes:
        augment: makes a view; of a batch whose two views were made as it was loaded, it completes each.
        latents: how the first views' latents are drawn.
        solver: of the flow towards the second views' anchors.
        num_skipped_steps: ``u`` of Eq. 5.
    """

    augment: Augmentation
    latents: LatentDraw
    solver: Solver
    num_skipped_steps: int

    def __call__(self, model: RepresentationModel, batch: Batch, random: BatchRandom) -> Losses:
        """The alignment loss on two views of one batch; labels are not used.

        Raises:
            ValueError: the images were loaded with another number of views than two.
        """
        with torch.autocast(batch.images.device.type, enabled=False):  # views are data: they are not rounded
            views = [self.augment(images, random) for images in _two_of_each(batch.images)]
        anchors, anchors_view2 = model.encoder(torch.cat(views)).chunk(2)
        latents = self.latents(anchors, random)
        if batch.share.processes.count > 1:
            anchors_view2 = batch.share.gather(anchors_view2.double())
        targets = torch.arange(batch.share.first, batch.share.last, device=latents.device)
        arrival = flow_to_anchors(latents, anchors_view2, targets=targets, solver=self.solver)
        assert arrival.target_log_probability is not None
        loss = alignment_objective(
            arrival.target_log_probability, num_skipped_steps=self.num_skipped_steps, log=True
        )
        arrived = nearest_anchor(arrival.points.detach(), anchors_view2.detach()) == targets
        return Losses(loss, {"alignment_accuracy": arrived.float().mean()})


def _two_of_each(images: Tensor) -> Sequence[Tensor]:
    """The two loaded views of each image (b, 2, c, h, w), or the images themselves (b, c, h, w) twice."""
    if images.ndim != 5:
        return images, images
    if images.shape[1] != 2:
        raise ValueError(f"alignment takes two views of each image, loaded were {images.shape[1]}")
    return images.unbind(1)


BatchRepresentation = Callable[[Tensor, torch.Generator], Mapping[str, Tensor]]
"""From images (b, c, h, w) in [-1, 1] and a generator, both on one device, to representations (b, d) by name."""


@dataclass(frozen=True)
class FourRepresentations:
    """The four `REPRESENTATIONS` of a batch; latents are computed among the anchors of the whole batch.

    Attributes:
        encoder: in evaluation mode.
        solver: of the latents.
        encoding_batch_size: images that are encoded at once.
    """

    encoder: ResNetEncoder
    solver: Solver
    encoding_batch_size: int

    @torch.no_grad()
    def __call__(self, images: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Each (b, d); ``generator`` is for the latents' noise."""
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
    """The representation ``without_head`` alone, which the paper's main result has."""

    encoder: ResNetEncoder
    encoding_batch_size: int

    @torch.no_grad()
    def __call__(self, images: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """(b, d); nothing is drawn."""
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
    """Representations of uint8 images (n, c, h, w) by name, each (n, d), on the CPU.

    ``represent`` gets ``batch_size`` images at a time, on ``device`` like ``generator``. The last batch is made full
    with the images before it, so that no latent zone is wider for want of neighbours.
    """
    parts: dict[str, list[Tensor]] = {}
    for start in range(0, len(images), batch_size):
        stop = min(start + batch_size, len(images))
        batch = dequantise(images[max(0, stop - batch_size) : stop]).to(device)
        for name, represented in represent(batch, generator).items():
            parts.setdefault(name, []).append(represented[start - stop :].cpu())
    return {name: torch.cat(part) for name, part in parts.items()}
