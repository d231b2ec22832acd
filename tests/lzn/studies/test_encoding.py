"""The anchors of a whole data set."""

import numpy as np
import pytest
import torch
from lzn_testing.models.tiny_models import LATENT_DIM, tiny_joint

from lzn.data import dequantise
from lzn.studies import encode_images

IMAGES = np.random.default_rng(0).integers(0, 256, size=(10, 1, 8, 8), dtype=np.uint8)


@pytest.mark.parametrize("batch_size", [3, 10, 1000])
def test_every_image_gets_its_anchor_in_order_whatever_the_batches(batch_size: int) -> None:
    encoder = tiny_joint().encoder.eval()
    anchors = encode_images(encoder, IMAGES, batch_size=batch_size)
    assert anchors.shape == (10, LATENT_DIM)
    assert not anchors.requires_grad
    for image, anchor in zip(IMAGES, anchors, strict=True):
        # float32 rounding of the convolutions, which depends on the batch: 1e-6 of anchors of size 1
        torch.testing.assert_close(anchor, encoder(dequantise(image[None]))[0].detach(), rtol=1e-4, atol=1e-5)
