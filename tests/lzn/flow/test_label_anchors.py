"""Label anchors and class frequencies."""

import pytest
import torch

from lzn.flow.label_anchors import LabelAnchors, class_frequencies


def test_labels_are_encoded_as_their_anchors():
    label_anchors = LabelAnchors(num_classes=4, latent_dim=3)
    labels = torch.tensor([2, 0, 2])
    assert torch.equal(label_anchors(labels), label_anchors.points[[2, 0, 2]])


def test_a_class_gets_the_sum_of_its_samples_gradients():
    label_anchors = LabelAnchors(num_classes=4, latent_dim=2)
    (label_anchors(torch.tensor([2, 0, 2])) * torch.tensor([[1.0], [10.0], [100.0]])).sum().backward()
    expected = torch.tensor([10.0, 0.0, 101.0, 0.0])[:, None].expand(4, 2)
    assert label_anchors.points.grad is not None
    assert torch.equal(label_anchors.points.grad, expected)


def test_initial_anchors_are_standard_normal_and_distinct():
    torch.manual_seed(0)
    points = LabelAnchors(num_classes=100, latent_dim=200).points.detach()
    # Four standard errors of 20 000 numbers: 0.007 each for the mean, 0.005 for the standard deviation.
    assert abs(float(points.mean())) < 0.03
    assert abs(float(points.std()) - 1) < 0.02
    assert len(points.unique(dim=0)) == 100


def test_frequencies_are_shares_of_the_batch_in_class_order():
    frequencies = class_frequencies(torch.tensor([3, 0, 3, 3]), num_classes=5)
    assert frequencies.dtype == torch.float64
    assert frequencies.tolist() == [0.25, 0.0, 0.0, 0.75, 0.0]


@pytest.mark.parametrize(("num_classes", "latent_dim"), [(0, 3), (4, 0)])
def test_zero_classes_or_dimensions_raise(num_classes: int, latent_dim: int):
    with pytest.raises(
        ValueError, match=f"num_classes={num_classes} and latent_dim={latent_dim} must be at least 1"
    ):
        LabelAnchors(num_classes, latent_dim)


def test_class_frequencies_do_not_synchronise_the_device():
    # A tensor of the meta device has no values: reading one raises an error.
    assert class_frequencies(torch.empty(6, dtype=torch.int64, device="meta"), num_classes=5).shape == (5,)
