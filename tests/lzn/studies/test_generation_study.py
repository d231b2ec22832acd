"""Case study 1 and the conditional baseline: the loss equals its formula, and the inputs of each model."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from lzn_testing.models.tiny_models import (
    LATENT_DIM,
    NUM_CLASSES,
    random_batch,
    tiny_decoder,
    tiny_generative,
    tiny_joint,
)
from lzn_testing.oracles.literal_flow import latents as literal_latents
from lzn_testing.random_numbers import batch_random_for, seeded
from torch import Tensor, nn

from lzn.flow import DPMSolver, Euler
from lzn.rectified_flow.ode import EulerSampler
from lzn.rectified_flow.path import T_MIN
from lzn.studies import (
    GenerationStep,
    GenerativeModel,
    JointStep,
    LabelAlignment,
    LatentSampler,
    generate,
    velocity_from_latents,
    velocity_from_latents_and_classes,
)
from lzn.studies.generation import one_hot_for, velocity_of

SAMPLER = LatentSampler(solver=DPMSolver(num_steps=6, g=1e-3))
BATCH = random_batch()


def step_of(model: GenerativeModel) -> GenerationStep:
    velocity = velocity_from_latents_and_classes if model.decoder.num_classes else velocity_from_latents
    return GenerationStep(None if model.encoder is None else SAMPLER, velocity=velocity)


@dataclass(frozen=True)
class StepNoise:
    """The random numbers of a step, in the order in which a step draws them."""

    noise: Tensor
    t: Tensor
    latent_noise: Tensor

    @staticmethod
    def of(seed: int) -> "StepNoise":
        generator = seeded(seed)
        noise = torch.randn(BATCH.images.shape, generator=generator)
        t = T_MIN + (1 - T_MIN) * torch.rand(len(BATCH.images), generator=generator)
        return StepNoise(noise, t, torch.randn(len(BATCH.images), LATENT_DIM, generator=generator))


def literal_loss(model: GenerativeModel, seed: int) -> float:
    """Compute the mean over images and pixels of (v - (x - eps))^2, image by image."""
    random = StepNoise.of(seed)
    latents = [None] * len(BATCH.images)
    if model.encoder is not None:
        anchors = model.encoder(BATCH.images).double()
        computed = literal_latents(anchors, random.latent_noise.double(), SAMPLER.solver).float()
        latents = [computed[i : i + 1] for i in range(len(computed))]
    total = 0.0
    for i, (x, label) in enumerate(zip(BATCH.images, BATCH.labels, strict=True)):
        eps, t = random.noise[i], random.t[i]
        one_hot = None
        if model.decoder.num_classes:
            one_hot = torch.eye(NUM_CLASSES)[label : label + 1]
        v = model.decoder(((1 - t) * eps + t * x)[None], t[None], latents[i], one_hot)[0]
        total += (v - (x - eps)).double().square().sum().item()
    return total / BATCH.images.numel()


@pytest.mark.parametrize("latents", [False, True])
@pytest.mark.parametrize("num_classes", [0, NUM_CLASSES])
def test_the_loss_equals_the_formula(latents: bool, num_classes: int) -> None:
    model = tiny_generative(latents=latents, num_classes=num_classes)
    losses = step_of(model)(model, BATCH, batch_random_for(6, 7))
    # Float32 networks, and float32 latents with errors of 1e-6.
    assert losses.total.item() == pytest.approx(literal_loss(model, 7), rel=1e-5)
    assert not losses.metrics


def decoder_inputs(model: Any, step: Callable[..., Any]) -> tuple[Any, ...]:
    calls: list[tuple[Any, ...]] = []
    model.decoder.register_forward_pre_hook(lambda _, inputs: calls.append(inputs))
    step(model, BATCH, batch_random_for(6, 7))
    return calls[0]


def test_rf_and_rf_lzn_and_the_joint_model_have_the_same_noise_and_times() -> None:
    plain, with_latents = tiny_generative(latents=False), tiny_generative(latents=True)
    joint_step = JointStep(
        latents=SAMPLER, alignment=LabelAlignment(solver=Euler(num_steps=5), num_skipped_steps=1)
    )
    inputs = [
        decoder_inputs(plain, step_of(plain)),
        decoder_inputs(with_latents, step_of(with_latents)),
        decoder_inputs(tiny_joint(), joint_step),
    ]
    for x_t, t, *_ in inputs[1:]:
        assert torch.equal(x_t, inputs[0][0])
        assert torch.equal(t, inputs[0][1])
    assert [latent is None for _, _, latent, *_ in inputs] == [True, False, False]
    assert torch.equal(inputs[1][2], inputs[2][2])


def test_gradients_reach_decoder_and_encoder() -> None:
    model = tiny_generative(latents=True)
    step_of(model)(model, BATCH, batch_random_for(6)).total.backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_the_loss_depends_on_the_seed_only() -> None:
    model = tiny_generative(latents=True)
    losses = [step_of(model)(model, BATCH, batch_random_for(6, seed)).total.item() for seed in (0, 0, 1)]
    assert losses[0] == losses[1] != losses[2]


def test_latents_at_zone_centres_do_not_depend_on_random_numbers() -> None:
    anchors = torch.randn(5, LATENT_DIM, generator=seeded())
    at_centre = SAMPLER.with_alpha(0.0)
    assert torch.equal(at_centre(anchors, batch_random_for(5, 1)), at_centre(anchors, batch_random_for(5, 2)))
    assert not torch.equal(SAMPLER(anchors, batch_random_for(5, 1)), SAMPLER(anchors, batch_random_for(5, 2)))
    assert (at_centre.solver, SAMPLER.alpha) == (SAMPLER.solver, 1.0)


@pytest.mark.parametrize("alpha", [0.45, 1.0])
def test_sampled_latents_equal_the_formula_with_alpha(alpha: float) -> None:
    anchors = torch.randn(5, LATENT_DIM, generator=seeded())
    noise = torch.randn(5, LATENT_DIM, generator=seeded(1))
    expected = literal_latents(anchors.double(), noise.double(), SAMPLER.solver, alpha=alpha)
    # The project's tolerance for float32 latents.
    torch.testing.assert_close(
        SAMPLER.with_alpha(alpha)(anchors, batch_random_for(5, 1)), expected.float(), rtol=1e-4, atol=1e-5
    )


def test_the_class_condition_is_one_hot_or_none_for_unconditional_decoders() -> None:
    conditional, unconditional = tiny_decoder(num_classes=NUM_CLASSES), tiny_decoder()
    one_hot = one_hot_for(conditional, torch.tensor([2, 0]))
    assert one_hot is not None
    assert one_hot.dtype == torch.float32
    assert one_hot.tolist() == [[0, 0, 1], [1, 0, 0]]
    assert one_hot_for(unconditional, torch.tensor([2, 0])) is None
    with pytest.raises(ValueError, match="conditioned on the class: give labels"):
        one_hot_for(conditional, None)


class ConstantVelocity(nn.Module):
    """Velocity: the first number of the latent, plus ten times the class; constant in x and t."""

    num_classes = NUM_CLASSES

    def forward(self, x: Tensor, t: Tensor, latent: Tensor, one_hot: Tensor) -> Tensor:
        classes = one_hot @ torch.arange(NUM_CLASSES, dtype=torch.float32)
        return (latent[:, 0] + 10 * classes)[:, None, None, None].expand_as(x)


def test_each_image_depends_on_its_own_noise_latent_and_label() -> None:
    noise, latents = torch.randn(7, 1, 8, 8, generator=seeded()), torch.randn(7, 2, generator=seeded(1))
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 0])
    velocity = velocity_of(ConstantVelocity(), latents, labels)  # type: ignore[arg-type]
    images = generate(velocity, noise, sampler=EulerSampler(num_steps=3))
    expected = noise + (1 - T_MIN) * (latents[:, 0] + 10 * labels)[:, None, None, None]
    # Three float32 steps with numbers of about 20.
    torch.testing.assert_close(images, expected, rtol=0, atol=1e-5)


def test_unconditional_images_are_euler_steps_from_noise_without_gradient() -> None:
    decoder = tiny_decoder().eval()
    noise = torch.randn(3, 1, 8, 8, generator=seeded())
    sampler = EulerSampler(num_steps=4)
    images = generate(velocity_of(decoder, None, None), noise, sampler=sampler)
    assert not images.requires_grad
    expected = noise
    h = (1 - T_MIN) / 4
    with torch.no_grad():
        for k in range(4):
            expected = expected + h * decoder(expected, torch.full((3,), T_MIN + k * h))
    # Four float32 steps with numbers below 10.
    torch.testing.assert_close(images, expected, rtol=0, atol=1e-5)
