"""The paper's networks at full size take real training steps: finite losses, and gradients wherever there should be.

Gradients that are rightly zero at first:

- ``key.bias`` of attention: adding one vector to all keys moves each query's logits together, which a softmax
  does not see. What is found is rounding.
- the bias of the projection head's last GroupNorm: it shifts all anchors, and with them the flow; neither latents at
  t = 0 nor assignments change.
- what lies in a bottleneck of the ResNet before its last GroupNorm, whose weight is zero until the first step.
"""

import math
import os
from collections.abc import Callable, Iterator
from fnmatch import fnmatch

import numpy as np
import pytest
import torch
from lzn_testing.models.unet_settings import PAPER_32, PAPER_256, PAPER_256_LATENT_RESOLUTIONS
from torch import Tensor, nn

from lzn.data import ImageSet, SimCLRViews
from lzn.flow import DPMSolver, Euler
from lzn.networks import LatentEncoder, ResNetEncoder, UNetConfig, VelocityUNet
from lzn.studies import (
    GenerationStep,
    GenerativeModel,
    LatentSampler,
    RepresentationModel,
    RepresentationStep,
)
from lzn.training import Compute, TrainingCallbacks, TrainingSchedule, train

pytestmark = pytest.mark.slow

LATENT_DIM = 200
RF_LZN = GenerationStep(LatentSampler(solver=DPMSolver(num_steps=20)))
ALIGNMENT = RepresentationStep(
    augment=lambda images, draws: images,  # views are made whole as images are loaded
    latents=LatentSampler(solver=Euler(num_steps=20), alpha=0.45),
    solver=Euler(num_steps=20),
    num_skipped_steps=4,
)
BEHIND_ZERO_NORMS = ("*.conv_reduce.weight", "*.norm_reduce.*", "*.conv_spatial.weight", "*.norm_spatial.*")
BEHIND_ZERO_NORMS += ("*.conv_expand.weight",)


@pytest.fixture(autouse=True, scope="module")
def _all_cores() -> Iterator[None]:
    """Unlike all other tests' tensors, these are large."""
    before = torch.get_num_threads()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    yield
    torch.set_num_threads(before)


def two_images(size: int) -> ImageSet:
    """One bright at its top, one at its left, with noise."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 100, (2, 3, size, size), dtype=np.uint8)
    images[0, :, : size // 2] += 150
    images[1, :, :, : size // 2] += 150
    return ImageSet(images, np.arange(2, dtype=np.int64))


def schedule(num_steps: int = 1, **learning_rates: float) -> TrainingSchedule:
    """Steps of two images at full learning rates."""
    return TrainingSchedule(
        num_steps=num_steps,
        batch_size=2,
        learning_rates=learning_rates,
        warmup_steps=1,
        ema_decay=0.999999,
        random_flips=True,
        log_every=1,
    )


def generative_pair(config: UNetConfig, latent_resolutions: tuple[int, ...] | None = None) -> GenerativeModel:
    torch.manual_seed(0)
    return GenerativeModel(
        VelocityUNet(config, latent_dim=LATENT_DIM),
        LatentEncoder(config, latent_dim=LATENT_DIM, latent_resolutions=latent_resolutions),
    )


def names_where(model: nn.Module, condition: Callable[[Tensor], bool]) -> set[str]:
    """Names of the parameters whose gradient meets the condition; all must have one."""
    gradients = {name: p.grad for name, p in model.named_parameters()}
    assert [name for name, gradient in gradients.items() if gradient is None] == []
    return {name for name, gradient in gradients.items() if gradient is not None and condition(gradient)}


def zero_gradients(model: nn.Module, *rightly_zero: str) -> set[str]:
    """Names of the parameters without a gradient, but for those that match a pattern in ``rightly_zero``."""
    assert names_where(model, lambda gradient: not bool(gradient.isfinite().all())) == set()
    zero = names_where(model, lambda gradient: not bool(gradient.any()))
    return {name for name in zero if not any(fnmatch(name, pattern) for pattern in rightly_zero)}


def weights_that_moved(model: nn.Module, before: dict[str, Tensor]) -> set[str]:
    return {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}


def assert_the_pair_steps(
    model: GenerativeModel, size: int, rates: dict[str, float], compute: Compute
) -> None:
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    result = train(model, RF_LZN, two_images(size), schedule(**rates), seed=0, compute=compute)
    assert result.num_skipped_steps == 0
    assert math.isfinite(result.curve[0].values["loss"])
    # The network starts out near zero: what is left is the mean square of x - eps, 1 and that of the images.
    assert 1.0 < result.curve[0].values["loss"] < 2.0
    assert zero_gradients(model, "*.key.bias") == set()
    assert weights_that_moved(model, before) >= {"decoder.up.levels.0.image_head.conv.weight"}


def test_the_cifar10_pair_steps() -> None:
    rates = {"decoder": 1e-3, "encoder": 2.5e-5}
    assert_the_pair_steps(generative_pair(PAPER_32), 32, rates, Compute())


def test_the_256_pair_steps_with_its_activations_checkpointed() -> None:
    model = generative_pair(PAPER_256, PAPER_256_LATENT_RESOLUTIONS)
    rates = {"decoder": 2e-4, "encoder": 2e-6}
    assert_the_pair_steps(model, 256, rates, Compute(checkpoint_activations=True))


def test_resnet_50_steps_on_two_views_and_from_the_second_step_on_as_a_whole() -> None:
    torch.manual_seed(0)
    model = RepresentationModel(ResNetEncoder(depth=50, head_dim=256, head_layers=2))
    zero: list[set[str]] = []

    def look(finished: int) -> None:
        if finished:
            zero.append(zero_gradients(model, "encoder.head.layers.4.bias"))

    result = train(
        model,
        ALIGNMENT,
        two_images(256),
        schedule(num_steps=2, encoder=8e-4),
        seed=0,
        views=SimCLRViews(),
        callbacks=TrainingCallbacks(on_step=look),
    )
    assert result.num_skipped_steps == 0
    assert all(math.isfinite(point.values["loss"]) for point in result.curve)
    behind = {
        name
        for name, _ in model.named_parameters()
        if any(fnmatch(name, pattern) for pattern in BEHIND_ZERO_NORMS)
    }
    assert len(behind) == 16 * 7  # each bottleneck's
    assert zero == [behind, set()]
