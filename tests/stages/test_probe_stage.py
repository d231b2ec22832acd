"""The stage probe: both methods, controls, and accuracy along the training; once as a process, with two seeds."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lzn_testing import PROJECT
from lzn_testing.projects.small_runs import OUTPUTS, call, prepare_digits, write_params, write_run
from lzn_testing.servers.mlflow_runs import new_database, runs_of

from lzn.base.sections import ParamsError
from lzn.studies import REPRESENTATIONS
from stages.measuring.quantity import combine_seeds
from stages.probe import probe, write_curve_along_training

LOGISTIC = {"kind": "logistic", "max_iterations": 50}
ADAMW = {"kind": "adamw", "num_epochs": 30, "batch_size": 64, "learning_rate": 3e-2, "augmented": False}
PROBE: dict[str, Any] = {
    "seed": 0, "batch_size": 400, "method": LOGISTIC, "controls": ["raw_pixels", "untrained"],
    "along_training": LOGISTIC,
}  # fmt: skip


def probed(run: str = "representation", *, seed: int = 0, **changes: Any) -> dict[str, Any]:
    write_params(probe={"digits": {**PROBE, **changes}})
    return probe(call(run, seed=seed))


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("probe")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_params(probe={"digits": PROBE})
        prepare_digits()
        write_run("representation", seeds=[0, 1], num_steps=40)
        write_run("rf")
        yield folder


@pytest.mark.slow  # starts a process for each seed
def test_the_stage_writes_numbers_of_each_seed_their_mean_and_the_curve_along_the_training(
    folder: Path,
) -> None:
    uri = new_database(folder)
    write_params(probe={"digits": PROBE})
    run_stage(folder, uri)
    by_seed = [json.loads(OUTPUTS.measured("probe", "representation", seed).read_text()) for seed in (0, 1)]
    assert by_seed[0] == probed()  # another process, the same numbers
    assert by_seed[1] != by_seed[0]
    for found in by_seed:
        assert found.keys() == {"trained", "untrained", "raw_pixels", "along_training"}
        assert found["trained"].keys() == found["untrained"].keys() == set(REPRESENTATIONS)
        assert found["along_training"].keys() == {"20", "40"}
        assert found["along_training"]["40"] == found["trained"]["without_head"]  # the end of the training
        assert found["along_training"]["20"] != found["along_training"]["40"]
        # Pixels of digits are nearly separable by lines; ten classes by chance give 0.1.
        assert found["raw_pixels"]["pixels"]["top1"] > 0.8
        assert found["trained"]["without_head"]["top1"] > found["trained"]["with_latent"]["top1"] > 0.1
    tops = [found["trained"]["without_head"]["top1"] for found in by_seed]
    summary = json.loads(OUTPUTS.metrics("probe", "representation").read_text())
    assert summary["trained"]["without_head"]["top1"]["mean"] == pytest.approx(sum(tops) / 2)
    header, *rows = OUTPUTS.plot("probe", "representation.csv").read_text().splitlines()
    assert header == "step,top1,std"
    assert [row.split(",")[0] for row in rows] == ["20", "40"]
    assert float(rows[1].split(",")[1]) == pytest.approx(sum(tops) / 2)
    logged = {
        run.info.run_name: run.data.metrics["probe/trained.without_head.top1"]
        for run in runs_of(uri, "lzn-tiny")
    }
    assert logged == {"representation, seed 0": tops[0], "representation, seed 1": tops[1]}


def run_stage(folder: Path, uri: str) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": str(PROJECT),
        "MLFLOW_TRACKING_URI": uri,
        "CUDA_VISIBLE_DEVICES": "",
    }
    command = [sys.executable, "-m", "stages.probe", "representation"]
    result = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("augmented", [False, True])
def test_the_papers_probe_measures_four_representations_and_is_reproducible(augmented: bool) -> None:
    changes = {"controls": [], "along_training": None}
    found = probed(method={**ADAMW, "augmented": augmented}, **changes)
    assert found.keys() == {"trained"}
    assert found["trained"].keys() == set(REPRESENTATIONS)
    assert all(0 <= result["top1"] <= result["top5"] <= 1 for result in found["trained"].values())
    assert found["trained"]["without_head"]["top1"] > 0.3  # chance is 0.1; measured 0.48, augmented 0.41
    short = {**ADAMW, "augmented": augmented, "num_epochs": 2}
    first, same = (probed(method=short, **changes) for _ in range(2))
    assert first == same
    assert probed(method=short, seed=1, **changes) != first


def test_augmentation_changes_accuracy_and_without_it_adamw_agrees_with_logistic_regression() -> None:
    changes = {"controls": ["raw_pixels"], "along_training": None}
    logistic, fixed, briefly, augmented_briefly = (
        probed(method=method, **changes)["raw_pixels"]["pixels"]
        for method in (
            LOGISTIC,
            ADAMW,
            {**ADAMW, "num_epochs": 1},
            {**ADAMW, "num_epochs": 1, "augmented": True},
        )
    )
    assert augmented_briefly != briefly
    # The same features of 179 images; AdamW stops early without a penalty, logistic regression has a penalty.
    assert fixed["top1"] == pytest.approx(logistic["top1"], abs=0.05)


def test_settings_of_a_run_replace_those_of_all_runs() -> None:
    own = {"method": LOGISTIC, "controls": [], "along_training": None}
    assert probed(of_runs={"representation": own}).keys() == {"trained"}
    assert probed(of_runs={"other": own}).keys() == {"trained", "untrained", "raw_pixels", "along_training"}


def test_without_snapshots_the_curve_has_only_the_trained_run() -> None:
    measured = probed(controls=[], along_training=None)
    write_curve_along_training(call("representation", seed=None), combine_seeds({0: measured}))
    rows = OUTPUTS.plot("probe", "representation.csv").read_text().splitlines()[1:]
    assert rows == [f"40,{measured['trained']['without_head']['top1']!r},"]


def test_the_error_of_a_wrong_run_or_parameter_names_it() -> None:
    with pytest.raises(ParamsError, match=r"'generation', .* remove it from families\.representing"):
        probed("rf")
    with pytest.raises(ParamsError, match=r"probe\.digits: batch_size must lie in \[1, 179\]"):
        probed(method={**ADAMW, "batch_size": 180}, controls=[], along_training=None)
    with pytest.raises(
        ParamsError, match=r"probe\.digits\.method\.kind: Field required, one of adamw, logistic"
    ):
        probed(method={"max_iterations": 5})
