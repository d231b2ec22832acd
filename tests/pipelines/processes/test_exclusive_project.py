"""One flow at a time in a project."""

import os
import subprocess
import sys

import psutil
import pytest

from pipelines.processes.commands import TAG_VARIABLE
from pipelines.processes.exclusive_project import (
    ProjectBusyError,
    exclusive_project,
    project_tag,
)

HOLDER = """
import sys
from pipelines.processes.exclusive_project import exclusive_project
with exclusive_project():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_flow_in_the_same_project_is_refused_and_a_later_one_is_not(toy_repository, monkeypatch):
    root = toy_repository()
    monkeypatch.chdir(root)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"

        with pytest.raises(ProjectBusyError, match=str(root)), exclusive_project():
            pass
        holder.kill()

    with exclusive_project():
        pass


def test_a_flow_ends_what_a_killed_flow_left_running(toy_repository, monkeypatch):
    monkeypatch.chdir(toy_repository())
    tag = f"{project_tag()}1::train@rf"
    orphan = subprocess.Popen(["sleep", "600"], env={**os.environ, TAG_VARIABLE: tag}, start_new_session=True)

    with exclusive_project():
        assert not psutil.pid_exists(orphan.pid)
