"""Case study 2: the loss equals its formula, its symmetry, and the four representations."""

from dataclasses import replace

import pytest
import torch
from lzn_testing.models.tiny_models import LATENT_DIM, random_batch, tiny_representation
from lzn_testing.oracles.literal_flow import alignment, latents, solve
from lzn_testing.random_numbers import batch_random_for, seeded
from torch import Tensor

from lzn.base.randomness import BatchRandom
from lzn.data import dequantise, quantise
from lzn.flow import Euler, compute_latents
from lzn.studies import (
    REPRESENTATIONS,
    BackboneOutput,
    FourRepresentations,
    LatentSampler,
    RepresentationStep,
    represent_images,
)
from lzn.training import Batch

BATCH = random_batch()
LATENT_SOLVER = Euler(num_steps=10)
ALIGNMENT_SOLVER = Euler(num_steps=8)


class TwoViews:
    """Return images unchanged in the first call, and mirrored with less contrast in the second."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, images: Tensor, random: BatchRandom) -> Tensor:
        self.calls += 1
        return images if self.calls % 2 else 0.8 * images.flip(3)


def step(*, alpha: float, augment: TwoViews | None = None) -> RepresentationStep:
    return RepresentationStep(
        augment=augment or TwoViews(),
        latents=LatentSampler(solver=LATENT_SOLVER, alpha=alpha),
        solver=ALIGNMENT_SOLVER,
        num_skipped_steps=2,
    )


def test_the_loss_equals_the_formula_with_log_and_each_image_paired_with_itself() -> None:
    model = tiny_representation()
    losses = step(alpha=0.45)(model, BATCH, batch_random_for(6, 5))
    noise = torch.randn(len(BATCH.images), LATENT_DIM, generator=seeded(5)).double()
    anchors, anchors_view2 = (
        model.encoder(view).double() for view in (BATCH.images, 0.8 * BATCH.images.flip(3))
    )
    first_latents = latents(anchors, noise, LATENT_SOLVER, alpha=0.45)
    flow = solve(first_latents, anchors_view2, None, ALIGNMENT_SOLVER, towards_anchors=True)
    own = torch.arange(len(noise))
    expected = alignment(flow.log_probability, own, num_skipped_steps=2, log=True)
    # The project's tolerance for float32 flows.
    assert losses.total.item() == pytest.approx(expected.item(), rel=1e-4)
    nearest = torch.cdist(flow.points, anchors_view2).argmin(dim=1)
    assert losses.metrics["alignment_accuracy"].item() == pytest.approx(
        (nearest == own).double().mean().item()
    )


def test_the_order_of_the_images_has_no_effect() -> None:
    model = tiny_representation()
    order = torch.randperm(len(BATCH.images), generator=seeded(1))
    permuted = Batch(BATCH.images[order], BATCH.labels[order])
    # At alpha = 0 there is no noise, which would also have to be permuted.
    losses = [step(alpha=0.0)(model, batch, batch_random_for(6)).total.item() for batch in (BATCH, permuted)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_labels_have_no_effect() -> None:
    model = tiny_representation()
    relabelled = Batch(BATCH.images, BATCH.labels.flip(0))
    losses = [step(alpha=0.45)(model, batch, batch_random_for(6)).total for batch in (BATCH, relabelled)]
    assert torch.equal(*losses)


def test_the_two_views_use_the_steps_generator_in_order() -> None:
    drawn: list[float] = []

    def augment(images: Tensor, random: BatchRandom) -> Tensor:
        drawn.append(random.uniform()[0].item())
        return images + drawn[-1]

    RepresentationStep(
        augment=augment,
        latents=LatentSampler(solver=LATENT_SOLVER, alpha=0.45),
        solver=ALIGNMENT_SOLVER,
        num_skipped_steps=2,
    )(tiny_representation(), BATCH, batch_random_for(6, 5))
    assert drawn == torch.rand(2, 6, generator=seeded(5))[:, 0].tolist()


def test_loaded_views_are_used_with_the_rest_of_the_augmentation() -> None:
    """Two views made while loading give the same loss as the same two views made on the device."""
    model = tiny_representation()
    views = torch.stack([BATCH.images, 0.8 * BATCH.images.flip(3)], dim=1)
    loaded = Batch(views, BATCH.labels)
    identity = replace(step(alpha=0.45), augment=lambda images, random: images)
    expected = step(alpha=0.45)(model, BATCH, batch_random_for(6, 5))
    assert torch.equal(identity(model, loaded, batch_random_for(6, 5)).total, expected.total)
    completed = replace(step(alpha=0.45), augment=lambda images, random: 0.8 * images)
    unfinished = Batch(torch.stack([BATCH.images, BATCH.images.flip(3)], dim=1) / 0.8, BATCH.labels)
    both_darker = Batch(torch.stack([BATCH.images, BATCH.images.flip(3)], dim=1), BATCH.labels)
    losses = [
        s(model, b, batch_random_for(6, 5)).total
        for s, b in ((completed, unfinished), (identity, both_darker))
    ]
    # 0.8 x / 0.8 is rounded.
    assert losses[0].item() == pytest.approx(losses[1].item(), rel=1e-4)


def test_views_are_computed_in_full_precision_under_autocast() -> None:
    views: list[Tensor] = []

    def rotate(images: Tensor, random: BatchRandom) -> Tensor:
        views.append(images @ random.uniform(1, 8, 8))  # autocast would round this product
        return views[-1]

    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            replace(step(alpha=0.45), augment=rotate)(tiny_representation(), BATCH, batch_random_for(6, 5))
    assert torch.equal(views[0], views[2])
    assert torch.equal(views[1], views[3])


def test_three_loaded_views_raise() -> None:
    three = Batch(torch.stack([BATCH.images] * 3, dim=1), BATCH.labels)
    with pytest.raises(ValueError, match="alignment needs 2 views of each image, but 3 were loaded"):
        step(alpha=0.45)(tiny_representation(), three, batch_random_for(6))


def test_gradients_reach_the_whole_encoder() -> None:
    model = tiny_representation()
    step(alpha=0.45)(model, BATCH, batch_random_for(6, 5)).total.backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def represent(
    images: Tensor, *, batch_size: int, seed: int = 0, encoding_batch_size: int | None = None
) -> dict[str, Tensor]:
    encoder = tiny_representation().encoder.eval()
    represent = FourRepresentations(
        encoder, LATENT_SOLVER, encoding_batch_size=encoding_batch_size or batch_size
    )
    return represent_images(represent, quantise(images), generator=seeded(seed), batch_size=batch_size)


IMAGES = dequantise(quantise(random_batch((0,) * 7).images))


@pytest.mark.parametrize("batch_size", [1, 3, 7, 100])
def test_each_image_has_four_representations(batch_size: int) -> None:
    representations = represent(IMAGES, batch_size=batch_size)
    assert tuple(representations) == REPRESENTATIONS
    widths = {name: r.shape[1] for name, r in representations.items()}
    assert widths == {**dict.fromkeys(REPRESENTATIONS, LATENT_DIM), "without_head": 128}
    assert all(len(r) == 7 for r in representations.values())
    assert not any(r.requires_grad for r in representations.values())


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_backbone_outputs_and_anchors_equal_the_encoders_for_every_batch_size(batch_size: int) -> None:
    encoder = tiny_representation().encoder.eval()
    representations = represent(IMAGES, batch_size=batch_size)
    with torch.no_grad():
        anchors, backbone = encoder(IMAGES), encoder(IMAGES, with_head=False)
    # Convolutions round differently for other batch sizes.
    torch.testing.assert_close(representations["with_head"], anchors, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(representations["without_head"], backbone, rtol=1e-4, atol=1e-5)


def test_latents_are_among_a_batchs_anchors_and_the_last_batch_is_filled() -> None:
    representations = represent(IMAGES, batch_size=3)
    anchors = representations["with_head"]

    def centres(batch: slice) -> Tensor:
        return compute_latents(
            anchors[batch], torch.zeros_like(anchors[batch]), alpha=0.0, solver=LATENT_SOLVER
        )

    expected = torch.cat([centres(slice(0, 3)), centres(slice(3, 6)), centres(slice(4, 7))[2:]])
    # Convolutions round differently in other batches, and the flow amplifies the rounding.
    torch.testing.assert_close(representations["with_latent_alpha_0"], expected, rtol=1e-3, atol=1e-4)


def test_only_latents_depend_on_the_generator() -> None:
    first, same, other = (represent(IMAGES, batch_size=3, seed=seed) for seed in (0, 0, 1))
    assert all(torch.equal(first[name], same[name]) for name in REPRESENTATIONS)
    assert [name for name in REPRESENTATIONS if not torch.equal(first[name], other[name])] == ["with_latent"]


@pytest.mark.parametrize("encoding_batch_size", [1, 2, 5])
def test_representations_do_not_depend_on_the_encoding_batch_size(encoding_batch_size: int) -> None:
    whole = represent(IMAGES, batch_size=7)
    in_parts = represent(IMAGES, batch_size=7, encoding_batch_size=encoding_batch_size)
    for name in REPRESENTATIONS:
        # Convolutions round differently for other batch sizes, and the flow amplifies the rounding.
        torch.testing.assert_close(in_parts[name], whole[name], rtol=1e-3, atol=1e-4)


def test_the_backbone_output_equals_the_representation_without_head() -> None:
    encoder = tiny_representation().encoder.eval()
    alone = represent_images(
        BackboneOutput(encoder, encoding_batch_size=3), quantise(IMAGES), generator=seeded(), batch_size=3
    )
    assert alone.keys() == {"without_head"}
    assert torch.equal(alone["without_head"], represent(IMAGES, batch_size=3)["without_head"])
