"""Trainings on a GPU: bfloat16, compiled, and on two GPUs."""

from functools import partial
from pathlib import Path

import pytest
import torch
from lzn_testing.models.parallel_training import STUDIES, ProcessResult, train_study
from lzn_testing.models.tiny_models import random_batch
from lzn_testing.models.toy_training import Outcome, ToyStep, outcome_of, toy_batches, toy_model, toy_schedule
from lzn_testing.processes.real_processes import run_in_processes
from lzn_testing.random_numbers import CopiedRandom

from lzn.base.parallel import Processes
from lzn.training import Batch, Compute, train

pytestmark = pytest.mark.gpu

DEVICE = "cuda"


@pytest.mark.parametrize("name", STUDIES)
def test_losses_with_bfloat16_are_near_those_with_float32(name: str) -> None:
    build, step = STUDIES[name]
    batch = random_batch()
    on_device = Batch(batch.images.to(DEVICE), batch.labels.to(DEVICE))
    totals = []
    for compute in (Compute(), Compute(precision="bfloat16")):
        model = build().to(DEVICE)
        with compute.autocast(DEVICE):
            losses = step(model, on_device, CopiedRandom.for_batch(len(batch.images), DEVICE))
        losses.total.backward()
        assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in model.parameters())
        assert losses.total.dtype == torch.float32
        totals.append(losses.total.item())
    # 8 bits in each of about ten layers; the alignment's probabilities amplify the error.
    assert totals[1] == pytest.approx(totals[0], rel=0.1)
    assert totals[1] != totals[0]


def test_a_compiled_training_has_the_weights_and_the_curve_of_the_eager_one() -> None:
    def outcome(compute: Compute) -> Outcome:
        model = toy_model()
        result = train(
            model, ToyStep(), toy_batches(), toy_schedule(), seed=0, device=DEVICE, compute=compute
        )
        return outcome_of(model, result)

    compiled, eager = outcome(Compute(compile=True)), outcome(Compute())
    for name, tensor in compiled.weights.items():
        # Fused operations round differently, and Adam amplifies rounding over 13 steps.
        torch.testing.assert_close(tensor, eager.weights[name], rtol=1e-4, atol=1e-5, msg=name)
    for (_, values), (_, expected) in zip(compiled.curve, eager.curve, strict=True):
        assert values == pytest.approx(expected, rel=1e-4)


if torch.cuda.device_count() > 1:

    @pytest.mark.parametrize("name", STUDIES)
    def test_two_gpus_have_the_gradients_of_one(name: str, tmp_path: Path) -> None:
        alone = train_study(Processes(), name, 14, 1, device=DEVICE)
        results: list[ProcessResult] = run_in_processes(
            2, partial(train_study, device=DEVICE), name, 14, 1, folder=tmp_path, device=DEVICE
        )
        assert torch.equal(*(torch.cat([w.flatten() for w in r.weights.values()]) for r in results))
        for part in results:
            actual, expected = (
                torch.cat([each.gradients[key].flatten() for key in sorted(each.gradients)])
                for each in (part, alone)
            )
            # The flow's tolerance for gradients in float32.
            assert (actual - expected).norm() < 1e-3 * expected.norm()
