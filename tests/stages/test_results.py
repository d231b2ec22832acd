"""The stage results: which files git keeps, and which numbers `dvc metrics` shows."""

import json
from pathlib import Path

import pytest
import torch

from lzn.base.files import write_json
from lzn.base.sections import ParamsFile
from stages.measuring.plot_rows import write_plot_rows
from stages.results import write_results
from stages.runtime.outputs import OutputPaths
from stages.runtime.stage_main import StageCall

FAMILIES = "{generative: {rf: digits}, classifying: {joint: digits}, representing: {lzn: digits}}"


@pytest.fixture(autouse=True)
def _outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    outputs = OutputPaths("tiny")
    Path("params.yaml").write_text(f"size: tiny\nfamilies: {FAMILIES}\n")
    write_json(
        outputs.metrics("measure", "rf"), {"fd_digits": {"mean": 2.5, "std": 0.1}, "recall": {"mean": 0.3}}
    )
    write_json(outputs.measured("measure", "rf", 0), {"fd_digits": 2.5})
    write_json(outputs.metrics("classify", "joint"), {"accuracy": {"mean": 0.9}})
    probed = {"trained": {"without_head": {"top1": {"mean": 0.8}}, "with_head": {"top1": {"mean": 0.7}}}}
    write_json(outputs.metrics("probe", "lzn"), probed)
    for file in ("tables.md", "claims.md", "claims.json", "tables.json"):
        write_json(outputs.folder("tables") / file, file)
    write_plot_rows(
        outputs.plot("train", "rf.csv"), ["step", "loss", "skipped_steps"], [[25, 0.5, 0], [50, 0.25, 0]]
    )
    write_json(outputs.plot("sample", "rf.csv"), "not a curve")
    write_json(Path("results/tiny/old.json"), "of a run that was removed")
    write_results(StageCall(ParamsFile.read(Path("params.yaml")), None, outputs, torch.device("cpu")))


def test_dvc_shows_means_of_the_main_numbers_by_run() -> None:
    assert json.loads(Path("results/metrics/tiny.json").read_text()) == {
        "rf": {"fd_digits": 2.5},
        "joint": {"accuracy": 0.9},
        "lzn": {"trained.without_head.top1": 0.8},
    }


def test_dvc_draws_the_curves_of_all_generative_runs_in_one_picture() -> None:
    file = Path("results/plots/training_loss/tiny.csv")
    assert file.read_text() == "run,step,loss\nrf,25,0.5\nrf,50,0.25\n"


def test_a_picture_without_curves_has_only_its_header() -> None:
    assert Path("results/plots/euler_steps/tiny.csv").read_text() == "run,num_steps,distance\n"


def test_numbers_over_seeds_curves_and_tables_are_copied_and_files_of_removed_runs_deleted() -> None:
    folder = Path("results/tiny")
    assert sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*.*")) == [
        "claims.json",
        "claims.md",
        "curves/rf.csv",
        "metrics/classify/joint.json",
        "metrics/measure/rf.json",
        "metrics/probe/lzn.json",
        "tables.md",
    ]
