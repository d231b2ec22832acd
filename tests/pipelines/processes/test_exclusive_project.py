"""One flow a workspace, and a dvc.lock that does not show in which order stages ended."""

import os
import subprocess
import sys

import psutil
import pytest
from dvc.repo import Repo
from dvc.repo.reproduce import collect_stages
from hypothesis import given
from hypothesis import strategies as st

from pipelines.dag import read_dag
from pipelines.processes.commands import TAG_VARIABLE
from pipelines.processes.exclusive_project import (
    ProjectBusyError,
    dvc_lock_in_plan_order,
    exclusive_project,
    ordered_keys,
    project_tag,
)

HOLDER = """
import sys
from pipelines.processes.exclusive_project import exclusive_project
with exclusive_project():
    print("held", flush=True)
    sys.stdin.read()
"""
KEYS = st.lists(st.sampled_from("abcdef"), unique=True)


def test_a_second_flow_in_the_same_workspace_is_refused_and_a_later_one_is_not(toy_repository, monkeypatch):
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
    mark = f"{project_tag()}1::train@rf"
    orphan = subprocess.Popen(
        ["sleep", "600"], env={**os.environ, TAG_VARIABLE: mark}, start_new_session=True
    )

    with exclusive_project():
        assert not psutil.pid_exists(orphan.pid)


@given(former=KEYS, planned=KEYS, present=KEYS)
def test_the_order_of_keys_loses_and_invents_none_and_moves_no_former_one(former, planned, present):
    keys = ordered_keys(former, planned, present)

    assert sorted(keys) == sorted(present)
    assert [key for key in keys if key in former] == [key for key in former if key in present]
    new = [key for key in keys if key in planned and key not in former]
    assert new == [key for key in planned if key in present and key not in former]


def test_dvc_lock_is_byte_for_byte_what_dvc_repro_writes_whatever_order_stages_end_in(toy_repository):
    # Numbers, quotes and long lines have more than one form in YAML; all must keep DVC's.
    long_command = "echo '" + 'a long command: with # and "quotes" ' * 6 + "' > last.txt"
    roots = [
        toy_repository(
            folder,
            first=("echo > first.txt", [], ["first.txt"]),
            second=("cat first.txt > second.txt", ["first.txt"], ["second.txt"]),
            last=(long_command, [], ["last.txt"]),
        )
        for folder in ("plain", "shuffled")
    ]
    for root in roots:
        (root / "params.yaml").write_text("rate: 1e-5\nratio: 1.0e+3\nname: '07'\nflag: yes\nempty: null\n")
        definition = (root / "dvc.yaml").read_text()
        params = "params: [rate, ratio, name, flag, empty]\n    outs:\n    - second.txt"
        (root / "dvc.yaml").write_text(definition.replace("outs:\n    - second.txt", params))
    plain, shuffled = roots

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(plain)
        with Repo() as repo:
            repo.reproduce()
        patch.chdir(shuffled)
        with Repo() as repo, dvc_lock_in_plan_order(read_dag()):
            for name in ("last", "first", "second"):
                assert collect_stages(repo, [name])
                repo.reproduce(name, single_item=True)
            assert (shuffled / "dvc.lock").read_bytes() != (plain / "dvc.lock").read_bytes()

    assert (shuffled / "dvc.lock").read_bytes() == (plain / "dvc.lock").read_bytes()
