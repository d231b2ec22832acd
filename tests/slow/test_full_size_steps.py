"""Training steps of the paper's networks at full size have finite losses and the expected gradients.

Gradients that are zero in the first step:

- ``key.bias`` of attention: adding a vector to all keys adds a constant to each query's logits, which does not change
  the softmax. The computed gradient may be a rounding error.
- The bias of the projection head's last GroupNorm: it shifts all anchors and the whole flow, so latents at t = 0 and
  assignments do not change.
- Layers of a bottleneck before its last GroupNorm, whose weight is zero until the first step.
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
from lzn.training import Compute, ImageBatches, TrainingCallbacks, TrainingSchedule, train

pytestmark = pytest.mark.slow

LATENT_DIM = 200
RF_LZN = GenerationStep(LatentSampler(solver=DPMSolver(num_steps=20)))
ALIGNMENT = RepresentationStep(
    augment=lambda images, random: images,  # views are complete when images are loaded
    latents=LatentSampler(solver=Euler(num_steps=20), alpha=0.45),
    solver=Euler(num_steps=20),
    num_skipped_steps=4,
)
BEFORE_ZERO_NORMS = (
    "*.conv_reduce.weight",
    "*.norm_reduce.*",
    "*.conv_spatial.weight",
    "*.norm_spatial.*",
    "*.conv_expand.weight",
)


@pytest.fixture(autouse=True, scope="module")
def _all_cores() -> Iterator[None]:
    """Use all cores, because the tensors are large."""
    before = torch.get_num_threads()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    yield
    torch.set_num_threads(before)


def two_images(size: int) -> ImageSet:
    """Make an image with a bright upper half and one with a bright left half, with noise."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 100, (2, 3, size, size), dtype=np.uint8)
    images[0, :, : size // 2] += 150
    images[1, :, :, : size // 2] += 150
    return ImageSet(images, np.arange(2, dtype=np.int64))


def schedule(num_steps: int = 1, **learning_rates: float) -> TrainingSchedule:
    """Return a schedule with batches of two images and without learning rate warm-up."""
    return TrainingSchedule(
        num_steps=num_steps,
        batch_size=2,
        learning_rates=learning_rates,
        warmup_steps=1,
        ema_decay=0.999999,
        random_flips=True,
        log_every=1,
    )


def rf_lzn_model(config: UNetConfig, latent_resolutions: tuple[int, ...] | None = None) -> GenerativeModel:
    torch.manual_seed(0)
    return GenerativeModel(
        VelocityUNet(config, latent_dim=LATENT_DIM),
        LatentEncoder(config, latent_dim=LATENT_DIM, latent_resolutions=latent_resolutions),
    )


def names_where(model: nn.Module, condition: Callable[[Tensor], bool]) -> set[str]:
    """Return names of parameters whose gradient fulfils the condition. All parameters must have a gradient."""
    gradients = {name: p.grad for name, p in model.named_parameters()}
    assert [name for name, gradient in gradients.items() if gradient is None] == []
    return {name for name, gradient in gradients.items() if gradient is not None and condition(gradient)}


def unexpected_zero_gradients(model: nn.Module, *expected: str) -> set[str]:
    """Return names of parameters with zero gradient that match no pattern in ``expected``. All must be finite."""
    assert names_where(model, lambda gradient: not bool(gradient.isfinite().all())) == set()
    zero = names_where(model, lambda gradient: not bool(gradient.any()))
    return {name for name in zero if not any(fnmatch(name, pattern) for pattern in expected)}


def changed_parameters(model: nn.Module, before: dict[str, Tensor]) -> set[str]:
    return {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}


def assert_a_training_step_is_sound(
    model: GenerativeModel, size: int, rates: dict[str, float], compute: Compute
) -> None:
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    one_step = schedule(**rates)
    batches = ImageBatches(data=two_images(size), schedule=one_step, seed=0)
    result = train(model, RF_LZN, batches, one_step, seed=0, compute=compute)
    assert result.num_skipped_steps == 0
    assert math.isfinite(result.curve[0].values["loss"])
    # A new network predicts about zero, so the loss is the mean of (x - eps)^2: 1 plus the mean square of the images.
    assert 1.0 < result.curve[0].values["loss"] < 2.0
    assert unexpected_zero_gradients(model, "*.key.bias") == set()
    assert changed_parameters(model, before) >= {"decoder.up.levels.0.image_head.conv.weight"}


def test_cifar10_networks_take_a_training_step() -> None:
    rates = {"decoder": 1e-3, "encoder": 2.5e-5}
    assert_a_training_step_is_sound(rf_lzn_model(PAPER_32), 32, rates, Compute())


def test_256x256_networks_take_a_training_step_with_activation_checkpointing() -> None:
    model = rf_lzn_model(PAPER_256, PAPER_256_LATENT_RESOLUTIONS)
    rates = {"decoder": 2e-4, "encoder": 2e-6}
    assert_a_training_step_is_sound(model, 256, rates, Compute(checkpoint_activations=True))


def test_all_layers_of_resnet_50_have_gradients_from_the_second_step_on() -> None:
    torch.manual_seed(0)
    model = RepresentationModel(ResNetEncoder(depth=50, head_dim=256, head_layers=2))
    zero_by_step: list[set[str]] = []

    def record_zero_gradients(finished: int) -> None:
        if finished:
            zero_by_step.append(unexpected_zero_gradients(model, "encoder.head.layers.4.bias"))

    two_steps = schedule(num_steps=2, encoder=8e-4)
    result = train(
        model,
        ALIGNMENT,
        ImageBatches(data=two_images(256), schedule=two_steps, seed=0, views=SimCLRViews()),
        two_steps,
        seed=0,
        callbacks=TrainingCallbacks(on_step=record_zero_gradients),
    )
    assert result.num_skipped_steps == 0
    assert all(math.isfinite(point.values["loss"]) for point in result.curve)
    before_zero_norms = {
        name
        for name, _ in model.named_parameters()
        if any(fnmatch(name, pattern) for pattern in BEFORE_ZERO_NORMS)
    }
    assert len(before_zero_norms) == 16 * 7  # seven in each of 16 bottlenecks
    assert zero_by_step == [before_zero_norms, set()]
