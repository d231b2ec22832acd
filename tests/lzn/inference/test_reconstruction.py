"""Reconstruction against the paper's metric."""

import numpy as np
import pytest
import torch

from lzn.data import dequantise
from lzn.inference.classification import classify
from lzn.inference.embedding import embed
from lzn.inference.errors import UserError
from lzn.inference.images import Images
from lzn.inference.loaded_run import LoadedRun
from lzn.inference.reconstruction import reconstruct
from lzn.inference.sampling import OdeSettings
from lzn.metrics import reconstruction_error
from lzn.studies.generation import velocity_of

FEW_STEPS = OdeSettings(num_steps=3)


def test_errors_are_those_of_the_metric(opened: dict[str, LoadedRun], images: Images) -> None:
    run = opened["rf_lzn"]
    latents = torch.from_numpy(embed(run, images)["latent"])
    velocity = velocity_of(run.trained.model.decoder, latents, None)
    expected = reconstruction_error(dequantise(images), velocity, sampler=FEW_STEPS.build())
    found = reconstruct(run, images, ode=FEW_STEPS)
    np.testing.assert_allclose(found.errors, expected.numpy(), rtol=1e-5)  # the same computation
    assert found.labels is None


def test_a_joint_run_predicts_the_class_and_others_need_it(
    opened: dict[str, LoadedRun], images: Images
) -> None:
    found = reconstruct(opened["joint"], images, ode=FEW_STEPS)
    np.testing.assert_array_equal(found.labels, classify(opened["joint"], images).labels)
    assert reconstruct(opened["joint"], images, label=2, ode=FEW_STEPS).labels.tolist() == [2] * len(images)
    with pytest.raises(UserError, match="needs the class of the images and cannot predict it"):
        reconstruct(opened["rf_conditional"], images, ode=FEW_STEPS)
