"""Training steps with other people's networks, data and batches: points in a plane, in plain PyTorch modules."""

from dataclasses import dataclass, replace

import pytest
import torch
from lzn_testing.random_numbers import batch_random_for, seeded
from torch import Tensor, nn

from lzn.flow import DPMSolver, Euler, LabelAnchors, compute_latents
from lzn.rectified_flow.ode import EulerSampler
from lzn.studies import (
    GenerationStep,
    GenerativeModel,
    JointStep,
    LabelAlignment,
    LatentSampler,
    RepresentationStep,
    generate,
)
from lzn.training import Batch, Compute, TrainingSchedule, train

NUM, DIM = 32, 4
SAMPLER = LatentSampler(solver=DPMSolver(num_steps=6, g=1e-3))
SCHEDULE = TrainingSchedule(
    num_steps=40, batch_size=NUM, learning_rates={"": 1e-2}, warmup_steps=2, ema_decay=0.9, log_every=20
)


class OwnModel(nn.Module):
    """Networks whose names and arguments are not those of the paper's models."""

    def __init__(self) -> None:
        super().__init__()
        self.to_anchor = nn.Linear(2, DIM)
        self.field = nn.Sequential(nn.Linear(2 + 1 + DIM, 32), nn.SiLU(), nn.Linear(32, 2))
        self.kinds = LabelAnchors(2, DIM)

    def flow_field(self, points: Tensor, t: Tensor, z: Tensor | None) -> Tensor:
        assert z is not None
        velocity: Tensor = self.field(torch.cat([points, t[:, None], z], dim=1))
        return velocity


@dataclass(frozen=True)
class Points:
    """A batch of points with their kinds."""

    points: Tensor
    kinds: Tensor


def points() -> Points:
    kinds = torch.arange(NUM) % 2
    return Points(torch.randn(NUM, 2, generator=seeded(1)) * 0.1 + 2.0 * kinds[:, None] - 1, kinds)


def own_model() -> OwnModel:
    torch.manual_seed(0)
    return OwnModel()


GENERATION = GenerationStep(
    SAMPLER,
    data=lambda batch: batch.points,
    encoder=lambda model, batch: model.to_anchor(batch.points),
    velocity=lambda model, x_t, t, latents, batch: model.flow_field(x_t, t, latents),
)
JOINT = JointStep(
    latents=SAMPLER,
    alignment=LabelAlignment(solver=Euler(num_steps=10), num_skipped_steps=2),
    data=GENERATION.data,
    labels=lambda batch: batch.kinds,
    encoder=GENERATION.encoder,
    label_anchors=lambda model: model.kinds.points,
    velocity=GENERATION.velocity,
)
REPRESENTATION = RepresentationStep(
    augment=lambda data, random: data + 0.05 * random.normal(2),
    latents=SAMPLER,
    solver=Euler(num_steps=10),
    num_skipped_steps=2,
    data=GENERATION.data,
    encoder=lambda model, views: model.to_anchor(views),
)


@pytest.mark.parametrize("step", [GENERATION, JOINT, REPRESENTATION])
@pytest.mark.parametrize("micro_batch_size", [None, 5])
def test_own_networks_are_trained_by_the_steps_of_the_studies(
    step: object, micro_batch_size: int | None
) -> None:
    compute = Compute(micro_batch_size=micro_batch_size)
    result = train(own_model(), step, [points()], SCHEDULE, seed=0, compute=compute)  # type: ignore[arg-type]
    first, last = (point.values["loss"] for point in result.curve)
    assert last < first


def test_a_trained_own_model_generates_points_near_the_data() -> None:
    model = own_model()
    train(model, GENERATION, [points()], replace(SCHEDULE, num_steps=300), seed=0)
    z = compute_latents(model.to_anchor(points().points), torch.randn(NUM, DIM, generator=seeded(2)))
    with torch.no_grad():
        made = generate(
            lambda x, t: model.flow_field(x, t, z),
            torch.randn(NUM, 2, generator=seeded(3)),
            sampler=EulerSampler(20),
        )
    # Each point is made from the latent of one of the points, whose sign in both coordinates is that of its kind.
    signs = 2.0 * points().kinds[:, None] - 1
    assert (made.sign() == signs).double().mean() > 0.75  # half without latents


class OwnDecoder(nn.Module):
    """A decoder of images without the attributes of `VelocityUNet`."""

    def __init__(self) -> None:
        super().__init__()
        self.from_latents = nn.Linear(DIM, 64)

    def forward(self, x_t: Tensor, t: Tensor, latents: Tensor) -> Tensor:
        return x_t * t[:, None, None, None] + self.from_latents(latents).view(-1, 1, 8, 8)


def test_an_own_decoder_of_images_needs_no_other_attributes() -> None:
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, DIM))
    model = GenerativeModel(OwnDecoder(), encoder)  # type: ignore[arg-type]
    batch = Batch(torch.rand(6, 1, 8, 8, generator=seeded()), torch.zeros(6, dtype=torch.int64))
    GenerationStep(SAMPLER)(model, batch, batch_random_for(6)).total.backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in model.parameters())
