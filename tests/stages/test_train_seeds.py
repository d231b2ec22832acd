"""Seeds that train side by side: each as if alone, and nothing lost when the stage is stopped."""

import signal
from pathlib import Path

import pytest
from lzn_testing.projects.train_folder import TrainFolder
from lzn_testing.servers.mlflow_runs import runs_of

pytestmark = pytest.mark.slow  # real processes, which import torch each time

NUM_STEPS = 84  # enough that a signal arrives in time on a busy machine
SIDE_BY_SIDE = "hardware: {num_threads: 1, seeds_at_once: 2}"


def side_by_side(folder: TrainFolder) -> TrainFolder:
    file = folder.folder / "params.yaml"
    file.write_text(file.read_text().replace("hardware: {num_threads: 1}", SIDE_BY_SIDE))
    return folder


def weights(folder: TrainFolder) -> dict[str, bytes]:
    files = (folder.folder / "outputs/tiny/train/rf").glob("seed_*/weights.safetensors")
    return {file.parent.name: file.read_bytes() for file in files}


@pytest.fixture(scope="module")
def one_after_another(tmp_path_factory: pytest.TempPathFactory) -> TrainFolder:
    folder = TrainFolder(tmp_path_factory.mktemp("seeds") / "serial", num_steps=NUM_STEPS, seeds=[0, 1, 2])
    folder.run("train", "rf")
    return folder


def test_seeds_side_by_side_have_the_weights_of_seeds_one_after_another(
    one_after_another: TrainFolder, tmp_path: Path
) -> None:
    folder = side_by_side(TrainFolder(tmp_path / "both", num_steps=NUM_STEPS, seeds=[0, 1, 2]))
    folder.run("train", "rf")
    assert weights(folder) == weights(one_after_another)
    assert len(set(weights(folder).values())) == 3
    runs = {run.info.run_name: run.info.status for run in runs_of(folder.uri, "lzn-tiny")}
    assert runs == {f"rf, seed {seed}": "FINISHED" for seed in (0, 1, 2)}
    lines = (folder.folder / "outputs/tiny/plots/train/rf.csv").read_text().splitlines()
    assert [line.partition(",")[0] for line in lines] == ["step", *map(str, range(7, NUM_STEPS + 1, 7))]


def test_a_seed_alone_has_the_weights_that_it_has_among_others(
    one_after_another: TrainFolder, tmp_path: Path
) -> None:
    folder = TrainFolder(tmp_path / "alone", num_steps=NUM_STEPS, seeds=[1])
    folder.run("train", "rf")
    assert weights(folder)["seed_1"] == weights(one_after_another)["seed_1"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_stopped_stage_goes_on_where_its_seeds_were(
    one_after_another: TrainFolder, tmp_path: Path, number: signal.Signals
) -> None:
    folder = side_by_side(TrainFolder(tmp_path / "stopped", num_steps=NUM_STEPS, seeds=[0, 1, 2]))
    process = folder.start_training()
    folder.wait_for_checkpoint_after(0, process)
    process.send_signal(number)
    process.communicate(timeout=120)
    assert process.returncode == (-number if number == signal.SIGKILL else 128 + number)
    assert not (folder.folder / "outputs/tiny/plots/train/rf.csv").exists()
    folder.run("train", "rf")
    assert weights(folder) == weights(one_after_another)
