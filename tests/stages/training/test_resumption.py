"""When a training continues from its checkpoint, and when it starts again or refuses because its code changed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from lzn.base.sections import ParamsError, ParamsFile
from lzn.training import CheckpointFolder, TrainingSchedule
from stages.training import code_history
from stages.training.code_history import CodeHistory, code_tags
from stages.training.resumption import CheckpointParams, history_of_training, snapshot_file

NAME = "run rf, seed 0"
CODE = {"lzn/data/loading.py": "aa", "lzn/flow/solvers.py": "bb"}
OTHER_CODE = {**CODE, "lzn/data/loading.py": "cc"}
MINUTE = 60.0


@pytest.fixture(autouse=True)
def code(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The code of this process, which a test changes in place."""
    current = dict(CODE)
    monkeypatch.setattr(code_history, "file_fingerprints", lambda module: dict(current))
    monkeypatch.setattr(code_history, "git_commit", lambda: "abc")
    return current


def schedule(num_steps: int = 100, snapshot_steps: tuple[int, ...] = ()) -> TrainingSchedule:
    return TrainingSchedule(
        num_steps=num_steps,
        batch_size=4,
        learning_rates={"decoder": 1e-3},
        warmup_steps=1,
        ema_decay=0.9,
        snapshot_steps=snapshot_steps,
    )


def save(folder: Path, *, step: int, minutes: float) -> None:
    """Save a checkpoint of a training that has taken ``minutes``."""

    def note(step: int) -> Mapping[str, Any]:
        return {**CodeHistory.new().note(step), "seconds": minutes * MINUTE}

    CheckpointFolder(folder, make_note=note).save(step, {"progress": {"step": step}})


def open_history(folder: Path, of_run: TrainingSchedule | None = None, **params: Any) -> CodeHistory:
    return history_of_training(folder, of_run or schedule(), CheckpointParams(**params), name=NAME)


def test_without_a_checkpoint_the_history_begins_with_the_code_of_now(tmp_path: Path) -> None:
    history = open_history(tmp_path / "rf")
    assert (history.versions[0].step, history.versions[0].files) == (0, CODE)
    assert history.changes == ()
    assert code_tags(history.changes) == {}


def test_a_training_whose_code_is_the_same_continues_and_its_time_is_added(tmp_path: Path) -> None:
    save(tmp_path / "rf", step=40, minutes=90)
    history = open_history(tmp_path / "rf")
    assert history.changes == ()
    assert history.seconds >= 90 * MINUTE
    assert history.note(50)["seconds"] >= 90 * MINUTE


def test_after_a_change_of_code_a_long_training_stops_with_files_steps_and_two_ways_on(
    tmp_path: Path, code: dict[str, str]
) -> None:
    save(tmp_path / "rf", step=40, minutes=90)
    code.update(OTHER_CODE)
    with pytest.raises(ParamsError) as error:
        open_history(tmp_path / "rf")
    message = str(error.value)
    assert message.startswith(
        f"{NAME}: the code changed since the checkpoint of step 40: lzn/data/loading.py. It has 1.5 hours of work."
    )
    assert "`continue` runs the new code from step 40 on" in message
    assert "`restart` trains again from step 0" in message
    assert CheckpointFolder(tmp_path / "rf").newest_note() is not None


def test_a_continued_training_names_every_change_with_its_step(tmp_path: Path, code: dict[str, str]) -> None:
    save(tmp_path / "rf", step=40, minutes=90)
    first_code = open_history(tmp_path / "rf").first_code
    code.update(OTHER_CODE)
    history = open_history(tmp_path / "rf", on_code_change="continue")
    CheckpointFolder(tmp_path / "rf", make_note=history.note).save(60, {})
    code["lzn/flow/new.py"] = "dd"
    history = open_history(tmp_path / "rf", on_code_change="continue")
    changes = [(change.step, change.files) for change in history.changes]
    assert changes == [(40, ("lzn/data/loading.py",)), (60, ("lzn/flow/new.py",))]
    assert history.first_code == first_code
    assert code_tags(history.changes) == {
        "code_changes": "step 40, commit abc: lzn/data/loading.py\nstep 60, commit abc: lzn/flow/new.py"
    }


def test_a_short_training_starts_again_and_says_so(
    tmp_path: Path, code: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "rf", step=40, minutes=19)
    code.update(OTHER_CODE)
    assert open_history(tmp_path / "rf").versions[0].files == OTHER_CODE
    assert not (tmp_path / "rf").exists()
    printed = capsys.readouterr().err
    assert "the code changed since the checkpoint of step 40: lzn/data/loading.py" in printed
    assert "it starts again from step 0, after 19.0 minutes of work" in printed


def test_the_limit_of_short_trainings_can_be_set(tmp_path: Path, code: dict[str, str]) -> None:
    save(tmp_path / "rf", step=40, minutes=19)
    code.update(OTHER_CODE)
    with pytest.raises(ParamsError, match=r"It has 19\.0 minutes of work"):
        open_history(tmp_path / "rf", restart_below_minutes=10)


def test_a_long_training_that_is_told_to_restart_keeps_its_old_checkpoint(
    tmp_path: Path, code: dict[str, str]
) -> None:
    save(tmp_path / "rf", step=40, minutes=90)
    code.update(OTHER_CODE)
    assert open_history(tmp_path / "rf", on_code_change="restart").changes == ()
    assert not (tmp_path / "rf").exists()
    kept = CheckpointFolder(tmp_path / "rf-until-step-40").newest_note()
    assert kept is not None
    assert kept.step == 40


def test_a_snapshot_step_that_a_long_training_has_passed_is_an_error(tmp_path: Path) -> None:
    folder = tmp_path / "rf"
    save(folder, step=40, minutes=90)
    snapshot_file(folder, 20).parent.mkdir()
    snapshot_file(folder, 20).touch()
    with pytest.raises(ParamsError, match=r"snapshot_steps has 30, of which there is no snapshot.*step 40"):
        open_history(folder, schedule(snapshot_steps=(20, 30, 60)), on_code_change="restart")


def test_a_long_training_is_not_repeated_for_fewer_steps(tmp_path: Path) -> None:
    save(tmp_path / "rf", step=100, minutes=90)
    with pytest.raises(ParamsError, match="num_steps is 50, and its checkpoint is of step 100"):
        open_history(tmp_path / "rf", schedule(50))
    assert open_history(tmp_path / "rf", schedule(150)).changes == ()


def test_a_short_training_with_fewer_steps_leaves_the_longer_one(tmp_path: Path) -> None:
    save(tmp_path / "rf", step=100, minutes=1)
    assert open_history(tmp_path / "rf", schedule(50)).seconds < MINUTE
    assert open_history(tmp_path / "rf").seconds >= MINUTE


def test_the_section_may_be_missing_and_names_the_key_of_a_mistake() -> None:
    assert CheckpointParams.of(ParamsFile(Path("p.yaml"), {})) == CheckpointParams()
    wrong = ParamsFile(Path("p.yaml"), {"checkpoints": {"on_code_change": "ignore"}})
    with pytest.raises(ParamsError, match=r"p.yaml: checkpoints.on_code_change"):
        CheckpointParams.of(wrong)
