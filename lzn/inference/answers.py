"""What a run says of given images: labels and representations.

Images are answered one at a time, so that an answer is the same, to the last bit, whatever else is asked together.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lzn.base.randomness import generator_for
from lzn.data import dequantise
from lzn.inference.abilities import Ability
from lzn.inference.loaded_run import LABEL_SOLVER, LoadedRun
from lzn.inference.sampling import OnProgress
from lzn.studies import REPRESENTATIONS, decode_labels

Answer = TypeVar("Answer")
Images = NDArray[np.uint8]
"""(n, c, h, w), of the run's shape."""

EMBEDDINGS = ("anchor", "latent", "latent_alpha_0")
"""What the image encoders of case studies 1 and 3 say of an image: its anchor, a draw from its zone, its centre."""
NUM_ZONE_DRAWS = 64


@dataclass(frozen=True)
class Classification:
    """Labels of n images, and how their zones lie.

    Attributes:
        labels: the class in whose zone the centre of each image's zone lies (n,), int64 (algorithm 9).
        shares: how much of each image's zone lies in each class's zone (n, c): of `NUM_ZONE_DRAWS` draws at alpha = 1,
            the share that decodes to the class. Rows sum to 1. Another class than the label may have the largest: the
            centre of a zone need not lie where most of it does.
    """

    labels: NDArray[np.int64]
    shares: NDArray[np.float64]


@torch.no_grad()
def classify(run: LoadedRun, images: Images, *, on_progress: OnProgress = lambda _: None) -> Classification:
    """Classify images (section 5); zones are computed with the run's reference anchors.

    Raises:
        UnableError: the run has no label anchors.
    """
    run.facts.require(Ability.CLASSIFY)
    anchors_of_labels = run.trained.model.label_anchors.points
    generator = generator_for(0, "zone shares")
    noise = torch.randn(NUM_ZONE_DRAWS, anchors_of_labels.shape[1], generator=generator)
    alone = torch.cat([torch.zeros_like(noise[:1]), noise]).to(run.device)

    def ask(_: int, image: Tensor) -> Tensor:
        anchors = run.trained.model.encoder(image).expand(len(alone), -1)
        latents = run.latents(anchors, alone, alpha=1.0)  # without noise, the centre
        return decode_labels(latents, anchors_of_labels, solver=LABEL_SOLVER).cpu()

    answers = torch.stack(_one_by_one(run, images, ask, on_progress))
    classes = torch.arange(run.facts.num_classes)
    shares = (answers[:, 1:, None] == classes).double().mean(dim=1)
    return Classification(answers[:, 0].numpy(), shares.numpy())


@torch.no_grad()
def embed(
    run: LoadedRun, images: Images, *, seed: int = 0, on_progress: OnProgress = lambda _: None
) -> dict[str, NDArray[np.float32]]:
    """Representations of images by name, each (n, d): see `embeddings_of`.

    Latents are drawn with noise that depends on the seed and the image alone.

    Raises:
        UnableError: the run has no image encoder.
    """
    run.facts.require(Ability.EMBED)
    names = embeddings_of(run.facts.study)

    def ask(_: int, image: Tensor) -> list[Tensor]:
        encoder = run.trained.model.encoder
        if run.facts.study == "representation":
            backbone = encoder(image, with_head=False)
            return [backbone, *_anchor_and_latents(run, encoder.head(backbone), image, seed)]
        return _anchor_and_latents(run, encoder(image), image, seed)

    answers = _one_by_one(run, images, ask, on_progress)
    return {
        name: torch.cat([answer[position] for answer in answers]).float().cpu().numpy()
        for position, name in enumerate(names)
    }


def embeddings_of(study: str) -> tuple[str, ...]:
    """Names of a study's representations: D.4's four for representation runs, otherwise `EMBEDDINGS`."""
    return REPRESENTATIONS if study == "representation" else EMBEDDINGS


def _anchor_and_latents(run: LoadedRun, anchor: Tensor, image: Tensor, seed: int) -> list[Tensor]:
    """The anchor (1, q), a draw from its zone, and the zone's centre."""
    noise = _noise_for(image, seed, anchor.shape[1])
    return [anchor, run.latents(anchor, noise, alpha=1.0), run.latents(anchor, noise, alpha=0.0)]


def _noise_for(image: Tensor, seed: int, dim: int) -> Tensor:
    """Standard normal (1, q), on the image's device, that depends on the seed and the image's content alone."""
    content = hashlib.blake2b(image.cpu().numpy().tobytes(), digest_size=16).hexdigest()
    return torch.randn(1, dim, generator=generator_for(seed, "zone", content)).to(image.device)


def _one_by_one(
    run: LoadedRun, images: Images, ask: Callable[[int, Tensor], Answer], on_progress: OnProgress
) -> list[Answer]:
    """``ask`` with each image's index and the image (1, c, h, w) in [-1, 1]."""
    answers = []
    for index, image in enumerate(images):
        answers.append(ask(index, dequantise(image[None]).to(run.device)))
        on_progress(1)
    return answers
