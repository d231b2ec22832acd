"""Whether a training continues from its checkpoint, or starts again because its code has changed."""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from lzn.base.sections import ParamsError, ParamsFile, Section
from lzn.training import CheckpointFolder, TrainingSchedule
from lzn.training.checkpoints import CheckpointNote
from stages.training.code_history import MINUTE, CodeHistory, CodeVersion

SECTION = "checkpoints"
SNAPSHOTS = "snapshots"
"""Folder, beside the checkpoints, of the averaged weights at the run's ``training.snapshot_steps`` (Figure 20)."""


class CheckpointParams(Section):
    """The section ``checkpoints``, which parameter files may leave out."""

    on_code_change: Literal["continue", "restart"] | None = None
    """What a training does whose code has changed since its checkpoint; None: a short one starts again, and a longer
    one stops with an error."""
    restart_below_minutes: Annotated[float, Field(ge=0)] = 20.0
    """The time up to which a training is short."""

    @staticmethod
    def of(params: ParamsFile) -> "CheckpointParams":
        """Read the section. Raises ParamsError if it is not valid."""
        if SECTION not in params.content:
            return CheckpointParams()
        section: CheckpointParams = params.section(SECTION, CheckpointParams)
        return section


def snapshot_file(checkpoints: Path, step: int) -> Path:
    """Return the file of the averaged weights after ``step`` steps."""
    return checkpoints / SNAPSHOTS / f"step_{step:09d}.safetensors"


def history_of_training(
    checkpoints: Path, schedule: TrainingSchedule, params: CheckpointParams, *, name: str
) -> CodeHistory:
    """Return the code history of a training that continues from ``checkpoints`` or starts anew.

    A training starts anew if there is no checkpoint, or if it cannot simply continue and has taken less than
    ``params.restart_below_minutes``; its folder is then deleted. With ``on_code_change: restart`` a longer one starts
    anew too, and its folder is renamed.

    Args:
        checkpoints: the folder of checkpoints, which depends on everything that shapes the steps but the code.
        schedule: the schedule of the run.
        params: the section ``checkpoints``.
        name: the name of the training in messages.

    Raises:
        ParamsError: the training cannot simply continue, and has taken longer; the message says what can be done.
    """
    folder = CheckpointFolder(checkpoints)
    note = folder.newest_note(up_to=schedule.num_steps)
    if note is None:
        longer = folder.newest_note()
        if longer is not None:  # it stays, beside the checkpoints of the shorter training
            _require_permission(_longer_than_the_run(longer, schedule), longer, params, name=name)
        return CodeHistory.new()
    history, code = CodeHistory.of_note(note), CodeVersion.now(step=note.step)
    passed = [step for step in schedule.snapshot_steps if step <= note.step]
    missing = [step for step in passed if not snapshot_file(checkpoints, step).exists()]
    if missing:
        _restart(_without_snapshots(missing, note, checkpoints), note, checkpoints, params, name=name)
        return CodeHistory.new()
    changed = code.difference(history.versions[-1])
    if not changed:
        return history
    if params.on_code_change == "continue":
        print(
            f"train: {name}: continues from step {note.step} with other code: {', '.join(changed)}",
            file=sys.stderr,
        )
        return history.continued_with(code)
    _restart(_other_code(changed, note, history), note, checkpoints, params, name=name)
    return CodeHistory.new()


@dataclass(frozen=True)
class _Obstacle:
    """Why a training cannot simply continue, what can be done, and whether the code is the reason."""

    reason: str
    remedy: str
    is_code: bool = False


def _other_code(changed: tuple[str, ...], note: CheckpointNote, history: CodeHistory) -> _Obstacle:
    return _Obstacle(
        f"the code changed since the checkpoint of step {note.step}: {', '.join(changed)}",
        f"Set {SECTION}.on_code_change in params.yaml: `continue` runs the new code from step {note.step} on, and "
        "run.json and MLflow name the change; `restart` trains again from step 0. Or go back to the code of commit "
        f"{history.versions[-1].commit}",
        is_code=True,
    )


def _without_snapshots(missing: list[int], note: CheckpointNote, checkpoints: Path) -> _Obstacle:
    steps = ", ".join(map(str, missing))
    return _Obstacle(
        f"training.snapshot_steps has {steps}, of which there is no snapshot, and the checkpoint is of step "
        f"{note.step}",
        f"Remove {steps} from snapshot_steps, or rename {checkpoints} to train again from step 0",
    )


def _longer_than_the_run(note: CheckpointNote, schedule: TrainingSchedule) -> _Obstacle:
    return _Obstacle(
        f"training.num_steps is {schedule.num_steps}, and its checkpoint is of step {note.step}",
        "Set num_steps to this step or more, or train the shorter run under another name",
    )


def _require_permission(
    obstacle: _Obstacle, note: CheckpointNote, params: CheckpointParams, *, name: str
) -> None:
    """Raise ParamsError if the training took long, and the parameters do not say that it starts again."""
    is_wanted = obstacle.is_code and params.on_code_change == "restart"
    if not is_wanted and not _is_short(note, params):
        raise ParamsError(f"{name}: {obstacle.reason}. It has {_work_of(note)} of work. {obstacle.remedy}")


def _restart(
    obstacle: _Obstacle, note: CheckpointNote, checkpoints: Path, params: CheckpointParams, *, name: str
) -> None:
    """Remove the folder of checkpoints, or rename it if the training took long.

    Raises:
        ParamsError: see `_require_permission`.
    """
    _require_permission(obstacle, note, params, name=name)
    done = f"it starts again from step 0, after {_work_of(note)} of work"
    if _is_short(note, params):
        shutil.rmtree(checkpoints)
    else:
        kept = checkpoints.with_name(f"{checkpoints.name}-until-step-{note.step}")
        shutil.rmtree(kept, ignore_errors=True)  # of an earlier restart at the same step
        checkpoints.rename(kept)
        done += f", which {kept} keeps"
    print(f"train: {name}: {obstacle.reason}; {done}", file=sys.stderr)


def _is_short(note: CheckpointNote, params: CheckpointParams) -> bool:
    return bool(note.content["seconds"] / MINUTE < params.restart_below_minutes)


def _work_of(note: CheckpointNote) -> str:
    minutes = note.content["seconds"] / MINUTE
    return f"{minutes:.1f} minutes" if minutes < MINUTE else f"{minutes / MINUTE:.1f} hours"
