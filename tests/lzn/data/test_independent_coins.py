"""The random decisions of a SimCLR view are independent of each other."""

import math
from itertools import combinations

import pytest
import torch

from lzn.base.randomness import BatchRandom
from lzn.data.simclr_views import SimCLRDistortions

NUM_VIEWS = 20_000
PROBABILITIES = {"flipped": 0.5, "jittered": 0.8, "grey": 0.2, "blurred": 0.6}
DISTORTIONS = SimCLRDistortions(blur_probability=PROBABILITIES["blurred"]).draw(
    BatchRandom.for_whole_batch(NUM_VIEWS, torch.Generator().manual_seed(0))
)


def assert_probability(events: torch.Tensor, expected: float) -> None:
    # Five standard deviations of a share of 20 000 independent events: 0.018 at most.
    tolerance = 5 * math.sqrt(expected * (1 - expected) / NUM_VIEWS)
    assert events.double().mean().item() == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize("name", PROBABILITIES)
def test_each_decision_has_its_probability(name: str) -> None:
    assert_probability(getattr(DISTORTIONS, name), PROBABILITIES[name])


@pytest.mark.parametrize(("one", "other"), list(combinations(PROBABILITIES, 2)))
def test_two_decisions_meet_with_the_product_of_their_probabilities(one: str, other: str) -> None:
    """Grey and jittered: 0.16. With one random number for both it would be 0.2."""
    both = getattr(DISTORTIONS, one) & getattr(DISTORTIONS, other)
    assert_probability(both, PROBABILITIES[one] * PROBABILITIES[other])


@pytest.mark.parametrize("name", PROBABILITIES)
def test_amounts_do_not_depend_on_decisions(name: str) -> None:
    """The means of the amounts, and of the blur, with and without the decision."""
    chosen = getattr(DISTORTIONS, name)
    amounts = torch.cat([DISTORTIONS.amounts, DISTORTIONS.sigmas[:, None], DISTORTIONS.order[:, :1]], dim=1)
    difference = amounts[chosen].mean(0) - amounts[~chosen].mean(0)
    # Standard deviations of the two means, at most that of the smaller group; five of them.
    smaller = min(int(chosen.sum()), int((~chosen).sum()))
    assert (difference.abs() < 5 * amounts.std(0) * math.sqrt(2 / smaller)).all()
