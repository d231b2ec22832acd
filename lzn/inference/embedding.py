"""Representations of images (section 4, D.4)."""

import hashlib

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lzn.base.randomness import generator_for
from lzn.inference.abilities import Ability
from lzn.inference.images import Images
from lzn.inference.loaded_run import LoadedRun, OnProgress
from lzn.studies import REPRESENTATIONS

EMBEDDINGS = ("anchor", "latent", "latent_alpha_0")
"""Representations of case studies 1 and 3: the anchor, a latent drawn from its zone, and the centre of its zone."""


@torch.no_grad()
def embed(
    run: LoadedRun, images: Images, *, seed: int = 0, on_progress: OnProgress = lambda _: None
) -> dict[str, NDArray[np.float32]]:
    """Compute all representations of images, each (n, d), by the names of `embeddings_of`.

    The noise of a latent depends only on the seed and on the image.

    Raises:
        UnsupportedAbilityError: the run has no image encoder.
    """
    run.facts.require(Ability.EMBED)

    def representations(image: Tensor) -> list[Tensor]:
        encoder = run.trained.model.encoder
        if run.facts.study == "representation":
            backbone = encoder(image, with_head=False)
            return [backbone, *_anchor_and_latents(run, encoder.head(backbone), image, seed)]
        return _anchor_and_latents(run, encoder(image), image, seed)

    rows = run.map_images(representations, images, on_progress)
    return {
        name: torch.cat([row[position] for row in rows]).float().cpu().numpy()
        for position, name in enumerate(embeddings_of(run.facts.study))
    }


def embeddings_of(study: str) -> tuple[str, ...]:
    """Return the names of a study's representations: D.4's four for ``representation``, otherwise `EMBEDDINGS`."""
    return REPRESENTATIONS if study == "representation" else EMBEDDINGS


def _anchor_and_latents(run: LoadedRun, anchor: Tensor, image: Tensor, seed: int) -> list[Tensor]:
    """Return the anchor (1, q), a latent drawn from its zone, and the centre of its zone."""
    noise = _noise_for(image, seed, anchor.shape[1])
    return [anchor, run.latents(anchor, noise, alpha=1.0), run.latents(anchor, noise, alpha=0.0)]


def _noise_for(image: Tensor, seed: int, dim: int) -> Tensor:
    """Draw standard normal noise (1, q) that depends only on the seed and on the image's pixels."""
    content = hashlib.blake2b(image.cpu().numpy().tobytes(), digest_size=16).hexdigest()
    return torch.randn(1, dim, generator=generator_for(seed, "zone", content)).to(image.device)
