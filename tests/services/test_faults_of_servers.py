"""A server or a disk fails in the middle of a `reproduce` on real servers: the same outputs come out, nothing is lost.

What must be true afterwards is the same as in test_faults_of_processes.py; the table is the second of infra/README.md.
"""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from lzn_oracles.fault_drill import ROOT, TARGET, Drill, started_drill

from benchmarks.small_project import read_params, write_params

pytestmark = pytest.mark.services

RUN_STAGE = """
from pipelines.cluster.flows import run_stage
state = run_stage({stage!r}, {commit!r}, return_state=True)
print("STATE", state.name, state.message)
"""


@pytest.fixture(scope="module")
def drill(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drill]:
    with started_drill(tmp_path_factory.mktemp("drill")) as drill:
        yield drill
        drill.write_table("servers")


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


def test_a_wrong_s3_key(drill: Drill) -> None:
    drill.reset()
    code = RUN_STAGE.format(stage=TARGET, commit=drill.commit)
    done = drill.as_worker(sys.executable, "-c", code, AWS_SECRET_ACCESS_KEY="wrong")
    assert "STATE Failed the DVC remote refuses the credentials (AWS_ACCESS_KEY_ID" in done.stdout
    assert drill.environment["AWS_SECRET_ACCESS_KEY"] not in done.stdout + done.stderr
    begin = time.monotonic()
    assert drill.finish(drill.start()) == 0
    drill.check()
    drill.record(
        "a wrong S3 key", "the stage is not run; the message names the variables", 1, time.monotonic() - begin
    )


def run_stage_twice(drill: Drill, folder: Path, *, megabytes: int, between: str, **variables: str) -> None:
    """Run the stage with `folder/disk` full, then with space on it, and check all that must be true afterwards.

    The disk is a tmpfs of a mount namespace, which ends with the processes in it. between: shell commands that run
    beside the first run; it ends before the second.
    """
    drill.reset()
    (folder / "code.py").write_text(RUN_STAGE.format(stage=TARGET, commit=drill.commit))
    for name in ("disk", "state"):
        (folder / name).mkdir()
    script = f"""
        mount -t tmpfs -o size={megabytes}m tmpfs {folder}/disk
        {sys.executable} {folder}/code.py &
        {between}
        wait
        rm -f {folder}/disk/filler
        mount -o remount,size=500m {folder}/disk
        {sys.executable} {folder}/code.py
    """
    done = drill.as_worker(
        "unshare", "--map-root-user", "--mount", "sh", "-c", script, PYTHONPATH=str(ROOT), **variables
    )
    states = [line for line in done.stdout.splitlines() if line.startswith("STATE")]
    assert [state.split()[1] for state in states] == ["Failed", "Completed"], done.stdout + done.stderr
    assert "No space left on device" in done.stdout
    assert drill.finish(drill.start()) == 0
    drill.check()


def test_a_full_disk_while_a_checkpoint_is_written(drill: Drill, tmp_path: Path) -> None:
    begin = time.monotonic()
    run_stage_twice(drill, tmp_path, megabytes=3, between="", LZN_SHARED_STATE=str(tmp_path / "disk"))
    drill.record(
        "a full disk while a checkpoint is written",
        "the stage fails and says so; with space it goes on from the last checkpoint",
        1,
        time.monotonic() - begin,
    )


def test_a_full_disk_while_an_output_is_written(drill: Drill, tmp_path: Path) -> None:
    """The disk with the checkout is filled once there is a checkpoint, which lies elsewhere."""
    begin = time.monotonic()
    run_stage_twice(
        drill,
        tmp_path,
        megabytes=100,
        between=f"""
            until find {tmp_path}/state -name '*.pt' | grep -q .; do sleep 0.2; done
            cat /dev/zero > {tmp_path}/disk/filler
        """,
        LZN_WORK=str(tmp_path / "disk"),
        LZN_SHARED_STATE=str(tmp_path / "state"),
    )
    drill.record(
        "a full disk while an output is written",
        "the stage fails and says so; with space it goes on from the last checkpoint",
        1,
        time.monotonic() - begin,
    )


def test_a_stage_that_needs_a_gpu_where_none_is(drill: Drill) -> None:
    repository = Path(drill.environment["LZN_REPOSITORY"])
    subprocess.run(["git", "checkout", "--quiet", "-b", "gpu"], cwd=repository, check=True)
    params = read_params(repository)
    write_params(repository, params | {"resources": {"default": {"pool": "gpu", "gpus": 1}}})
    who = ["-c", "user.name=drill", "-c", "user.email=drill@example.org"]
    subprocess.run(
        ["git", *who, "commit", "--quiet", "--all", "--message", "gpu"], cwd=repository, check=True
    )
    subprocess.run(["git", "checkout", "--quiet", "-"], cwd=repository, check=True)
    drill.reset()

    run = drill.api.start("reproduce", size="digits", targets=[TARGET], commit="gpu")
    drill.wait_until(lambda: drill.has_ended(run), 120, "the flow's end")

    state = drill.api.state_of(run)
    assert (state["type"], state["message"]) == (
        "FAILED",
        f"Stage '{TARGET}': it needs 1 GPU, and the cluster's limit gpus, set by "
        "`python -m pipelines.cluster.deploy --gpus N`, is 0",
    )
