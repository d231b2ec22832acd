"""The families of params.yaml: which trained runs go through a stage, and the error for a run that cannot."""

from typing import TypeVar

from lzn.base.sections import ParamsError
from lzn.runs.configuration import Run
from lzn.runs.trained import TrainedRun
from stages.runtime.stage_main import StageCall

RunOfStudy = TypeVar("RunOfStudy", bound=Run)


def require_study(
    call: StageCall, trained: TrainedRun, run_type: type[RunOfStudy], *, family: str
) -> RunOfStudy:
    """Return the configuration of the call's run, which must be of the type ``run_type``.

    Raises:
        ParamsError: the run is of another study.
    """
    if not isinstance(trained.run, run_type):
        raise wrong_family(
            call, family, f"is of the study '{trained.run.study}', which this stage cannot use"
        )
    return trained.run


def wrong_family(call: StageCall, family: str, reason: str) -> ParamsError:
    """Return the error for a run of ``families.<family>`` that the stage cannot use; ``reason`` follows its name."""
    return ParamsError(f"{call.params.path}: run {call.item} {reason}: remove it from families.{family}")
