"""Sampling against the method's own functions."""

import numpy as np
import pytest
import torch

from lzn.base.randomness import generator_for
from lzn.data import dequantise
from lzn.flow import Euler, draw_label_latents
from lzn.inference.errors import UserError
from lzn.inference.loaded_run import LoadedRun
from lzn.inference.sampling import OdeSettings, SampleRequest, draw_samples
from lzn.studies.generation import generate, velocity_of

FEW_STEPS = OdeSettings(num_steps=3)


@pytest.mark.parametrize("name", ["rf", "rf_conditional", "rf_lzn", "joint"])
def test_the_first_images_do_not_depend_on_the_number_of_images(
    name: str, opened: dict[str, LoadedRun]
) -> None:
    few = draw_samples(opened[name], SampleRequest(num_images=2, seed=4, ode=FEW_STEPS))
    more = draw_samples(opened[name], SampleRequest(num_images=5, seed=4, ode=FEW_STEPS))
    # one grey level: rounding may differ with the batch
    assert np.abs(few.images.astype(int) - more.images[:2].astype(int)).max() <= 1
    assert (few.labels is None) == (name in ("rf", "rf_lzn"))
    other = draw_samples(opened[name], SampleRequest(num_images=2, seed=5, ode=FEW_STEPS))
    assert (few.images != other.images).any()


def test_classes_are_sampled_in_rotation(opened: dict[str, LoadedRun]) -> None:
    samples = draw_samples(opened["joint"], SampleRequest(num_images=5, classes=(3, 7), ode=FEW_STEPS))
    assert samples.labels is not None
    assert samples.labels.tolist() == [3, 7, 3, 7, 3]
    conditional = draw_samples(opened["rf_conditional"], SampleRequest(num_images=12, ode=FEW_STEPS))
    assert conditional.labels is not None
    assert conditional.labels.tolist() == [*range(10), 0, 1]


def test_an_image_is_that_of_the_method(opened: dict[str, LoadedRun]) -> None:
    model = opened["joint"].trained.model
    labels = torch.tensor([6])
    prior = torch.randn(1, 8, generator=generator_for(9, "latent", 0))
    latents = draw_label_latents(model.label_anchors.points, labels, prior, solver=Euler(100))
    noise = torch.randn(1, 1, 8, 8, generator=generator_for(9, "image", 0))
    expected = generate(velocity_of(model.decoder, latents, labels), noise, sampler=FEW_STEPS.build())
    samples = draw_samples(opened["joint"], SampleRequest(num_images=1, classes=(6,), seed=9, ode=FEW_STEPS))
    # quantisation: half a grey level
    torch.testing.assert_close(
        dequantise(samples.images), expected.clamp(-1, 1), rtol=0, atol=0.5 / 127.5 + 1e-5
    )


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"num_images": 0}, "at least 1"),
        ({"num_images": 1, "seed": -1}, "must not be negative"),
        ({"num_images": 1, "classes": (10,)}, "class 10: run joint has the classes 0 to 9"),
    ],
)
def test_impossible_requests_are_refused(
    request_: dict[str, int], message: str, opened: dict[str, LoadedRun]
) -> None:
    with pytest.raises(UserError, match=message):
        draw_samples(opened["joint"], SampleRequest(**request_))


@pytest.mark.parametrize(
    "settings", [{"num_steps": 0}, {"num_steps": 10**6}, {"tolerance": 1e-9}, {"tolerance": 0.0}]
)
def test_impossible_solver_settings_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(UserError, match="must be between"):
        OdeSettings(**settings)


def test_rk45_and_many_euler_steps_give_the_same_images(opened: dict[str, LoadedRun]) -> None:
    euler = draw_samples(opened["rf"], SampleRequest(num_images=2, ode=OdeSettings(num_steps=200)))
    adaptive = draw_samples(opened["rf"], SampleRequest(num_images=2, ode=OdeSettings(tolerance=1e-4)))
    # two grey levels: the error of Euler with 200 steps
    assert np.abs(euler.images.astype(int) - adaptive.images.astype(int)).max() <= 2
