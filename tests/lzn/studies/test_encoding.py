"""Anchors of a data set, and batches of a fixed size."""

import numpy as np
import pytest
import torch
from lzn_testing.models.tiny_models import LATENT_DIM, tiny_joint
from torch import Tensor

from lzn.data import dequantise
from lzn.studies import encode_images
from lzn.studies.encoding import ENCODED_TOGETHER, encode_batch, full_batches

IMAGES = np.random.default_rng(0).integers(0, 256, size=(10, 1, 8, 8), dtype=np.uint8)


@pytest.mark.parametrize("batch_size", [3, 10, 1000])
def test_anchors_are_in_the_order_of_the_images_for_every_batch_size(batch_size: int) -> None:
    encoder = tiny_joint().encoder.eval()
    anchors = encode_images(encoder, IMAGES, batch_size=batch_size)
    assert anchors.shape == (10, LATENT_DIM)
    assert not anchors.requires_grad
    for image, anchor in zip(IMAGES, anchors, strict=True):
        # Float32 rounding of convolutions depends on the batch size: about 1e-6 for anchors of size 1.
        torch.testing.assert_close(anchor, encoder(dequantise(image[None]))[0].detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("num_rows", "batch_size"), [(10, 3), (10, 5), (2, 5), (7, 1), (0, 4)])
def test_full_batches_cover_all_rows_once_and_none_is_smaller_than_it_can_be(
    num_rows: int, batch_size: int
) -> None:
    rows, covered = list(range(num_rows)), []
    for batch in full_batches(num_rows, batch_size):
        assert len(rows[batch.rows]) == min(batch_size, num_rows)
        covered += rows[batch.rows][batch.new]
    assert covered == rows


def test_a_large_batch_is_encoded_in_parts_and_its_zones_are_those_of_all_its_images() -> None:
    """A linear encoder, so that parts change the last bits at most: sums of 4 products in float32."""
    sizes = []
    weights = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))

    def encoder(images: Tensor) -> Tensor:
        sizes.append(len(images))
        return images.flatten(1) @ weights

    images = torch.randn(2 * ENCODED_TOGETHER + 7, 1, 2, 2, generator=torch.Generator().manual_seed(1))
    anchors = encode_batch(encoder, images)
    assert sizes == [ENCODED_TOGETHER, ENCODED_TOGETHER, 7]
    torch.testing.assert_close(anchors, images.flatten(1) @ weights, rtol=0, atol=1e-6)
