"""Precision and recomputation of activations: they change a training only by rounding."""

import numpy as np
import pytest
import torch
from lzn_testing.models.tiny_models import (
    LATENT_DIM,
    random_batch,
    tiny_generative,
    tiny_joint,
    tiny_representation,
)
from lzn_testing.models.toy_training import (
    Outcome,
    ToyStep,
    outcome_of,
    toy_batches,
    toy_model,
    toy_schedule,
)
from lzn_testing.random_numbers import batch_random_for
from torch import Tensor, nn

from lzn.base.randomness import BatchRandom
from lzn.data import ImageSet
from lzn.flow import Euler
from lzn.networks import ImageClassifier
from lzn.studies import GenerationStep, JointStep, LabelAlignment, LatentSampler, RepresentationStep
from lzn.training import (
    Batch,
    ClassifierModel,
    Compute,
    ImageBatches,
    Losses,
    TrainingCallbacks,
    TrainingSchedule,
    TrainingStep,
    cross_entropy_step,
    train,
)

BFLOAT16 = Compute(precision="bfloat16")
SOLVER = Euler(num_steps=10)
DRAW = LatentSampler(solver=SOLVER)
GENERATION = GenerationStep(DRAW)
SCHEDULE = TrainingSchedule(
    num_steps=6,
    batch_size=8,
    learning_rates={"encoder": 1e-3, "decoder": 1e-3},
    warmup_steps=2,
    ema_decay=0.9,
    log_every=3,
)


def batches_8(schedule: TrainingSchedule) -> ImageBatches:
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (24, 1, 8, 8), dtype=np.uint8)
    data = ImageSet(images, np.arange(24, dtype=np.int64) % 3)
    return ImageBatches(data=data, schedule=schedule, seed=0)


def train_generative(compute: Compute) -> Outcome:
    model = tiny_generative(latents=True)
    return outcome_of(model, train(model, GENERATION, batches_8(SCHEDULE), SCHEDULE, seed=0, compute=compute))


def assert_close(actual: Outcome, expected: Outcome, *, relative: float) -> None:
    assert actual.weights.keys() == expected.weights.keys()
    for name, tensor in actual.weights.items():
        torch.testing.assert_close(tensor, expected.weights[name], rtol=relative, atol=relative, msg=name)
    for (_, values), (_, expected_values) in zip(actual.curve, expected.curve, strict=True):
        assert values == pytest.approx(expected_values, rel=relative)


def augment(images: Tensor, random: BatchRandom) -> Tensor:
    return images + 0.1 * random.normal(*images.shape[1:])


REPRESENTATION = RepresentationStep(
    augment=augment, latents=LatentSampler(solver=SOLVER, alpha=0.45), solver=SOLVER, num_skipped_steps=2
)
JOINT = JointStep(latents=DRAW, alignment=LabelAlignment(solver=SOLVER, num_skipped_steps=2))


def tiny_classifier() -> ClassifierModel:
    torch.manual_seed(5)
    return ClassifierModel(ImageClassifier(image_size=8, image_channels=1, num_classes=3, base_channels=8))


STUDIES = [
    (tiny_generative(latents=False), GenerationStep(None)),
    (tiny_generative(latents=True), GENERATION),
    (tiny_joint(), JOINT),
    (tiny_representation(), REPRESENTATION),
    (tiny_classifier(), cross_entropy_step),
]


def test_recomputed_activations_change_a_training_only_by_rounding() -> None:
    checkpointed = train_generative(Compute(checkpoint_activations=True))
    # Adam divides small gradients by their size, which amplifies their rounding over the six steps.
    assert_close(checkpointed, train_generative(Compute()), relative=1e-4)


def test_a_model_without_blocks_that_can_recompute_is_an_error() -> None:
    with pytest.raises(ValueError, match="ToyModel has no block that can recompute its activations"):
        train(
            toy_model(),
            ToyStep(),
            toy_batches(),
            toy_schedule(),
            seed=0,
            compute=Compute(checkpoint_activations=True),
        )


def test_another_precision_is_an_error() -> None:
    with pytest.raises(ValueError, match='precision must be "float32" or "bfloat16", got \'float16\''):
        Compute(precision="float16")  # type: ignore[arg-type]


def test_with_bfloat16_only_the_networks_compute_in_bfloat16() -> None:
    dtypes: dict[str, torch.dtype] = {}

    def step(model: nn.Module, batch: Batch, random: BatchRandom) -> Losses:
        losses = GENERATION(model, batch, random)
        dtypes["loss"] = losses.total.dtype
        return losses

    model = tiny_generative(latents=True)
    for name in ("decoder.down.stem", "encoder.down.stem"):
        model.get_submodule(name).register_forward_hook(
            lambda module, inputs, output, name=name: dtypes.__setitem__(name, output.dtype)
        )
    snapshots: list[dict[str, Tensor]] = []
    schedule = TrainingSchedule(**{**vars(SCHEDULE), "snapshot_steps": (6,)})
    train(
        model,
        step,
        batches_8(schedule),
        schedule,
        seed=0,
        compute=BFLOAT16,
        callbacks=TrainingCallbacks(on_snapshot=lambda _, weights: snapshots.append(dict(weights))),
    )
    assert dtypes == {
        "decoder.down.stem": torch.bfloat16,
        "encoder.down.stem": torch.bfloat16,
        "loss": torch.float32,
    }
    assert all(p.dtype == torch.float32 and p.grad.dtype == torch.float32 for p in model.parameters())
    assert all(weights.dtype == torch.float32 for weights in snapshots[0].values())


@pytest.mark.parametrize(("model", "step"), STUDIES)
def test_losses_with_bfloat16_are_float32_and_near_those_of_full_precision(
    model: nn.Module, step: TrainingStep[nn.Module]
) -> None:
    batch = random_batch()
    totals = []
    for compute in (Compute(), BFLOAT16):
        with compute.autocast("cpu"), torch.no_grad():
            losses = step(model, batch, batch_random_for(len(batch.images), 1))
        assert losses.total.dtype == torch.float32
        totals.append(losses.total.item())
    # 8 bits in each of about ten layers; the alignment's probabilities amplify the error.
    assert totals[1] == pytest.approx(totals[0], rel=0.1)
    assert totals[1] != totals[0]


def test_anchors_are_summed_in_float32() -> None:
    encoder = tiny_generative(latents=True).encoder
    assert encoder is not None
    with BFLOAT16.autocast("cpu"):
        anchors = encoder(random_batch().images)
    assert anchors.dtype == torch.float32
    assert anchors.shape[1] == LATENT_DIM


def test_the_losses_of_a_bfloat16_training_are_near_those_of_full_precision() -> None:
    actual, expected = train_generative(BFLOAT16), train_generative(Compute())
    losses = [[values["loss"] for _, values in outcome.curve] for outcome in (actual, expected)]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)
    assert actual != expected
