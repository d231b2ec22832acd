"""A compiled training equals the eager one up to rounding. Compilation takes a minute on two cores."""

from pathlib import Path

import pytest
import torch
from lzn_testing.models.parallel_training import train_study
from lzn_testing.models.toy_training import (
    Outcome,
    ToyModel,
    ToyStep,
    outcome_of,
    toy_batches,
    toy_model,
    toy_schedule,
)
from torch import Tensor, nn
from torch.nn import functional

from lzn.base.parallel import Processes
from lzn.networks.recomputation import RecomputableBlock, recomputable
from lzn.training import CheckpointFolder, Compute, TrainingCallbacks, TrainingInterruptedError, train

pytestmark = [pytest.mark.slow, pytest.mark.compiler]

COMPILED = Compute(compile=True)


def train_toy(model: ToyModel, compute: Compute, **settings: object) -> Outcome:
    result = train(model, ToyStep(), toy_batches(), toy_schedule(), seed=0, compute=compute, **settings)
    return outcome_of(model, result)


def test_a_compiled_training_has_the_weights_and_the_curve_of_the_eager_one() -> None:
    compiled, eager = (train_toy(toy_model(), compute) for compute in (COMPILED, Compute()))
    assert compiled.weights.keys() == eager.weights.keys()
    for name, tensor in compiled.weights.items():
        # Fused operations round differently, and Adam amplifies rounding over 13 steps.
        torch.testing.assert_close(tensor, eager.weights[name], rtol=1e-4, atol=1e-5, msg=name)
    for (_, values), (_, expected) in zip(compiled.curve, eager.curve, strict=True):
        assert values == pytest.approx(expected, rel=1e-4)


def test_compiled_micro_batches_have_the_gradients_of_eager_ones() -> None:
    compiled, eager = (
        train_study(Processes(), "rf_lzn", 12, 1, compute=Compute(compile=compile_, micro_batch_size=4))
        for compile_ in (True, False)
    )
    norm = sum(float(g.square().sum()) for g in eager.gradients.values()) ** 0.5
    for name, gradient in compiled.gradients.items():
        # Fused operations round differently.
        assert float((gradient - eager.gradients[name]).norm()) < 1e-5 * norm, name


def test_a_compiled_training_with_dropout_resumes_bit_for_bit(tmp_path: Path) -> None:
    uninterrupted = train_toy(toy_model(), COMPILED)
    folder, finished = CheckpointFolder(tmp_path), [0]
    with pytest.raises(TrainingInterruptedError, match="stopped after step 6 of 13"):
        train_toy(
            toy_model(),
            COMPILED,
            checkpoints=folder,
            callbacks=TrainingCallbacks(
                on_step=lambda step: finished.__setitem__(0, step), should_stop=lambda: finished[0] == 6
            ),
        )
    assert train_toy(toy_model(), COMPILED, checkpoints=folder) == uninterrupted


class MaskedProduct(RecomputableBlock):
    """Dropout of the elementwise product with a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(0.5, 1.5, 64))

    @recomputable
    def forward(self, x: Tensor) -> Tensor:
        return functional.dropout(x * self.weight, 0.5)


def test_a_compiled_recomputed_block_has_the_same_dropout_mask() -> None:
    model = nn.ModuleDict({"part": nn.Sequential(MaskedProduct(), MaskedProduct())})
    Compute(compile=True, checkpoint_activations=True).prepare(model)
    torch.manual_seed(0)
    output = model["part"](torch.ones(64, requires_grad=True))
    output.sum().backward()
    assert 0 < int((output == 0).sum()) < 64
    for block in model["part"]:
        # The output is linear in each weight, so with equal masks w * dy/dw = y up to rounding.
        torch.testing.assert_close(block.weight * block.weight.grad, output, rtol=1e-6, atol=0)
