"""Tags that MLflow's pages show: who ran which code, a description, and a colour for each run of params.yaml."""

import getpass
import re
import subprocess
from collections.abc import Mapping, Sequence

from stages.runtime.provenance import git, git_commit

PALETTE = (
    "#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#bcbd22", "#17becf", "#005f73",
)  # fmt: skip
"""Colours that a person can tell apart; runs after the tenth use them again."""
GREY = "#7f7f7f"
_USER_INFO = re.compile(r"(?<=://)[^/@]*@")
_GIT_SSH = re.compile(r"(?:ssh://)?git@([^:/]+)[:/](.+)")


def page_tags(stage_file: str, *, description: str, colour: str = GREY) -> dict[str, str]:
    """Return the tags of a run that the file ``stage_file`` (``stages/train.py``) makes.

    Args:
        stage_file: path of the stage's code, relative to the project.
        description: Markdown.
        colour: colour of the run in charts; all seeds of a run have the same.
    """
    repository = _repository()
    return {
        "mlflow.user": _user(),
        "mlflow.source.name": f"{repository}#{stage_file}" if repository else stage_file,
        "mlflow.source.type": "PROJECT" if repository else "LOCAL",
        "mlflow.source.git.commit": git_commit(),
        "mlflow.source.git.branch": _git("rev-parse", "--abbrev-ref", "HEAD") or "unknown",
        "mlflow.note.content": description,
        "mlflow.runColor": colour,
    }


def colour_of(run: str, runs: Sequence[str]) -> str:
    """Return the colour of a run, by its position in ``runs``."""
    return PALETTE[runs.index(run) % len(PALETTE)]


def describe_run(settings: Mapping[str, object], *, name: str) -> str:
    """Return a description of a run from its configuration: study, data, steps and batch size."""
    training = settings.get("training")
    length = (
        f", {training['num_steps']} training steps with batches of {training['batch_size']}"
        if isinstance(training, Mapping)
        else ""
    )
    return f"Run `{name}` of params.yaml: case study *{settings['study']}* on `{settings['data']}`{length}."


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container with a user number that has no name
        return "unknown"


def _repository() -> str:
    """Return the address of the repository for a browser, without user and password; empty if there is none."""
    address = _git("remote", "get-url", "origin")
    if ssh := _GIT_SSH.fullmatch(address):
        address = f"https://{ssh[1]}/{ssh[2]}"
    address = _USER_INFO.sub("", address)
    return address.removesuffix(".git") if address.startswith(("http://", "https://")) else ""


def _git(*arguments: str) -> str:
    try:
        return git(*arguments)
    except (subprocess.CalledProcessError, FileNotFoundError):
        return ""
