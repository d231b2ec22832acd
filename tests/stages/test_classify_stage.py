"""The picture of the zones: the class of each point of a plane through the latent space."""

import numpy as np
import torch
from lzn_testing.oracles.flow_problems import normal

from lzn.flow import Euler
from stages.classify import _zones_of_plane


def test_labels_above_255_keep_their_numbers() -> None:
    """As bytes, the classes 256 to 299 became 0 to 43."""
    label_anchors = 3 * normal(0, 300, 2).float()
    zones = _zones_of_plane(label_anchors, Euler(num_steps=20), num_points=60)
    assert zones.dtype == np.int32
    assert zones.shape == (60, 60)
    assert zones.max() > 255
    # In two dimensions all classes are in the plane, so the larger zones are in the picture.
    assert len(np.unique(zones)) > 150
    assert torch.from_numpy(zones).max() < 300
