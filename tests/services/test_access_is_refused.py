"""Servers refuse requests without the right password, and each password or key opens only its own data."""

import http.client
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import boto3
import psutil
import psycopg2
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from lzn_testing.servers.stack_folders import started_stack

from infra.make_env import DVC_BUCKET, MLFLOW_BUCKET
from infra.stack import Stack
from infra.stack.credentials import HOST, Credentials, KeyPair, Ports, load_credentials, load_ports
from infra.stack.http_checks import request_json
from infra.stack.process_tags import tagged_processes
from infra.stack.s3 import find_weed, s3_client

pytestmark = pytest.mark.services

MLFLOW_PATHS = (
    "/",
    "/api/2.0/mlflow/experiments/get?experiment_id=0",
    "/ajax-api/2.0/mlflow/experiments/get?experiment_id=0",
    "/api/2.0/mlflow-artifacts/artifacts",
    "/graphql",
)
PREFECT_PATHS = (
    "/api/work_pools/filter",
    "/api/flow_runs/filter",
    "/api/block_documents/filter",
    "/api/variables/filter",
)


@pytest.fixture(scope="module")
def servers() -> Iterator[Stack]:
    """PostgreSQL, S3, MLflow and Prefect, without workers."""
    with started_stack(workers=0) as stack:
        yield stack


@pytest.fixture
def ports(servers: Stack) -> Ports:
    return load_ports(servers.layout)


@pytest.fixture
def credentials(servers: Stack) -> Credentials:
    return load_credentials(servers.layout)


def _anonymous_status(port: int, path: str, method: str = "GET") -> int:
    connection = http.client.HTTPConnection(HOST, port, timeout=10)
    try:
        connection.request(
            method, path, "{}" if method == "POST" else None, {"Content-Type": "application/json"}
        )
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize("path", MLFLOW_PATHS)
def test_mlflow_refuses_requests_without_a_password(ports: Ports, path: str) -> None:
    assert _anonymous_status(ports.mlflow, path) == 401


@pytest.mark.parametrize("login", ["lzn:wrong", "admin:wrong", "admin:password1234", "nobody:", "lzn:"])
def test_mlflow_refuses_wrong_passwords(ports: Ports, login: str) -> None:
    for path in MLFLOW_PATHS[1:4]:
        assert request_json(ports.mlflow, path, login=login)[0] == 401


def test_mlflow_user_can_read_but_not_administer(ports: Ports, credentials: Credentials) -> None:
    login = f"lzn:{credentials.mlflow_user}"
    assert request_json(ports.mlflow, MLFLOW_PATHS[1], login=login)[0] == 200
    body = {"username": "other", "password": "a long enough password"}
    create = "/api/2.0/mlflow/users/create"
    assert request_json(ports.mlflow, create, login=login, method="POST", body=body)[0] == 403


@pytest.mark.parametrize("path", PREFECT_PATHS)
def test_prefect_refuses_missing_and_wrong_passwords(ports: Ports, path: str) -> None:
    assert _anonymous_status(ports.prefect, path, "POST") == 401
    for login in ("lzn:wrong", "admin:pass", ":"):
        assert request_json(ports.prefect, path, login=login, method="POST", body={})[0] == 401


def test_prefect_accepts_the_auth_string(ports: Ports, credentials: Credentials) -> None:
    for path in PREFECT_PATHS:
        login = f"lzn:{credentials.prefect}"
        assert request_json(ports.prefect, path, login=login, method="POST", body={})[0] == 200


def _refusal(client: object, operation: str, **arguments: object) -> int:
    with pytest.raises(ClientError) as refused:
        getattr(client, operation)(**arguments)
    return int(refused.value.response["ResponseMetadata"]["HTTPStatusCode"])


def test_s3_refuses_requests_without_a_key(ports: Ports) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=f"http://{HOST}:{ports.s3}",
        region_name="us-east-1",
        config=Config(signature_version=UNSIGNED),
    )
    assert _refusal(client, "list_objects_v2", Bucket=DVC_BUCKET) == 403
    assert _refusal(client, "get_object", Bucket=DVC_BUCKET, Key="tmp/started") == 403
    assert _refusal(client, "put_object", Bucket=DVC_BUCKET, Key="anonymous", Body=b"1") == 403


def test_s3_refuses_wrong_and_unknown_keys(ports: Ports, credentials: Credentials) -> None:
    wrong = KeyPair(access=credentials.s3_dvc.access, secret="0" * 40)
    for keys in (
        wrong,
        KeyPair(),
        KeyPair(access=credentials.s3_dvc.access, secret=credentials.s3_mlflow.secret),
    ):
        client = s3_client(ports, keys)
        assert _refusal(client, "list_objects_v2", Bucket=DVC_BUCKET) == 403
        assert _refusal(client, "put_object", Bucket=DVC_BUCKET, Key="wrong", Body=b"1") == 403


@pytest.mark.parametrize(("own", "other"), [("dvc", "mlflow"), ("mlflow", "dvc")])
def test_each_s3_key_opens_its_own_bucket_only(
    ports: Ports, credentials: Credentials, own: str, other: str
) -> None:
    client = s3_client(ports, getattr(credentials, f"s3_{own}"))
    client.put_object(Bucket=f"lzn-{own}", Key="tmp/own", Body=b"own")
    assert client.get_object(Bucket=f"lzn-{own}", Key="tmp/own")["Body"].read() == b"own"
    bucket = f"lzn-{other}"
    assert _refusal(client, "list_objects_v2", Bucket=bucket) == 403
    assert _refusal(client, "get_object", Bucket=bucket, Key="tmp/started") == 403
    assert _refusal(client, "put_object", Bucket=bucket, Key="tmp/foreign", Body=b"1") == 403
    assert _refusal(client, "delete_object", Bucket=bucket, Key="tmp/started") == 403
    assert (
        _refusal(
            client, "copy_object", Bucket=f"lzn-{own}", Key="tmp/copy", CopySource=f"{bucket}/tmp/started"
        )
        == 403
    )


def test_a_bucket_s_s3_key_neither_makes_nor_removes_buckets(ports: Ports, credentials: Credentials) -> None:
    client = s3_client(ports, credentials.s3_dvc)
    assert _refusal(client, "create_bucket", Bucket="another") == 403
    assert _refusal(client, "delete_bucket", Bucket=MLFLOW_BUCKET) == 403
    assert _refusal(client, "delete_bucket_lifecycle", Bucket=MLFLOW_BUCKET) == 403


def test_inner_ports_of_s3_refuse_objects(servers: Stack, ports: Ports) -> None:
    assert (
        _anonymous_status(ports.filer, f"/buckets/{DVC_BUCKET}/tmp/started") == 404
    )  # its HTTP interface is off
    assigned = http.client.HTTPConnection(HOST, ports.master, timeout=10)
    assigned.request("GET", f"/dir/assign?collection={DVC_BUCKET}")
    file = json.loads(assigned.getresponse().read())["fid"]
    assigned.close()
    assert _anonymous_status(ports.volume, f"/{file}") == 401
    assert _anonymous_status(ports.volume, f"/{file}", "POST") == 401


def test_s3_shell_needs_the_certificate(servers: Stack, ports: Ports) -> None:
    inside = _buckets_in_shell(ports, folder=servers.layout.s3)  # where the certificates are
    assert DVC_BUCKET in inside
    assert DVC_BUCKET not in _buckets_in_shell(ports, folder=Path("/"))


def _buckets_in_shell(ports: Ports, *, folder: Path) -> str:
    master, filer = f"{ports.master}.{ports.master_grpc}", f"{ports.filer}.{ports.filer_grpc}"
    command = [find_weed(), "shell", f"-master={HOST}:{master}", f"-filer={HOST}:{filer}"]
    shell = subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        return shell.communicate("s3.bucket.list\nexit\n", timeout=5)[0]
    except subprocess.TimeoutExpired:  # a refused client retries without end
        shell.kill()
        return shell.communicate()[0]


@pytest.mark.parametrize("user", ["postgres", "prefect", "mlflow", "mlflow_auth"])
@pytest.mark.parametrize("password", ["", "wrong", "postgres"])
def test_postgresql_refuses_missing_and_wrong_passwords(ports: Ports, user: str, password: str) -> None:
    with pytest.raises(psycopg2.OperationalError, match=r"no password supplied|authentication failed"):
        psycopg2.connect(
            host=HOST, port=ports.postgres, user=user, dbname=user, password=password, passfile="/"
        )


def test_a_postgresql_role_opens_its_own_database_only(ports: Ports, credentials: Credentials) -> None:
    login = {"user": "prefect", "password": credentials.postgres_prefect}
    psycopg2.connect(host=HOST, port=ports.postgres, dbname="prefect", **login).close()
    for other in ("mlflow", "mlflow_auth", "postgres"):
        with pytest.raises(psycopg2.OperationalError, match=r"no pg_hba\.conf entry"):
            psycopg2.connect(host=HOST, port=ports.postgres, dbname=other, **login)


def test_everything_listens_on_the_loopback_address_only(servers: Stack, ports: Ports) -> None:
    ours = {process.pid for process in tagged_processes(servers.layout)}
    listening = {
        connection.laddr
        for connection in psutil.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN and connection.pid in ours
    }
    assert {address.ip for address in listening} == {HOST}
    assert {address.port for address in listening} >= set(ports.model_dump().values())
