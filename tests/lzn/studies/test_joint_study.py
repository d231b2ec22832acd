"""Case study 3: both losses equal their formulas, their gradients, and classification."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from lzn_testing.models.tiny_models import LATENT_DIM, NUM_CLASSES, random_batch, tiny_generative, tiny_joint
from lzn_testing.oracles.literal_flow import alignment, latents, solve
from lzn_testing.random_numbers import batch_random_for, seeded
from torch import Tensor, nn

from lzn.flow import (
    AnchorBank,
    DPMSolver,
    Euler,
    alignment_loss,
    compute_latents,
    decode_labels,
    draw_label_latents,
)
from lzn.studies import (
    CentresInBank,
    CentresInBatch,
    GenerationStep,
    JointModel,
    JointStep,
    LabelAlignment,
    LatentSampler,
    LatentsInBatch,
    classify_images,
    velocity_from_latents_and_classes,
)

BATCH = random_batch()
SAMPLER = LatentSampler(solver=DPMSolver(num_steps=6, g=1e-3))
ALIGNMENT = LabelAlignment(solver=Euler(num_steps=10), num_skipped_steps=2)
STEP = JointStep(latents=SAMPLER, alignment=ALIGNMENT)
NO_GEN = replace(STEP, velocity=None)


def latents_of_step(model: JointModel, seed: int) -> Tensor:
    """Compute, in float64, the latents of a step with this seed; image noise and times are drawn before them."""
    generator = seeded(seed)
    torch.randn(BATCH.images.shape, generator=generator)
    torch.rand(len(BATCH.images), generator=generator)
    noise = torch.randn(len(BATCH.images), LATENT_DIM, generator=generator)
    return latents(model.encoder(BATCH.images).double(), noise.double(), SAMPLER.solver)


def test_the_alignment_equals_the_formula_with_class_frequencies_as_weights() -> None:
    model = tiny_joint()
    metrics = STEP(model, BATCH, batch_random_for(6, 5)).metrics
    frequencies = torch.tensor([1 / 6, 1 / 6, 4 / 6])  # labels 0, 2, 2, 1, 2, 2
    flow = solve(
        latents_of_step(model, 5),
        model.label_anchors.points.double(),
        frequencies,
        ALIGNMENT.solver,
        towards_anchors=True,
    )
    expected = alignment(flow.log_probability, BATCH.labels, num_skipped_steps=2, log=False)
    # The project's tolerance for float32 flows.
    assert metrics["alignment"].item() == pytest.approx(expected.item(), rel=1e-4)
    nearest = torch.cdist(flow.points, model.label_anchors.points.double()).argmin(dim=1)
    assert metrics["alignment_accuracy"].item() == pytest.approx(
        (nearest == BATCH.labels).double().mean().item()
    )


def test_uniform_weights_give_another_alignment() -> None:
    model = tiny_joint()
    uniform = alignment_loss(
        latents_of_step(model, 5).float(),
        model.label_anchors.points,
        BATCH.labels,
        solver=ALIGNMENT.solver,
        num_skipped_steps=2,
        log=False,
    ).loss
    assert abs(STEP(model, BATCH, batch_random_for(6, 5)).metrics["alignment"].item() - uniform.item()) > 1e-2


def test_the_rectified_flow_loss_equals_that_of_case_study_1_with_labels() -> None:
    joint, generative = tiny_joint(), tiny_generative(latents=True, num_classes=NUM_CLASSES)
    assert joint.decoder is not None
    generative.decoder.load_state_dict(joint.decoder.state_dict())
    losses = STEP(joint, BATCH, batch_random_for(6, 5))
    generation = GenerationStep(SAMPLER, velocity=velocity_from_latents_and_classes)
    alone = generation(generative, BATCH, batch_random_for(6, 5)).total
    assert torch.equal(losses.metrics["rectified_flow"], alone.detach())


@pytest.mark.parametrize("weight", [1.0, 0.25])
def test_the_loss_is_the_weighted_sum_of_both_losses(weight: float) -> None:
    losses = replace(STEP, alignment=replace(ALIGNMENT, weight=weight))(
        tiny_joint(), BATCH, batch_random_for(6, 5)
    )
    metrics = losses.metrics
    expected = weight * metrics["alignment"].item() + metrics["rectified_flow"].item()
    assert losses.total.item() == pytest.approx(expected, rel=1e-6)
    assert not any(value.requires_grad for value in metrics.values())


def test_without_a_decoder_the_loss_is_the_alignment() -> None:
    with_decoder = STEP(tiny_joint(), BATCH, batch_random_for(6, 5))
    without = NO_GEN(tiny_joint(generate=False), BATCH, batch_random_for(6, 5))
    assert without.metrics.keys() == {"alignment", "alignment_accuracy"}
    assert torch.equal(without.total.detach(), with_decoder.metrics["alignment"])


def test_gradients_reach_encoder_label_anchors_and_decoder() -> None:
    model = tiny_joint()
    STEP(model, BATCH, batch_random_for(6, 5)).total.backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_without_a_decoder_gradients_reach_encoder_and_label_anchors() -> None:
    model = tiny_joint(generate=False)
    NO_GEN(model, BATCH, batch_random_for(6, 5)).total.backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_the_gradient_of_the_label_anchors_comes_only_from_the_alignment() -> None:
    """The decoder's inputs are latents of image zones, which do not depend on label anchors."""
    full, without = tiny_joint(), tiny_joint(generate=False)
    STEP(full, BATCH, batch_random_for(6, 5)).total.backward()
    NO_GEN(without, BATCH, batch_random_for(6, 5)).total.backward()
    assert full.label_anchors.points.grad is not None
    assert without.label_anchors.points.grad is not None
    torch.testing.assert_close(full.label_anchors.points.grad, without.label_anchors.points.grad)


def test_a_batch_without_one_of_the_classes_has_finite_loss_and_gradients() -> None:
    model = tiny_joint()
    losses = STEP(model, random_batch((0, 0, 1, 1)), batch_random_for(4, 5))
    losses.total.backward()
    assert bool(losses.total.isfinite())
    assert all(bool(p.grad.isfinite().all()) for p in model.parameters() if p.grad is not None)


class AnchorOfBrightness(nn.Module):
    """An encoder that maps an image whose pixels are all ``label / 10`` to the anchor of ``label``."""

    def __init__(self, anchors: Tensor) -> None:
        super().__init__()
        self.anchors = anchors

    def forward(self, images: Tensor) -> Tensor:
        return self.anchors[(images[:, 0, 0, 0] * 10).round().long()]


# Without filling, the last batch of 199 would have one image.
@pytest.mark.parametrize("batch_size", [30, 199, 200, 1000])
@pytest.mark.parametrize("scale", [1.0, 5.0])
def test_an_encoder_with_the_label_anchors_classifies_all_images_correctly(
    batch_size: int, scale: float
) -> None:
    anchors = scale * torch.randn(10, 16, generator=seeded())
    labels = torch.arange(10).repeat(20)[torch.randperm(200, generator=seeded(1))]
    images = (labels / 10)[:, None, None, None].expand(-1, 1, 8, 8)
    encoder: Any = AnchorOfBrightness(anchors)
    solver = DPMSolver(num_steps=20)
    for latents_of in (CentresInBatch(encoder, solver), CentresInBank(encoder, AnchorBank(anchors), solver)):
        predicted = classify_images(
            images, latents_of, anchors, label_solver=Euler(num_steps=100), batch_size=batch_size
        )
        assert torch.equal(predicted, labels)


@torch.no_grad()
def test_latents_in_a_bank_do_not_depend_on_the_other_images() -> None:
    """They equal latents among the bank's anchors and the image's own. Latents in a batch depend on the batch."""
    encoder, solver = tiny_joint().encoder, DPMSolver(num_steps=20)
    bank_anchors = torch.randn(50, LATENT_DIM, generator=seeded())
    centres = CentresInBank(encoder, AnchorBank(bank_anchors), solver)
    together = centres(BATCH.images)
    for image, latent in zip(BATCH.images.split(1), together, strict=True):
        anchor = encoder(image)
        keys = torch.cat([bank_anchors, anchor])
        expected = compute_latents(
            keys, torch.zeros_like(anchor), rows=slice(-1, None), alpha=0.0, solver=solver
        )
        # Float32 encoders in batches of one and of six: measured 2e-6.
        torch.testing.assert_close(latent, expected[0], rtol=1e-4, atol=1e-4)
    in_batch = CentresInBatch(encoder, solver)
    assert (in_batch(BATCH.images)[:2] - in_batch(BATCH.images[:2])).abs().max() > 0.05


@torch.no_grad()
def test_latents_in_a_batch_use_alpha_and_the_generator() -> None:
    encoder, solver = tiny_joint().encoder, DPMSolver(num_steps=20)
    centres = CentresInBatch(encoder, solver)(BATCH.images)
    assert torch.equal(LatentsInBatch(encoder, solver, 0.0, seeded())(BATCH.images), centres)
    drawn = LatentsInBatch(encoder, solver, 0.7, seeded(3))(BATCH.images)
    noise = torch.randn(len(BATCH.images), LATENT_DIM, generator=seeded(3))
    assert torch.equal(drawn, compute_latents(encoder(BATCH.images), noise, alpha=0.7, solver=solver))


def test_accuracy_decreases_with_alpha() -> None:
    """As in Figure 25. Anchors of images are scattered around the class's anchor, so zones of classes overlap."""
    anchors = torch.randn(10, 16, generator=seeded())
    labels = torch.arange(10).repeat(20)
    scattered = anchors[labels] + 0.8 * torch.randn(200, 16, generator=seeded(1))
    encoder: Any = lambda images: scattered[images[:, 0, 0, 0].long()]  # noqa: E731 - images hold their index
    images = torch.arange(200.0)[:, None, None, None].expand(-1, 1, 8, 8)
    accuracies = []
    for alpha in (0.0, 0.5, 1.0):
        latents_of = LatentsInBatch(encoder, DPMSolver(num_steps=20), alpha, seeded(2))
        predicted = classify_images(
            images, latents_of, anchors, label_solver=Euler(num_steps=100), batch_size=200
        )
        accuracies.append((predicted == labels).double().mean().item())
    assert accuracies == sorted(accuracies, reverse=True)
    assert accuracies[0] > accuracies[2] + 0.05


def test_labels_are_decoded_by_distance_and_not_by_inner_product() -> None:
    """With label anchors of unequal norm, the largest inner product would always select the longest."""
    anchors = torch.tensor([[1.0, 0.0], [5.0, 0.0], [0.0, 2.0]])
    labels = torch.tensor([0, 1, 2])
    points = draw_label_latents(anchors, labels, torch.zeros(3, 2), solver=Euler(num_steps=100))
    assert torch.equal(decode_labels(points, anchors, solver=Euler(num_steps=100)), labels)


@pytest.mark.parametrize(("num_steps", "largest_share"), [(100, 0.02), (400, 0.006)])
def test_decoding_returns_the_label_whose_zone_a_latent_was_drawn_from(
    num_steps: int, largest_share: float
) -> None:
    anchors = torch.randn(10, 32, generator=seeded())
    labels = torch.arange(10).repeat(300)
    noise = torch.randn(len(labels), 32, generator=seeded(1))
    solver = Euler(num_steps=num_steps)
    drawn = draw_label_latents(anchors, labels, noise, solver=solver)
    wrong = (decode_labels(drawn, anchors, solver=solver) != labels).double().mean().item()
    # Euler's error, of order 1 / num_steps, moves latents across a boundary: measured 1.1 % and 0.26 %.
    assert wrong < largest_share


def test_latents_of_equally_frequent_labels_are_standard_normal_together() -> None:
    anchors = torch.randn(10, 4, generator=seeded())
    labels = torch.arange(10).repeat(1000)
    noise = torch.randn(len(labels), 4, generator=seeded(1))
    drawn = draw_label_latents(anchors, labels, noise, solver=Euler(num_steps=100))
    # Five standard errors of 10^4 samples (0.01 and 0.007), and 1 % for the solver's error.
    assert drawn.mean(dim=0).abs().max() < 0.05 + 0.01
    assert (drawn.std(dim=0) - 1).abs().max() < 0.035 + 0.01
