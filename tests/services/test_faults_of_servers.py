"""A server fails during a `reproduce`, or its data or a key are wrong: the outputs are the same, and nothing is lost.

The checks are those of test_faults_of_processes.py.
"""

import shutil
import time
from pathlib import Path

import pytest
from lzn_testing.projects.drill_project import TARGET
from lzn_testing.servers.fault_drill import Drill
from lzn_testing.servers.other_machine import other_machine

pytestmark = pytest.mark.services


@pytest.mark.parametrize(
    ("service", "name", "outcome"),
    [
        ("prefect", "Prefect's server", "flows and stages wait for the restarted server"),
        ("mlflow", "MLflow's server", "the training continues; its records wait on disk and are sent once"),
        ("s3", "the S3 server", "stages that read or write outputs wait for the restarted server"),
        ("postgres", "PostgreSQL", "Prefect and MLflow reconnect to the restarted server"),
    ],
)
def test_a_killed_server_is_restarted_and_the_flow_completes(
    drill: Drill, service: str, name: str, outcome: str
) -> None:
    run = drill.inject(f"kill -9 of {name}", outcome, lambda: drill.stack.kill(service))
    drill.stack.wait_healthy(service)
    drill.wait_until(
        lambda: {node["state_type"] for node in drill.api.graph_of(run).values()} == {"COMPLETED"},
        60,
        "the last states of the tasks in the flow's graph",
    )


def test_a_corrupted_object_in_the_remote_is_replaced(drill: Drill) -> None:
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
    shutil.rmtree(drill.work / "cache")  # so that no machine has a copy
    begin = time.monotonic()
    again = drill.finish(drill.start())
    drill.check()
    assert damaged.get()["Body"].read() == content
    drill.record(
        "a corrupted object in the remote",
        "detected by its hash, removed and never used; its stage is run again",
        again,
        time.monotonic() - begin,
    )


def test_the_s3_keys_of_a_block_are_used_and_not_logged(drill: Drill, tmp_path: Path) -> None:
    drill.reset()
    secret = drill.environment["AWS_SECRET_ACCESS_KEY"]
    fields = {"aws_access_key_id": drill.environment["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": secret}
    drill.api.make_block("aws-credentials", "team", **fields)
    wrong = {"AWS_ACCESS_KEY_ID": "wrong", "AWS_SECRET_ACCESS_KEY": "wrong"}
    with other_machine(drill.stack, tmp_path, LZN_S3_BLOCK="aws-credentials/team", **wrong) as machine:
        assert drill.finish(drill.start()) == 0
        assert secret not in machine.log.read_text()
    assert secret not in "".join(drill.api.log_of(drill.child_run(TARGET)))
    drill.check()


def test_a_wrong_s3_key_fails_the_flow_and_is_named(drill: Drill, tmp_path: Path) -> None:
    drill.reset()
    begin = time.monotonic()
    with other_machine(drill.stack, tmp_path, AWS_SECRET_ACCESS_KEY="wrong") as machine:
        flow = drill.start()
        message = drill.failure_of(flow)
    assert "the DVC remote refuses the credentials (AWS_ACCESS_KEY_ID" in message
    assert drill.environment["AWS_SECRET_ACCESS_KEY"] not in message + machine.log.read_text()
    again = drill.finish(flow)
    drill.check()
    drill.record(
        "a worker with a wrong S3 key",
        "its stage is not run, and the message names the variables; the next start runs it on another worker",
        again,
        time.monotonic() - begin,
    )
