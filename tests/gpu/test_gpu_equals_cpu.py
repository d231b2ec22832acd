"""On a GPU, the flow, the losses and gradients of each study, and sampling equal those on the CPU up to rounding."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from lzn_testing.models.parallel_training import STUDIES
from lzn_testing.models.tiny_models import LATENT_DIM, random_batch, tiny_decoder
from lzn_testing.oracles.flow_problems import gradient, leaf, normal, relative_error
from lzn_testing.random_numbers import CopiedRandom
from torch import Tensor

from lzn.flow import Adams, AnchorBank, DPMSolver, Euler, Solver, alignment_loss, compute_latents
from lzn.rectified_flow.ode import EulerSampler, RK45Sampler, Sampler
from lzn.studies.generation import generate, velocity_of
from lzn.training import Batch

pytestmark = pytest.mark.gpu

DEVICE = "cuda"
SOLVERS = {"euler": Euler(20), "dpm": DPMSolver(20), "adams": Adams(10)}
# The project's tolerances of the flow for values and gradients. In float64, the first steps multiply rounding by 1e4.
TOLERANCES = {torch.float32: (1e-4, 1e-3), torch.float64: (1e-9, 1e-8)}
by_dtype = pytest.mark.parametrize("dtype", TOLERANCES)


@pytest.fixture(autouse=True, params=["highest", "high"])
def _precision_of_products(request: pytest.FixtureRequest) -> Iterator[None]:
    """Also after ``set_float32_matmul_precision("high")``, the flow uses no TF32. Convolutions here do not either."""
    torch.set_float32_matmul_precision(request.param)
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield
    torch.set_float32_matmul_precision("highest")


def assert_equal_results(compute: Callable[[str], tuple[Tensor, Tensor]], dtype: torch.dtype) -> None:
    """Compare a value and a gradient on the two devices."""
    (value, grad), (expected_value, expected_grad) = compute(DEVICE), compute("cpu")
    assert value.device.type == torch.device(DEVICE).type
    of_values, of_gradients = TOLERANCES[dtype]
    assert relative_error(value.cpu(), expected_value) < of_values
    assert relative_error(grad.cpu(), expected_grad) < of_gradients


@by_dtype
@pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS)
def test_latents_and_the_gradient_of_anchors(solver: Solver, dtype: torch.dtype) -> None:
    def compute(device: str) -> tuple[Tensor, Tensor]:
        anchors = leaf(normal(0, 600, 24).to(device), dtype)
        z = compute_latents(anchors, normal(1, 600, 24).to(device, dtype), solver=solver)
        (z * normal(2, 600, 24).to(z)).sum().backward()
        return z, gradient(anchors)

    assert_equal_results(compute, dtype)


@by_dtype
@pytest.mark.parametrize("num_anchors", [10, 300], ids=["labels", "views"])
def test_the_alignment_and_the_gradient_of_anchors(num_anchors: int, dtype: torch.dtype) -> None:
    def compute(device: str) -> tuple[Tensor, Tensor]:
        anchors = leaf(normal(3, num_anchors, 24).to(device), dtype)
        result = alignment_loss(
            normal(4, 300, 24).to(device, dtype),
            anchors,
            (torch.arange(300) % num_anchors).to(device),
            solver=Euler(20),
            num_skipped_steps=4,
            log=False,
        )
        result.loss.backward()
        return result.loss, gradient(anchors)

    assert_equal_results(compute, dtype)


@by_dtype
def test_latents_of_a_bank(dtype: torch.dtype) -> None:
    def latents(device: str) -> Tensor:
        bank = AnchorBank(normal(5, 3000, 24).to(device))
        return bank.latents(slice(100), normal(6, 100, 24).to(device, dtype), solver=Euler(20))

    assert relative_error(latents(DEVICE).cpu(), latents("cpu")) < TOLERANCES[dtype][0]


@pytest.mark.parametrize("name", STUDIES)
def test_the_losses_and_all_gradients_of_a_step(name: str) -> None:
    def compute(device: str) -> tuple[Tensor, Tensor]:
        build, step = STUDIES[name]
        model: Any = build().to(device)
        batch = random_batch()
        on_device = Batch(batch.images.to(device), batch.labels.to(device))
        losses = step(model, on_device, CopiedRandom.for_batch(len(batch.images), device))
        losses.total.backward()
        grads = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
        return losses.total, torch.cat(grads)

    assert_equal_results(compute, torch.float32)


@pytest.mark.parametrize("sampler", [EulerSampler(20), RK45Sampler(1e-4, 1e-4)], ids=["euler", "rk45"])
def test_sampled_images(sampler: Sampler) -> None:
    def sample(device: str) -> Tensor:
        decoder = tiny_decoder(latent_dim=LATENT_DIM).to(device).eval()
        latents, noise = normal(7, 16, LATENT_DIM).float(), normal(8, 16, 1, 8, 8).float()
        with torch.no_grad():
            return generate(velocity_of(decoder, latents.to(device), None), noise.to(device), sampler=sampler)

    # Rounding grows along 20 steps; an adaptive step may be accepted on one device only, within the ODE's tolerance.
    assert relative_error(sample(DEVICE).cpu(), sample("cpu")) < 1e-3
