"""The stage zones on untrained runs of each study."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from lzn_testing.projects.small_runs import (
    NUM_TEST,
    NUM_TRAIN,
    call,
    prepare_digits,
    write_params,
    write_run,
)

from lzn.base.sections import ParamsError
from stages.classify import classify
from stages.zones import measure_zones

FINE = {"kind": "dpm", "num_steps": 60}
STABILITY: dict[str, Any] = {
    "seed": 0, "latent_solver": FINE, "zone_solver": FINE, "num_pairs": 4, "samples_per_pair": 25,
    "bank_samples": 100,
}  # fmt: skip


def write_zones(**stability: Any) -> None:
    """Write the parameters, with changes of ``zones.digits.stability``."""
    zones = {
        "encoding_batch_size": 50,
        "stability": {**STABILITY, **stability},
        "classification": {"batch_size": 400},
    }
    write_params(zones={"digits": zones}, classify={"digits": {"batch_size": 400, "slice_points": 4}})


@pytest.fixture(scope="module")
def measured() -> Mapping[str, Any]:
    """The numbers of each run with the parameters above."""
    return {run: measure_zones(call(run)) for run in ("rf_lzn", "representation", "joint")}


@pytest.fixture(scope="module", autouse=True)
def _runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Prepared digits and untrained runs in a folder, which is the current one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("zones"))
        write_zones()
        prepare_digits()
        for name in ("rf", "rf_lzn", "representation", "joint"):
            write_run(name)
        yield


@pytest.mark.parametrize("run", ["rf_lzn", "representation", "joint"])
def test_latents_stay_in_their_zones_in_the_bank_and_not_in_redrawn_batches(
    measured: Mapping[str, Any], run: str
) -> None:
    numbers = measured[run]
    assert numbers["num_anchors"] == {"batch": 64, "bank": NUM_TRAIN}
    counts = {name: numbers[name]["num_latents"] for name in ("redrawn_batch", "same_batch", "bank")}
    assert counts == {"redrawn_batch": 100, "same_batch": 100, "bank": 100}
    # With sixty steps, a few latents near a border leave their zones; in redrawn batches about half do.
    assert numbers["same_batch"]["share"] > 0.9
    assert numbers["bank"]["share"] > 0.9
    assert numbers["redrawn_batch"]["share"] < 0.8
    assert numbers["redrawn_batch"]["standard_error"] > 0


def test_only_runs_with_labels_have_an_accuracy_which_in_batches_is_that_of_classify(
    measured: Mapping[str, Any],
) -> None:
    assert "accuracy" not in measured["rf_lzn"]
    assert "accuracy" not in measured["representation"]
    of_classify = classify(call("joint"))["accuracy"]
    accuracy = measured["joint"]["accuracy"]
    assert accuracy["batch"] == of_classify
    assert (accuracy["bank"] * NUM_TEST) % 1 == pytest.approx(0, abs=1e-6)  # a share of the test images


def test_numbers_depend_only_on_the_seed(measured: Mapping[str, Any]) -> None:
    first = measured["rf_lzn"]
    assert measure_zones(call("rf_lzn")) == first
    write_zones(seed=1)
    assert measure_zones(call("rf_lzn")) != first
    write_zones()


def test_a_run_without_encoder_and_more_samples_than_images_are_errors() -> None:
    with pytest.raises(ParamsError, match=r"run rf has no encoder: remove it from families\.encoding"):
        measure_zones(call("rf"))
    for numbers, message in (
        (
            {"samples_per_pair": 117},
            "samples_per_pair=117 and batch_size=64 need 180 anchors, but there are 179",
        ),
        ({"bank_samples": 180}, r"num_chosen must lie in \[1, 179\], got 180"),
    ):
        write_zones(**numbers)
        with pytest.raises(ParamsError, match=rf"params.yaml: zones.digits.stability: {message}"):
            measure_zones(call("joint"))
    write_zones()
