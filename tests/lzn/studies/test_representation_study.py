"""Case study 2: the loss literally, its symmetry, and the four representations."""

from dataclasses import replace

import pytest
import torch
from lzn_testing.models.batch_random import random_for
from lzn_testing.models.tiny_models import LATENT_DIM, random_batch, tiny_representation
from lzn_testing.oracles.literal_flow import alignment, latents, solve
from torch import Tensor

from lzn.base.randomness import BatchRandom
from lzn.data import dequantise, quantise
from lzn.flow import Euler, compute_latents
from lzn.studies import (
    REPRESENTATIONS,
    BackboneOutput,
    FourRepresentations,
    LatentDraw,
    RepresentationStep,
    represent_images,
)
from lzn.training import Batch

BATCH = random_batch()
LATENT_SOLVER = Euler(num_steps=10)
ALIGNMENT_SOLVER = Euler(num_steps=8)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class TwoViews:
    """The image itself, then its mirror image at less contrast; draws nothing."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, images: Tensor, random: BatchRandom) -> Tensor:
        self.calls += 1
        return images if self.calls % 2 else 0.8 * images.flip(3)


def step(*, alpha: float, augment: TwoViews | None = None) -> RepresentationStep:
    return RepresentationStep(
        augment=augment or TwoViews(),
        latents=LatentDraw(solver=LATENT_SOLVER, alpha=alpha),
        solver=ALIGNMENT_SOLVER,
        num_skipped_steps=2,
    )


def test_the_loss_is_the_formula_with_logarithm_and_each_image_paired_with_itself() -> None:
    model = tiny_representation()
    losses = step(alpha=0.45)(model, BATCH, random_for(6, 5))
    noise = torch.randn(len(BATCH.images), LATENT_DIM, generator=seeded(5)).double()
    anchors, anchors_view2 = (
        model.encoder(view).double() for view in (BATCH.images, 0.8 * BATCH.images.flip(3))
    )
    first_latents = latents(anchors, noise, LATENT_SOLVER, alpha=0.45)
    arrival = solve(first_latents, anchors_view2, None, ALIGNMENT_SOLVER, towards_anchors=True)
    own = torch.arange(len(noise))
    expected = alignment(arrival.log_probability, own, num_skipped_steps=2, log=True)
    # The accuracy asked of float32 flows.
    assert losses.total.item() == pytest.approx(expected.item(), rel=1e-4)
    nearest = torch.cdist(arrival.points, anchors_view2).argmin(dim=1)
    assert losses.metrics["alignment_accuracy"].item() == pytest.approx(
        (nearest == own).double().mean().item()
    )


def test_the_order_of_the_images_does_not_matter() -> None:
    model = tiny_representation()
    order = torch.randperm(len(BATCH.images), generator=seeded(1))
    permuted = Batch.whole(BATCH.images[order], BATCH.labels[order])
    # At alpha = 0 there is no noise that would have to be permuted too.
    losses = [step(alpha=0.0)(model, batch, random_for(6)).total.item() for batch in (BATCH, permuted)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_labels_play_no_part() -> None:
    model = tiny_representation()
    relabelled = Batch.whole(BATCH.images, BATCH.labels.flip(0))
    losses = [step(alpha=0.45)(model, batch, random_for(6)).total for batch in (BATCH, relabelled)]
    assert torch.equal(*losses)


def test_the_two_views_are_drawn_one_after_the_other_from_the_steps_generator() -> None:
    drawn: list[float] = []

    def augment(images: Tensor, random: BatchRandom) -> Tensor:
        drawn.append(random.uniform()[0].item())
        return images + drawn[-1]

    RepresentationStep(
        augment=augment,
        latents=LatentDraw(solver=LATENT_SOLVER, alpha=0.45),
        solver=ALIGNMENT_SOLVER,
        num_skipped_steps=2,
    )(tiny_representation(), BATCH, random_for(6, 5))
    assert drawn == torch.rand(2, 6, generator=seeded(5))[:, 0].tolist()


def test_loaded_views_are_taken_as_they_are_but_for_the_rest_of_the_augmentation() -> None:
    """Two views that were made as images were loaded give the loss of the same two views made on the device."""
    model = tiny_representation()
    views = torch.stack([BATCH.images, 0.8 * BATCH.images.flip(3)], dim=1)
    loaded = Batch.whole(views, BATCH.labels)
    as_they_are = replace(step(alpha=0.45), augment=lambda images, random: images)
    expected = step(alpha=0.45)(model, BATCH, random_for(6, 5))
    assert torch.equal(as_they_are(model, loaded, random_for(6, 5)).total, expected.total)
    completed = replace(step(alpha=0.45), augment=lambda images, random: 0.8 * images)
    unfinished = Batch.whole(torch.stack([BATCH.images, BATCH.images.flip(3)], dim=1) / 0.8, BATCH.labels)
    both_darker = Batch.whole(torch.stack([BATCH.images, BATCH.images.flip(3)], dim=1), BATCH.labels)
    losses = [
        s(model, b, random_for(6, 5)).total for s, b in ((completed, unfinished), (as_they_are, both_darker))
    ]
    # 0.8 x / 0.8 rounds.
    assert losses[0].item() == pytest.approx(losses[1].item(), rel=1e-4)


def test_views_are_made_in_full_precision_whatever_the_networks_have() -> None:
    seen: list[Tensor] = []

    def turn(images: Tensor, random: BatchRandom) -> Tensor:
        seen.append(images @ random.uniform(1, 8, 8))  # a product, which autocast would round
        return seen[-1]

    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            replace(step(alpha=0.45), augment=turn)(tiny_representation(), BATCH, random_for(6, 5))
    assert torch.equal(seen[0], seen[2])
    assert torch.equal(seen[1], seen[3])


def test_another_number_of_loaded_views_than_two_is_refused() -> None:
    three = Batch.whole(torch.stack([BATCH.images] * 3, dim=1), BATCH.labels)
    with pytest.raises(ValueError, match="alignment takes two views of each image, loaded were 3"):
        step(alpha=0.45)(tiny_representation(), three, random_for(6))


def test_gradients_reach_the_whole_encoder() -> None:
    model = tiny_representation()
    step(alpha=0.45)(model, BATCH, random_for(6, 5)).total.backward()
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
def test_there_are_four_representations_of_each_image(batch_size: int) -> None:
    representations = represent(IMAGES, batch_size=batch_size)
    assert tuple(representations) == REPRESENTATIONS
    widths = {name: r.shape[1] for name, r in representations.items()}
    assert widths == {**dict.fromkeys(REPRESENTATIONS, LATENT_DIM), "without_head": 128}
    assert all(len(r) == 7 for r in representations.values())
    assert not any(r.requires_grad for r in representations.values())


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_backbone_outputs_and_anchors_are_the_encoders_whatever_the_batch(batch_size: int) -> None:
    encoder = tiny_representation().encoder.eval()
    representations = represent(IMAGES, batch_size=batch_size)
    with torch.no_grad():
        anchors, backbone = encoder(IMAGES), encoder(IMAGES, with_head=False)
    # Convolutions sum in another order in another batch size.
    torch.testing.assert_close(representations["with_head"], anchors, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(representations["without_head"], backbone, rtol=1e-4, atol=1e-5)


def test_latents_are_computed_among_a_batchs_anchors_and_the_last_batch_is_filled_from_before() -> None:
    representations = represent(IMAGES, batch_size=3)
    anchors = representations["with_head"]

    def centres(batch: slice) -> Tensor:
        return compute_latents(
            anchors[batch], torch.zeros_like(anchors[batch]), alpha=0.0, solver=LATENT_SOLVER
        )

    expected = torch.cat([centres(slice(0, 3)), centres(slice(3, 6)), centres(slice(4, 7))[2:]])
    # The same numbers, but for the convolutions' order of sums, which the flow stretches.
    torch.testing.assert_close(representations["with_latent_alpha_0"], expected, rtol=1e-3, atol=1e-4)


def test_the_generator_decides_latents_and_nothing_else() -> None:
    first, same, other = (represent(IMAGES, batch_size=3, seed=seed) for seed in (0, 0, 1))
    assert all(torch.equal(first[name], same[name]) for name in REPRESENTATIONS)
    assert [name for name in REPRESENTATIONS if not torch.equal(first[name], other[name])] == ["with_latent"]


@pytest.mark.parametrize("encoding_batch_size", [1, 2, 5])
def test_how_many_images_are_encoded_at_once_changes_no_representation(encoding_batch_size: int) -> None:
    whole = represent(IMAGES, batch_size=7)
    in_parts = represent(IMAGES, batch_size=7, encoding_batch_size=encoding_batch_size)
    for name in REPRESENTATIONS:
        # Convolutions sum in another order in another batch size, which the flow stretches.
        torch.testing.assert_close(in_parts[name], whole[name], rtol=1e-3, atol=1e-4)


def test_the_backbones_output_alone_is_the_representation_without_head() -> None:
    encoder = tiny_representation().encoder.eval()
    alone = represent_images(
        BackboneOutput(encoder, encoding_batch_size=3), quantise(IMAGES), generator=seeded(), batch_size=3
    )
    assert alone.keys() == {"without_head"}
    assert torch.equal(alone["without_head"], represent(IMAGES, batch_size=3)["without_head"])
