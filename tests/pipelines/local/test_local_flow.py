"""The flow from its command line, with a real Prefect server and real DVC repositories."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest
from dvc.utils.serialize import load_yaml
from lzn_testing.servers.local_flows import api_of, eventually, run_flow, start_flow

from pipelines.local.__main__ import parse_arguments
from pipelines.local.prefect_server import HOST

pytestmark = pytest.mark.slow  # real Prefect servers and DVC repositories

STAMP = "date +%s.%N >"
DIAMOND = {
    "root": ("echo root > root.txt", [], ["root.txt"]),
    "left": (f"{STAMP} l0; sleep 2; cat root.txt > left.txt; {STAMP} l1", ["root.txt"], ["left.txt"]),
    "right": (f"{STAMP} r0; sleep 1; cat root.txt > right.txt; {STAMP} r1", ["root.txt"], ["right.txt"]),
    "join": (f"{STAMP} j0; cat left.txt right.txt > join.txt", ["left.txt", "right.txt"], ["join.txt"]),
}


def dvc(root: Path, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=root, check=True, capture_output=True)


def stamps(root: Path, *names: str) -> list[float]:
    return [float((root / name).read_text()) for name in names]


def test_independent_stages_overlap_in_order_with_the_dvc_lock_of_dvc_repro(toy_repository, environment):
    plain, root = toy_repository("plain", **DIAMOND), toy_repository("flow", **DIAMOND)
    dvc(plain, "repro")

    run_flow(root, environment)

    left_start, left_end, right_start, right_end, join_start = stamps(root, "l0", "l1", "r0", "r1", "j0")
    assert max(left_start, right_start) < min(left_end, right_end)
    assert max(left_end, right_end) < join_start
    assert (root / "dvc.lock").read_bytes() == (plain / "dvc.lock").read_bytes()

    before = {file.name: file.stat().st_mtime_ns for file in root.iterdir()}
    assert "Up to date, nothing to run: 4 stages" in run_flow(root, environment)
    assert {file.name: file.stat().st_mtime_ns for file in root.iterdir()} == before


def test_a_failure_is_reported_with_its_output_and_stages_that_do_not_depend_on_it_run(
    toy_repository, environment
):
    root = toy_repository(
        root=("echo root > root.txt", [], ["root.txt"]),
        bad=("echo step 7; echo 'the loss is not finite' >&2; exit 3", ["root.txt"], ["bad.txt"]),
        good=("sleep 2; cat root.txt > good.txt", ["root.txt"], ["good.txt"]),
        best=("cat good.txt > best.txt", ["good.txt"], ["best.txt"]),
        after=("cat bad.txt best.txt > after.txt", ["bad.txt", "best.txt"], ["after.txt"]),
        final=("cat after.txt > final.txt", ["after.txt"], ["final.txt"]),
    )

    output = run_flow(root, environment, code=1)

    message = output[output.index("Stage 'bad' failed") :]
    assert "step 7" in message
    assert "the loss is not finite" in message
    assert "Not run, because a stage before them failed: after, final." in output
    assert set(load_yaml(str(root / "dvc.lock"))["stages"]) == {"root", "good", "best"}
    eventually(lambda: _the_ui_shows_the_failure(environment))
    # Neither results nor exceptions are pickled into Prefect's storage.
    assert not (Path(environment["PREFECT_HOME"]) / "storage").exists()


def _the_ui_shows_the_failure(environment: Mapping[str, str]) -> None:
    """Check the newest flow run on the server: its state, the states of its tasks, and their logs."""
    api = api_of(environment)
    [run] = api.all_of("flow_runs", sort="START_TIME_DESC", limit=1)
    assert run["state_name"] == "Failed"
    assert "the loss is not finite" in run["state"]["message"]

    this_run = {"id": {"any_": [run["id"]]}}
    tasks = {task["name"]: task["state"] for task in api.all_of("task_runs", flow_runs=this_run)}
    assert {name: state["type"] for name, state in tasks.items()} == {
        "root": "COMPLETED",
        "bad": "FAILED",
        "good": "COMPLETED",
        "best": "COMPLETED",
    }
    assert "the loss is not finite" in tasks["bad"]["message"]

    logs = api.all_of("logs", logs={"flow_run_id": {"any_": [run["id"]]}})
    of_tasks = {log["message"] for log in logs if log["task_run_id"]}
    assert {"step 7", "the loss is not finite"} <= of_tasks


# It starts grandchildren that a signal to the group does not reach, and saves its work on SIGTERM like the training.
TREE = """
import pathlib, signal, subprocess, sys, time
def save(number, frame):
    time.sleep(0.3)
    pathlib.Path("checkpoint").write_text("saved")
    sys.exit(3)
signal.signal(signal.SIGTERM, save)
sleeper = "import os, time; os.write(1, f'{os.getpid()}{os.linesep}'.encode()); time.sleep(600)"  # one write per line
stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + sleeper
orphaned = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {sleeper!r}], start_new_session=True)"
children = [subprocess.Popen([sys.executable, "-c", code]) for code in (sleeper, stubborn)]
subprocess.run([sys.executable, "-c", orphaned], start_new_session=True)
while len(pathlib.Path("pids").read_text().split()) < 3:
    time.sleep(0.05)
print("the tree is up", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_to_the_flow_ends_every_process_and_a_later_repro_resumes(toy_repository, environment, how):
    root = toy_repository(
        train=("python tree.py | tee pids; cp checkpoint weights", [], ["weights"]),
        other=("echo other > other.txt", [], ["other.txt"]),
    )
    (root / "tree.py").write_text(TREE)
    (root / "pids").touch()

    with start_flow(root, environment, "--grace", "3") as flow:
        output = _output_until("the tree is up", flow)
        os.killpg(flow.pid, how)  # like a terminal: to the whole foreground group
        output += flow.communicate()[0]

    assert flow.returncode == 128 + how, output
    assert (root / "checkpoint").read_text() == "saved"
    pids = [int(line) for line in (root / "pids").read_text().split() if line.isdigit()]
    assert len(pids) == 3
    assert not [pid for pid in pids if _alive(pid)]
    assert not _processes_in(root)

    (root / "tree.py").write_text("print('resumed')")
    dvc(root, "repro")
    assert (root / "weights").read_text() == "saved"


def test_a_killed_flow_leaves_no_process_after_seconds(toy_repository, environment):
    root = toy_repository(train=("python tree.py | tee pids; cp checkpoint weights", [], ["weights"]))
    (root / "tree.py").write_text(TREE)
    (root / "pids").touch()

    with start_flow(root, environment, "--grace", "2") as flow:
        _output_until("the tree is up", flow)
        flow.kill()
        start = time.monotonic()
        while _processes_in(root):
            assert time.monotonic() - start < 15.0
            time.sleep(0.1)

    assert (root / "checkpoint").read_text() == "saved"
    assert not [pid for pid in map(int, (root / "pids").read_text().split()[:3]) if _alive(pid)]


def _output_until(words: str, flow: "subprocess.Popen[str]") -> str:
    assert flow.stdout is not None
    output = ""
    while words not in output:
        line = flow.stdout.readline()
        assert line, f"the flow ended before its stage was up: {output}"
        output += line
    return output


def _alive(pid: int) -> bool:
    """Return whether a process runs. An ended one may be a zombie until the init process reaps it."""
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def _processes_in(folder: Path) -> list[psutil.Process]:
    return [process for process in psutil.process_iter(["cwd"]) if process.info["cwd"] == str(folder)]


def test_an_unknown_target_is_an_error_and_no_flow_starts(toy_repository, environment):
    output = run_flow(toy_repository(**DIAMOND), environment, "--targets", "nonsense", code=1)

    assert output.startswith("error:")
    assert "nonsense" in output


def test_a_temporary_server_is_started_prints_its_address_and_ends_with_the_flow(
    toy_repository, bare_environment
):
    root = toy_repository(**DIAMOND)

    output = run_flow(root, bare_environment, "--targets", "right")

    address = next(line.split()[-1] for line in output.splitlines() if line.startswith("Watch it at"))
    assert address.startswith(f"http://{HOST}:")
    assert "prefect server start" in output
    assert "ERROR" not in output
    assert set(load_yaml(str(root / "dvc.lock"))["stages"]) == {"root", "right"}
    eventually(lambda: _nothing_listens_on(int(address.rsplit(":", 1)[1])))
    assert not _processes_in(root)
    assert (Path(bare_environment["PREFECT_HOME"]) / "prefect.db").exists()


def _nothing_listens_on(port: int) -> None:
    with socket.socket() as probe:
        assert probe.connect_ex((HOST, port)) != 0


@pytest.mark.parametrize("option", [("--max-parallel", "0"), ("--timeout", "0"), ("--grace", "-1")])
def test_an_invalid_number_is_a_usage_error(option, capsys):
    with pytest.raises(SystemExit):
        parse_arguments(option)

    assert option[0] in capsys.readouterr().err
