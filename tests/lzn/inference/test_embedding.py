"""Representations against the networks' own outputs."""

import numpy as np
import pytest

from lzn.data import dequantise
from lzn.inference.embedding import embed
from lzn.inference.images import Images
from lzn.inference.loaded_run import LoadedRun


@pytest.mark.parametrize("name", ["joint", "representation"])
def test_the_representation_of_an_image_does_not_depend_on_the_other_images(
    name: str, opened: dict[str, LoadedRun], images: Images
) -> None:
    vectors, vector = embed(opened[name], images[::-1]), embed(opened[name], images[3:4])
    for kind in vectors:
        np.testing.assert_array_equal(vectors[kind][1:2], vector[kind])


def test_representations_are_the_backbone_the_anchor_a_random_latent_and_the_centre(
    opened: dict[str, LoadedRun], images: Images
) -> None:
    run = opened["representation"]
    encoder = run.trained.model.encoder
    found = embed(run, images)
    assert list(found) == ["without_head", "with_head", "with_latent", "with_latent_alpha_0"]
    close = {"rtol": 1e-4, "atol": 1e-5}  # float32, one image at a time or all together
    np.testing.assert_allclose(found["without_head"], encoder(dequantise(images), with_head=False), **close)
    np.testing.assert_allclose(found["with_head"], encoder(dequantise(images)), **close)
    other = embed(run, images, seed=1)
    np.testing.assert_array_equal(found["with_latent_alpha_0"], other["with_latent_alpha_0"])
    assert not np.allclose(found["with_latent"], other["with_latent"])
