"""The stage train, called again with more steps or after a change of code."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from lzn_testing.projects.train_folder import TrainFolder
from lzn_testing.servers.mlflow_runs import runs_of

from lzn.base.sections import ParamsFile
from lzn.training import CheckpointFolder
from stages.runtime.outputs import OutputPaths
from stages.runtime.stage_main import StageCall
from stages.train import train_seed

pytestmark = pytest.mark.slow  # trainings with their own MLflow databases

Train = Callable[..., dict[str, bytes]]


@pytest.fixture
def train(monkeypatch: pytest.MonkeyPatch) -> Train:
    """Train seed 0 in a folder with another number of steps, and return its outputs."""
    monkeypatch.setenv("LZN_PROCESSES", "1")

    def run(folder: TrainFolder, *, num_steps: int, section: str = "") -> dict[str, bytes]:
        file = folder.folder / "params.yaml"
        lines = [line for line in file.read_text().splitlines() if not line.startswith("checkpoints:")]
        changed = [f"      num_steps: {num_steps}" if "num_steps:" in line else line for line in lines]
        file.write_text("\n".join([*changed, section]))
        monkeypatch.chdir(folder.folder)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", folder.uri)
        params, cpu = ParamsFile.read(Path("params.yaml")), torch.device("cpu")
        train_seed(StageCall(params, "rf", OutputPaths("tiny"), cpu, seed=0, shows_progress=False))
        return folder.outputs()

    return run


def test_100_steps_and_50_more_write_the_outputs_of_150_steps(
    tmp_path: Path, train: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = train(TrainFolder(tmp_path / "straight", num_steps=150), num_steps=150)
    folder = TrainFolder(tmp_path / "prolonged", num_steps=100)
    train(folder, num_steps=100)
    assert folder.checkpoints() == [90, 100]
    assert train(folder, num_steps=150) == expected
    assert set(expected) == {"weights.safetensors", "run.json", "curve.csv"}
    assert "train:" not in capsys.readouterr().err
    ends = {run.data.params["training.num_steps"]: run.info.status for run in runs_of(folder.uri, "lzn-tiny")}
    assert ends == {"100": "FINISHED", "150": "FINISHED"}


def test_a_change_of_code_stands_in_run_json_and_mlflow_with_its_step(
    tmp_path: Path, train: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = TrainFolder(tmp_path / "changed", num_steps=40)
    train(folder, num_steps=40)
    pretend_that_the_checkpoints_are_of_other_code(folder)
    outputs = train(folder, num_steps=50, section="checkpoints: {on_code_change: continue}")
    assert "continues from step 40 with other code: lzn/flow/solvers.py" in capsys.readouterr().err
    (change,) = json.loads(outputs["run.json"])["code_changes"]
    assert (change["step"], change["files"]) == (40, ["lzn/flow/solvers.py"])
    run = next(r for r in runs_of(folder.uri, "lzn-tiny") if r.data.params["training.num_steps"] == "50")
    assert run.data.tags["code_changes"].startswith("step 40, commit ")


def pretend_that_the_checkpoints_are_of_other_code(folder: TrainFolder) -> None:
    (path,) = {file.parent for file in folder.folder.glob(".checkpoints/*/*/*.pt")}
    state = CheckpointFolder(path).load_newest()
    assert state is not None
    note = state.pop("note")
    note["versions"][0]["files"]["lzn/flow/solvers.py"] = "0" * 16
    CheckpointFolder(path, make_note=lambda step: note).save(state["progress"]["step"], state)
