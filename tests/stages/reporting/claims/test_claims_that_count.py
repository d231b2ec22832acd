"""Claims that count comparisons: most metrics, most numbers of steps, and the three implementations of FID."""

from collections.abc import Mapping, Sequence

import pytest
from lzn_testing.projects.claims_of_runs import claims_of
from lzn_testing.projects.numbers_of_runs import NumbersOfRuns, over_seeds

from stages.reporting.claims import Claim
from stages.reporting.verdict import Verdict

pytestmark = pytest.mark.usefixtures("folder")
BASE = 50.0
IMPLEMENTATIONS = ("fid", "fid_rf", "fid_clean")
METRICS = {"fid": -1, "sfid": -1, "is": 1, "precision": 1, "recall": 1, "cmmd": -1, "reconstruction": -1}
"""The metrics of table 1 by their keys, and the sign of a change for the better."""
SAME_ORDER = {
    "Three implementations of FID rank RF and RF+LZN in the same order (CIFAR10)": ("rf", "rf_lzn"),
    "Three implementations of FID rank RF and RF+LZN in the same order (CelebA-HQ)": (
        "rf_faces",
        "rf_lzn_faces",
    ),
    "Three implementations of FID rank conditional RF and RF+LZN in the same order": (
        "rf_conditional",
        "joint",
    ),
}
STEPS = {
    "RF+LZN is better at most numbers of Euler steps (CIFAR10)": ("rf", "rf_lzn"),
    "RF+LZN is better at most numbers of Euler steps (CelebA-HQ)": ("rf_faces", "rf_lzn_faces"),
    "Conditional RF+LZN is better at most numbers of Euler steps": ("rf_conditional", "joint"),
}
MOST_METRICS = {
    "RF+LZN is better in most metrics (CIFAR10)": ("rf", "rf_lzn", "5 of 7"),
    "RF+LZN is better in most metrics (CelebA-HQ)": ("rf_faces", "rf_lzn_faces", "5 of 7"),
    "With u = 5, RF+LZN is still better than conditional RF in most metrics": (
        "rf_conditional",
        "joint_u5",
        "most (3 of 6 in the table)",
    ),
}


def most_metrics(
    changes: Sequence[Mapping[str, float]], *, statement: str = "RF+LZN is better in most metrics (CIFAR10)"
) -> Claim:
    """Return the claim if the metrics change from `BASE` by these numbers in each seed."""
    rf, rf_lzn, _ = MOST_METRICS[statement]
    numbers = NumbersOfRuns()
    numbers.write("measure", rf, [dict.fromkeys(change, BASE) for change in changes])
    numbers.write("measure", rf_lzn, [{name: BASE + by for name, by in change.items()} for change in changes])
    return claims_of(numbers)[statement]


def change(better: Sequence[str], worse: Sequence[str]) -> dict[str, float]:
    """Return a change of each metric for the better or the worse."""
    return {name: METRICS[name] for name in better} | {name: -METRICS[name] for name in worse}


@pytest.mark.parametrize("statement", MOST_METRICS)
def test_most_metrics_are_more_than_half_of_them(statement: str) -> None:
    names = list(METRICS)
    four, three = change(names[:4], names[4:]), change(names[4:], names[:4])
    claim = most_metrics([four], statement=statement)
    assert claim.quantity is not None
    assert claim.quantity.by_seed == pytest.approx({0: 400 / 7})
    assert (claim.verdict, claim.ours) == (Verdict.HOLDS, "4 of 7 (means over seeds)")
    assert claim.paper == MOST_METRICS[statement][2]
    assert most_metrics([three], statement=statement).verdict is Verdict.FAILS
    assert most_metrics([four, three], statement=statement).verdict is Verdict.UNDECIDED


def test_half_of_the_metrics_are_not_most() -> None:
    assert most_metrics([change(["fid", "is"], ["sfid", "recall"])]).verdict is Verdict.UNDECIDED


def test_the_three_implementations_of_fid_count_once_among_the_metrics() -> None:
    """FID is better in all three, two other metrics are worse: 1 of 3, not 3 of 5."""
    of_fid = dict.fromkeys(IMPLEMENTATIONS, -1.0)
    claim = most_metrics([of_fid | change([], ["is", "recall"])])
    assert (claim.verdict, claim.ours) == (Verdict.FAILS, "1 of 3 (means over seeds)")


def test_own_distances_and_numbers_that_are_no_metrics() -> None:
    """A lower own distance is better; the duration is no metric."""
    claim = most_metrics([{"fd_digits": -1.0, "recall": -1.0, "mmd_digits": -1.0, "seconds": -1.0}])
    assert claim.ours == "2 of 3 (means over seeds)"


@pytest.mark.parametrize("statement", SAME_ORDER)
@pytest.mark.parametrize(
    ("gains", "judged", "verdict"),
    [
        ([(3, 1, 2)], [1], Verdict.HOLDS),
        ([(-3, -2, -1)], [1], Verdict.HOLDS),  # the same order, although RF+LZN is worse
        ([(3, 2, -1)], [-1], Verdict.FAILS),
        ([(3, -1, 2)], [-1], Verdict.FAILS),
        ([(-1, 2, -3)], [-2], Verdict.FAILS),
        ([(3, 1, 2), (3, -1, 2)], [1, -1], Verdict.UNDECIDED),
    ],
)
def test_implementations_agree_if_the_smallest_gain_has_the_sign_of_the_first(
    statement: str, gains: Sequence[Sequence[float]], judged: Sequence[float], verdict: Verdict
) -> None:
    rf, rf_lzn = SAME_ORDER[statement]
    numbers = NumbersOfRuns()
    numbers.write("measure", rf, [dict.fromkeys(IMPLEMENTATIONS, BASE)] * len(gains))
    after = [
        {name: BASE - gained for name, gained in zip(IMPLEMENTATIONS, one, strict=True)} for one in gains
    ]
    numbers.write("measure", rf_lzn, after)
    claim = claims_of(numbers)[statement]
    assert claim.quantity is not None
    assert claim.quantity.by_seed == pytest.approx(dict(enumerate(judged)))
    assert (claim.verdict, claim.paper) == (verdict, "same order")
    if len(gains) == 1:
        assert claim.ours == ", ".join(f"{gained:g}" for gained in gains[0])


def test_two_of_three_implementations_are_not_enough() -> None:
    numbers = NumbersOfRuns()
    numbers.write("measure", "rf", over_seeds(fid=[2.0], fid_rf=[2.0], fid_clean=[2.0]))
    numbers.write("measure", "rf_lzn", over_seeds(fid=[1.0], fid_rf=[1.0]))
    claim = claims_of(numbers)[next(iter(SAME_ORDER))]
    assert claim.verdict is Verdict.NOT_MEASURABLE


@pytest.mark.parametrize("statement", STEPS)
@pytest.mark.parametrize(
    ("gains", "share", "verdict"),
    [
        ([(1, 1, -9)], [200 / 3], Verdict.HOLDS),
        ([(9, -1, -1)], [100 / 3], Verdict.FAILS),
        ([(1, 1, -9), (9, -1, -1)], [200 / 3, 100 / 3], Verdict.UNDECIDED),
        ([(9, 0, 0)], [100 / 3], Verdict.FAILS),  # equal distances are not better
    ],
)
def test_rf_lzn_is_better_at_most_steps_if_its_distance_is_lower_at_more_than_half(
    statement: str, gains: Sequence[Sequence[float]], share: Sequence[float], verdict: Verdict
) -> None:
    rf, rf_lzn = STEPS[statement]
    numbers, steps = NumbersOfRuns(), ("2", "10", "100")
    other = dict.fromkeys(steps, 1.0)  # only RF has this distance, so it is not compared
    numbers.write(
        "steps", rf, [{"distance": {"fd_digits": other, "fid": dict.fromkeys(steps, BASE)}} for _ in gains]
    )
    after = [{n: BASE - gained for n, gained in zip(steps, one, strict=True)} for one in gains]
    numbers.write("steps", rf_lzn, [{"distance": {"fid": {**one, "500": 1.0}}} for one in after])
    claim = claims_of(numbers)[statement]
    assert claim.quantity is not None
    assert claim.quantity.by_seed == pytest.approx(dict(enumerate(share)))
    assert claim.verdict is verdict
    assert "(2, 10, 100)" in claim.note
