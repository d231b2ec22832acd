"""Claims whose numbers are missing or take the place of the paper's."""

import pytest
from lzn_testing.projects.claim_numbers import JUDGED, metric
from lzn_testing.projects.claims_of_runs import PARAMS, claims_of
from lzn_testing.projects.numbers_of_runs import NumbersOfRuns, over_seeds

from stages.measuring.quantity import Quantity
from stages.reporting.claims import all_claims
from stages.reporting.tables import TablesParams
from stages.reporting.tables.gap import NO_GAP
from stages.reporting.verdict import Verdict

pytestmark = pytest.mark.usefixtures("folder")
BETTER_FID = "RF+LZN has a better FID than RF (CIFAR10)"
GAP = "Unconditional RF+LZN closes a part of the gap in FID between unconditional and conditional RF"
NO_HEAD = {"trained": {"without_head": {"top1": 0.5}}}
FD = "Difference in FD (digits), in place of FID."


def test_every_claim_has_made_up_numbers() -> None:
    """A new claim needs a case in this folder: by one number, or among those that count."""
    counting = {
        claim
        for claim in claims_of(NumbersOfRuns())
        if claim.startswith(
            (
                "Three implementations",
                "Conditional RF+LZN is better at most",
                "RF+LZN is better",
                "With u = 5",
            )
        )
    }
    never_measured = {"RF+LZN has a better FID than RF on the other data sets"}
    assert set(claims_of(NumbersOfRuns())) == JUDGED.keys() | counting | never_measured


@pytest.mark.parametrize(
    ("name", "note"), [("fid", "Difference in FID."), ("fd_digits", FD), ("mmd_digits", None)]
)
def test_the_own_distance_takes_the_place_of_fid(name: str, note: str | None) -> None:
    """Among several distances only the own FD takes its place; a lower one is better."""
    numbers = NumbersOfRuns()
    metric("rf", "rf_lzn", name)(numbers, [2.0])
    claim = claims_of(numbers)[BETTER_FID]
    assert claim.verdict is (Verdict.HOLDS if note else Verdict.NOT_MEASURABLE)
    assert claim.note == (
        note or "not measured: it needs Inception features, which are made for natural images"
    )


def test_fid_is_judged_where_both_are_measured() -> None:
    numbers = NumbersOfRuns()
    numbers.write("measure", "rf", over_seeds(fd_digits=[2.0], fid=[5.0]))
    numbers.write("measure", "rf_lzn", over_seeds(fd_digits=[1.0], fid=[6.0]))
    assert claims_of(numbers)[BETTER_FID].quantity == Quantity({0: -1.0})


def test_accuracies_of_runs_on_other_data_are_not_compared_with_published_numbers() -> None:
    numbers = NumbersOfRuns()
    numbers.train("joint", "digits")
    numbers.train("representation", "digits")
    numbers.write("classify", "joint", over_seeds(accuracy=[0.99]))
    numbers.write("probe", "representation", [{"trained": {"without_head": {"top1": 0.99}}}])
    claims = claims_of(numbers)
    for statement, note in {
        "Accuracy is within about 1 point of the best classifier of table 3": "CIFAR10",
        "A linear classifier is more accurate on LZN's representations than on SimCLR's": "ImageNet",
    }.items():
        assert claims[statement].verdict is Verdict.NOT_MEASURABLE
        assert claims[statement].note.endswith(f"the paper's numbers are for {note}")


def test_the_worse_data_set_of_the_paper_is_named_if_it_is_missing() -> None:
    params = TablesParams(unconditional={"cifar10": PARAMS.unconditional["cifar10"]})
    numbers = NumbersOfRuns()
    claims = {claim.statement: claim for claim in all_claims(params, {}, numbers.results)}
    claim = claims["RF+LZN has a better FID than RF on the other data sets, except CelebA-HQ"]
    assert claim.paper == "AFHQ-Cat 6.08 → 5.68, CelebA-HQ 6.95 → 7.17, LSUN-Bedroom 6.25 → 5.95"
    assert claim.verdict is Verdict.NOT_MEASURABLE


@pytest.mark.parametrize("conditional", [10.0, 11.0])
def test_there_is_no_gap_if_conditional_rf_is_not_better(conditional: float) -> None:
    numbers = NumbersOfRuns()
    for run, fid in (("rf", 10.0), ("rf_lzn", 9.0), ("rf_conditional", conditional)):
        numbers.write("measure", run, over_seeds(fid=[fid]))
    claim = claims_of(numbers)[GAP]
    assert (claim.verdict, claim.note) == (Verdict.NOT_MEASURABLE, NO_GAP)


def test_a_gap_is_between_runs_on_the_same_data() -> None:
    numbers = NumbersOfRuns()
    numbers.train("rf_conditional", "digits")
    for run, fid in (("rf", 10.0), ("rf_lzn", 9.0), ("rf_conditional", 5.0)):
        numbers.write("measure", run, over_seeds(fid=[fid]))
    assert claims_of(numbers)[GAP].verdict is Verdict.NOT_MEASURABLE


def test_one_snapshot_does_not_show_an_improvement() -> None:
    numbers = NumbersOfRuns()
    numbers.write("probe", "representation", [{"along_training": {"100": {"top1": 0.9}}, **NO_HEAD}])
    claim = claims_of(numbers)["Accuracy still improves at the end of training"]
    assert claim.note == "the run has no snapshots of its training"


def test_the_best_setting_is_compared_only_if_that_of_training_was_measured() -> None:
    numbers = NumbersOfRuns()
    numbers.train("joint", "cifar10", batch_size=64)
    numbers.write("settings", "joint", [{"accuracy": {"32": {"1.0": 0.8}, "128": {"1.0": 0.9}}}])
    claim = claims_of(numbers)[
        "The best batch size and alpha are better than those of training with alpha = 1"
    ]
    assert claim.note == "the setting of training (batches of 64, alpha = 1) was not measured"


def test_the_notes_name_the_settings_that_are_compared() -> None:
    numbers = NumbersOfRuns()
    accuracies = {
        "32": {"1.0": 0.8, "0.0": 0.85},
        "128": {"1.0": 0.8, "0.0": 0.9},
        "360": {"1.0": 0.7, "0.0": 0.7},
    }
    numbers.write("settings", "joint", [{"accuracy": accuracies}])
    claims = claims_of(numbers)
    assert "batches of 32 → 360 images" in claims["Larger batches classify better"].note
    assert "alpha = 1 → 0," in claims["Smaller alpha classifies better"].note
    best = claims["The best batch size and alpha are better than those of training with alpha = 1"]
    assert "batches of 128, alpha = 0." in best.note
