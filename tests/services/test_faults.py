"""What dies in the middle of a `reproduce`, on real servers: the same outputs come out, and nothing is lost or doubled.

Each fault strikes while a training runs that has saved itself at least once. Afterwards the outputs have the hashes of
a plain `dvc repro`, MLflow has every point of every curve once, and no process is left. The table of faults that the
tests write into `.faults.md` is that of infra/README.md.
"""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from lzn_oracles.fault_drill import STAGES, TARGET, Drill, Reference, kill, make_project, runs_of
from lzn_oracles.stack_folders import stack_folder

from infra.stack import Stack

pytestmark = pytest.mark.services

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / ".faults.md"
HEAD = "| fault, in the middle of a training | what happens | the flow ends | after |\n|---|---|---|---|\n"


@pytest.fixture(scope="module")
def drill(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drill]:
    project = make_project(tmp_path_factory.mktemp("project"))
    reference = Reference.make(project, tmp_path_factory.mktemp("clone") / "project")
    with stack_folder() as folder:
        stack = Stack(folder)
        stack.up(workers=2, repository=str(project))
        drill = Drill(stack, reference)
        yield drill
        stack.down()
    TABLE.write_text(HEAD + "\n".join(drill.rows) + "\n", encoding="utf-8")


def test_undisturbed_it_makes_what_dvc_repro_makes_and_started_again_it_runs_nothing(drill: Drill) -> None:
    begin = time.monotonic()
    assert drill.finish(drill.start()) == 0
    seconds = time.monotonic() - begin
    drill.check()
    begin = time.monotonic()
    run = drill.api.start("train-one", run="rf")
    assert drill.finish(run) == 0
    assert drill.api.state_of(run)["message"] == f"0 stages run, {len(STAGES)} were there"
    drill.check()
    pages = drill.api.all_of("artifacts", artifacts={"key": {"any_": ["runs-digits"]}})
    [tracked] = runs_of(drill.mlflow)
    assert len(pages) == 2  # one a flow
    for page in pages:
        assert f"[rf]({drill.environment['MLFLOW_TRACKING_URI']}/#/experiments/" in page["data"]
        assert f"/runs/{tracked.info.run_id})" in page["data"]
    drill.record("none", "the whole flow, `prepare` included", 0, seconds)
    drill.record("none", "the same again, as `train-one`: nothing to run", 0, time.monotonic() - begin)


def test_kill_9_of_the_training(drill: Drill) -> None:
    drill.survive(
        "kill -9 of the training",
        "its stage and the flow fail with DVC's words; the next start resumes from the checkpoint",
        lambda: kill(drill.training()),
    )


def test_kill_9_of_a_stage_s_flow_process(drill: Drill) -> None:
    drill.survive(
        "kill -9 of the process that runs the stage's flow",
        "its guard ends the training, which saves itself; the worker reports a crash; the flow relaunches the stage",
        lambda: kill(drill.flow_process(drill.child_run(TARGET))),
    )


def test_kill_9_of_the_flow_itself(drill: Drill) -> None:
    drill.reset()
    run = drill.start_until_training()
    begin = time.monotonic()
    kill(drill.flow_process(run))
    again = drill.finish(run)
    drill.check()
    drill.record(
        "kill -9 of the flow `reproduce`",
        "its stages go on; the next start joins those that run",
        again,
        time.monotonic() - begin,
    )


def test_kill_9_of_both_workers(drill: Drill) -> None:
    def kill_workers() -> None:
        for number in (1, 2):
            drill.stack.kill(f"worker-cpu-{number}")

    drill.survive(
        "kill -9 of the workers",
        "the running stage goes on without its worker; the supervisor restarts workers for the next",
        kill_workers,
    )


@pytest.mark.parametrize(
    ("service", "name", "happens"),
    [
        ("prefect", "Prefect's server", "flows and stages wait for the restarted server"),
        ("mlflow", "MLflow's server", "the training goes on; its records wait on disk, and are sent once"),
        ("s3", "the S3 server", "stages that read or write outputs wait for the restarted server"),
        ("postgres", "PostgreSQL", "Prefect and MLflow reconnect to the restarted server"),
    ],
)
def test_kill_9_of_a_server(drill: Drill, service: str, name: str, happens: str) -> None:
    drill.survive(f"kill -9 of {name}", happens, lambda: drill.stack.kill(service))
    drill.stack.wait_healthy(service)


def test_a_machine_that_is_gone(drill: Drill) -> None:
    """Nobody is left to report: the automation for zombie runs finds out by the missing heartbeats."""

    def lose_machine() -> None:
        for number in (1, 2):
            drill.stack.kill(f"worker-cpu-{number}", children=True)
        for process in drill.orphans():
            kill(process)

    drill.survive(
        "a machine is lost: worker, flow and training at once",
        "after 90 s without a heartbeat Prefect calls the run crashed; the flow relaunches the stage",
        lose_machine,
    )


def test_two_collectors_at_once(drill: Drill) -> None:
    drill.reset()
    begin = time.monotonic()
    runs = [drill.start(), drill.start()]
    again = sum(drill.finish(run) for run in runs)
    drill.check()
    drill.record(
        "two flows at once",
        "both wait for the same runs of stages; each is run once",
        again,
        time.monotonic() - begin,
    )


def test_a_stage_that_two_workers_start(drill: Drill) -> None:
    drill.reset()
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"],
        cwd=drill.environment["LZN_REPOSITORY"], check=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
    begin = time.monotonic()
    runs = [drill.api.start("cpu", stage=TARGET, commit=commit) for _ in range(2)]
    for run in runs:
        drill.wait_until(lambda run=run: drill.has_ended(run), 300, "the stage's end")
    messages = [drill.api.state_of(run)["message"] for run in runs]
    assert sorted(messages) == ["done", "up to date"]
    seconds = time.monotonic() - begin
    assert drill.finish(drill.start()) == 0
    drill.check()
    drill.record(
        "the same stage started by two workers", "one waits for the other, and takes its outputs", 0, seconds
    )


def test_a_corrupted_object_in_the_remote(drill: Drill) -> None:
    drill.reset()
    assert drill.finish(drill.start()) == 0
    weights = drill.reference.outputs["outputs/digits/train/rf"].removesuffix(".dir")
    bucket = drill.bucket()
    prefix = "cache/files/md5/"
    listing = bucket.Object(f"{prefix}{weights[:2]}/{weights[2:]}.dir").get()["Body"].read().decode()
    oid = next(part.split('"md5": "')[1][:32] for part in listing.split("}") if "weights.safetensors" in part)
    damaged = bucket.Object(f"{prefix}{oid[:2]}/{oid[2:]}")
    content = damaged.get()["Body"].read()
    damaged.put(Body=content[:-1] + bytes([content[-1] ^ 1]))
    shutil.rmtree(drill.work / "cache")  # no machine has a copy
    begin = time.monotonic()
    again = drill.finish(drill.start())
    drill.check()
    assert damaged.get()["Body"].read() == content
    drill.record(
        "a corrupted object in the remote",
        "found by its hash and removed, never used; its stage is made again",
        again,
        time.monotonic() - begin,
    )


RUN_STAGE = """
import sys
from pipelines.cluster.flows import run_stage
state = run_stage({stage!r}, {commit!r}, return_state=True)
print("STATE", state.name, state.message)
"""


def head_of(drill: Drill) -> str:
    done = subprocess.run(
        ["git", "rev-parse", "HEAD"],
        cwd=drill.environment["LZN_REPOSITORY"],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def test_a_wrong_s3_key(drill: Drill) -> None:
    drill.reset()
    code = RUN_STAGE.format(stage=TARGET, commit=head_of(drill))
    done = drill.as_worker(sys.executable, "-c", code, AWS_SECRET_ACCESS_KEY="wrong")
    assert "STATE Failed the DVC remote refuses the credentials (AWS_ACCESS_KEY_ID" in done.stdout
    assert drill.environment["AWS_SECRET_ACCESS_KEY"] not in done.stdout + done.stderr
    begin = time.monotonic()
    assert drill.finish(drill.start()) == 0
    drill.check()
    drill.record(
        "a wrong S3 key", "the stage is not run; the message names the variables", 1, time.monotonic() - begin
    )


@pytest.mark.parametrize(
    ("variable", "megabytes", "what"),
    [("LZN_SHARED_STATE", 3, "a checkpoint"), ("LZN_WORK", 24, "an output")],
)
def test_a_full_disk(drill: Drill, tmp_path: Path, variable: str, megabytes: int, what: str) -> None:
    """The disk is a tmpfs of a mount namespace, which ends with the processes in it; then it has more space."""
    drill.reset()
    code = RUN_STAGE.format(stage=TARGET, commit=head_of(drill))
    (tmp_path / "code.py").write_text(code)
    (tmp_path / "disk").mkdir()
    script = (
        f"mount -t tmpfs -o size={megabytes}m tmpfs {tmp_path}/disk && {sys.executable} {tmp_path}/code.py;"
        f"mount -o remount,size=500m {tmp_path}/disk && {sys.executable} {tmp_path}/code.py"
    )
    begin = time.monotonic()
    done = drill.as_worker(
        "unshare",
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
        script,
        **{variable: str(tmp_path / "disk"), "PYTHONPATH": str(ROOT)},
    )
    states = [line for line in done.stdout.splitlines() if line.startswith("STATE")]
    assert [state.split()[1] for state in states] == ["Failed", "Completed"], done.stdout + done.stderr
    assert "No space left on device" in done.stdout
    seconds = time.monotonic() - begin
    assert drill.finish(drill.start()) == 0
    drill.check()
    drill.record(
        f"a full disk while {what} is written",
        "the stage fails and says so; with space it goes on from the last checkpoint",
        1,
        seconds,
    )
