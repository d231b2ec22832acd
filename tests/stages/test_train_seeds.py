"""Seeds that train in parallel: each as in a stage of its own; a stopped stage is continued."""

import signal
from pathlib import Path

import pytest
from lzn_testing.projects.train_folder import TrainFolder
from lzn_testing.servers.mlflow_runs import runs_of

pytestmark = pytest.mark.slow  # real processes, which import torch each time

NUM_STEPS = 84  # enough that a signal arrives in time on a busy machine
IN_PARALLEL = "hardware: {num_threads: 1, seeds_at_once: 2}"


def in_parallel(folder: TrainFolder) -> TrainFolder:
    file = folder.folder / "params.yaml"
    file.write_text(file.read_text().replace("hardware: {num_threads: 1}", IN_PARALLEL))
    return folder


def weights(folder: TrainFolder) -> dict[str, bytes]:
    files = (folder.folder / "outputs/tiny/train/rf").glob("seed_*/weights.safetensors")
    return {file.parent.name: file.read_bytes() for file in files}


@pytest.fixture(scope="module")
def sequential(tmp_path_factory: pytest.TempPathFactory) -> TrainFolder:
    folder = TrainFolder(tmp_path_factory.mktemp("seeds") / "serial", num_steps=NUM_STEPS, seeds=[0, 1, 2])
    folder.run("train", "rf")
    return folder


def test_parallel_seeds_have_the_weights_of_sequential_seeds(sequential: TrainFolder, tmp_path: Path) -> None:
    folder = in_parallel(TrainFolder(tmp_path / "both", num_steps=NUM_STEPS, seeds=[0, 1, 2]))
    folder.run("train", "rf")
    assert weights(folder) == weights(sequential)
    assert len(set(weights(folder).values())) == 3
    runs = {run.info.run_name: run.info.status for run in runs_of(folder.uri, "lzn-tiny")}
    assert runs == {f"rf, seed {seed}": "FINISHED" for seed in (0, 1, 2)}
    lines = (folder.folder / "outputs/tiny/plots/train/rf.csv").read_text().splitlines()
    assert [line.partition(",")[0] for line in lines] == ["step", *map(str, range(7, NUM_STEPS + 1, 7))]


def test_the_weights_of_a_seed_do_not_depend_on_other_seeds(sequential: TrainFolder, tmp_path: Path) -> None:
    folder = TrainFolder(tmp_path / "alone", num_steps=NUM_STEPS, seeds=[1])
    folder.run("train", "rf")
    assert weights(folder)["seed_1"] == weights(sequential)["seed_1"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_stopped_stage_continues_each_seed(
    sequential: TrainFolder, tmp_path: Path, number: signal.Signals
) -> None:
    folder = in_parallel(TrainFolder(tmp_path / "stopped", num_steps=NUM_STEPS, seeds=[0, 1, 2]))
    process = folder.start_training()
    folder.wait_for_checkpoint_after(0, process)
    process.send_signal(number)
    process.communicate(timeout=120)
    assert process.returncode == (-number if number == signal.SIGKILL else 128 + number)
    assert not (folder.folder / "outputs/tiny/plots/train/rf.csv").exists()
    folder.run("train", "rf")
    assert weights(folder) == weights(sequential)
