"""The stage settings: accuracy by batch size and alpha."""

from collections.abc import Iterator
from typing import Any

import pytest
from lzn_testing.projects.small_runs import NUM_TEST, OUTPUTS, call, prepare_digits, write_params, write_run

from lzn.base.sections import ParamsError
from stages.classify import classify
from stages.measuring.quantity import combine_seeds
from stages.settings import measure_settings, write_accuracies

SETTINGS: dict[str, Any] = {
    "seed": 0,
    "batch_sizes": [100, 400],
    "alphas": [0.0, 1.0],
}


def write_settings(**changes: Any) -> None:
    classify_params = {"batch_size": 400, "slice_points": 4}
    write_params(settings={"digits": {**SETTINGS, **changes}}, classify={"digits": classify_params})


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("settings"))
        write_settings()
        prepare_digits()
        write_run("joint_no_gen", num_steps=40)
        write_run("rf_lzn")
        yield


def test_alpha_0_gives_the_accuracy_of_classify_and_alpha_1_a_lower_one() -> None:
    """As in the paper's Figure 25: smaller alpha and larger batches classify better."""
    found = measure_settings(call("joint_no_gen"))["accuracy"]
    assert {size: set(by_alpha) for size, by_alpha in found.items()} == {"100": {"0", "1"}, "400": {"0", "1"}}
    assert found["400"]["0"] == classify(call("joint_no_gen"))["accuracy"]
    assert found["400"]["0"] > found["400"]["1"]
    assert found["400"]["1"] > found["100"]["1"]
    correct = found["100"]["1"] * NUM_TEST
    assert correct == pytest.approx(round(correct), abs=1e-6)  # a share of the test images


def test_the_noise_depends_on_the_seed_and_not_on_other_settings() -> None:
    write_settings(batch_sizes=[400], alphas=[1.0])
    alone = measure_settings(call("joint_no_gen"))["accuracy"]["400"]["1"]
    write_settings()
    assert measure_settings(call("joint_no_gen"))["accuracy"]["400"]["1"] == alone
    write_settings(batch_sizes=[400], alphas=[1.0], seed=1)
    assert measure_settings(call("joint_no_gen"))["accuracy"]["400"]["1"] != alone
    write_settings()


def test_the_plot_has_a_row_for_each_pair_with_the_deviation_over_seeds() -> None:
    measured = {
        0: {"accuracy": {"400": {"0": 0.9, "0.45": 0.8}, "1000": {"0": 0.5}, "100": {"1": 0.7, "0.2": 0.75}}},
        1: {"accuracy": {"400": {"0": 1.0, "0.45": 0.8}, "1000": {"0": 0.5}, "100": {"1": 0.7, "0.2": 0.75}}},
    }
    write_accuracies(call("joint_no_gen", seed=None), combine_seeds(measured))
    header, *rows = OUTPUTS.plot("settings", "joint_no_gen.csv").read_text().splitlines()
    assert header == "batch_size,alpha,accuracy,std"
    cells = [[float(cell) for cell in row.split(",")] for row in rows]
    assert [row[:2] for row in cells] == [[100, 0.2], [100, 1], [400, 0], [400, 0.45], [1000, 0]]
    assert cells[2][2:] == pytest.approx([0.95, 0.1 / 2**0.5])
    assert cells[3][2:] == pytest.approx([0.8, 0.0])


def test_a_run_without_labels_is_an_error() -> None:
    with pytest.raises(
        ParamsError, match=r"run rf_lzn is of the study 'generation', .* remove it from families\.classifying"
    ):
        measure_settings(call("rf_lzn"))
