"""The commands of compose.yaml on real servers, without containers."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import psycopg2
import pytest
from botocore.exceptions import ClientError
from lzn_testing.servers.container_servers import (
    SERVICES,
    postgres,
    process_environment,
    run_here,
    running,
    s3,
    service_environment,
    status,
)
from lzn_testing.servers.infra_files import PROJECT

from infra.make_env import DVC_BUCKET, MLFLOW_BUCKET, Passwords, S3Key
from pipelines.local.prefect_server import free_port

pytestmark = [pytest.mark.services, pytest.mark.timeout(600)]


@dataclass(frozen=True)
class Storage:
    """PostgreSQL and S3 after `provision`."""

    passwords: Passwords
    postgres_port: int
    s3_port: int

    def environment(self, name: str) -> dict[str, str]:
        """Return a service's variables in compose.yaml, with the addresses of these servers."""
        addresses = {"postgres": f"127.0.0.1:{self.postgres_port}", "s3": f"127.0.0.1:{self.s3_port}"}
        variables = service_environment(name, self.passwords, **addresses)
        if "PGHOST" in variables:
            variables |= {"PGHOST": "127.0.0.1", "PGPORT": str(self.postgres_port)}
        return variables

    def provision(self, **changed: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, *SERVICES["provision"]["command"][1:]]
        return run_here(command, {**self.environment("provision"), **changed})

    def client(self, key: S3Key) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{self.s3_port}",
            region_name="us-east-1",
            aws_access_key_id=key.access_key,
            aws_secret_access_key=key.secret_key,
        )

    def connect(self, user: str, password: str, database: str) -> Any:
        return psycopg2.connect(
            host="127.0.0.1", port=self.postgres_port, user=user, password=password, dbname=database
        )


@pytest.fixture(scope="module")
def storage() -> Iterator[Storage]:
    passwords = Passwords()
    with tempfile.TemporaryDirectory(prefix="lzn-storage-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # the user postgres must reach it, unlike pytest's folders
        with (
            postgres(folder / "postgres", passwords) as postgres_port,
            s3(folder / "s3", passwords) as s3_port,
        ):
            storage = Storage(passwords, postgres_port, s3_port)
            assert storage.provision().returncode == 0, storage.provision().stderr
            yield storage


def test_provisioning_again_changes_nothing(storage: Storage) -> None:
    storage.client(storage.passwords.s3_dvc).put_object(Bucket=DVC_BUCKET, Key="cache/kept", Body=b"kept")

    again = storage.provision()

    assert (again.returncode, again.stderr) == (0, "")
    kept = storage.client(storage.passwords.s3_dvc).get_object(Bucket=DVC_BUCKET, Key="cache/kept")
    assert kept["Body"].read() == b"kept"


def test_a_provisioning_error_names_the_server_and_no_password(storage: Storage) -> None:
    wrong = storage.provision(PGPASSWORD="wrong-one")

    assert wrong.returncode == 1
    assert "PostgreSQL" in wrong.stderr
    assert storage.passwords.postgres_mlflow not in wrong.stdout + wrong.stderr


def test_each_role_opens_only_its_own_database(storage: Storage) -> None:
    storage.connect("mlflow", storage.passwords.postgres_mlflow, "mlflow").close()
    with pytest.raises(psycopg2.OperationalError, match="permission denied"):
        storage.connect("mlflow", storage.passwords.postgres_mlflow, "prefect")
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        storage.connect("prefect", storage.passwords.postgres_mlflow, "prefect")


def test_each_s3_key_opens_only_its_own_bucket(storage: Storage) -> None:
    dvc, mlflow = (storage.client(key) for key in (storage.passwords.s3_dvc, storage.passwords.s3_mlflow))
    dvc.put_object(Bucket=DVC_BUCKET, Key="cache/own", Body=b"own")

    assert dvc.list_objects_v2(Bucket=DVC_BUCKET, Prefix="cache/own")["KeyCount"] == 1
    for request in (
        lambda: mlflow.get_object(Bucket=DVC_BUCKET, Key="cache/own"),
        lambda: mlflow.list_objects_v2(Bucket=DVC_BUCKET),
        lambda: dvc.put_object(Bucket=MLFLOW_BUCKET, Key="x", Body=b""),
        lambda: dvc.create_bucket(Bucket="another"),
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            request()
    dvc.delete_object(Bucket=DVC_BUCKET, Key="cache/own")


def test_a_wrong_s3_key_is_refused(storage: Storage) -> None:
    wrong = S3Key("dvc", DVC_BUCKET, access_key=storage.passwords.s3_dvc.access_key)
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        storage.client(wrong).list_objects_v2(Bucket=DVC_BUCKET)


def test_the_buckets_lifecycle_removes_unfinished_uploads(storage: Storage) -> None:
    rules = storage.client(storage.passwords.s3_admin).get_bucket_lifecycle_configuration(Bucket=DVC_BUCKET)
    assert rules["Rules"][0]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}


MAKE_A_USER = """
import base64, os, urllib.request
login = base64.b64encode(f"{os.environ['MLFLOW_TRACKING_USERNAME']}:{os.environ['MLFLOW_TRACKING_PASSWORD']}".encode())
urllib.request.urlopen(urllib.request.Request(
    os.environ["MLFLOW_TRACKING_URI"] + "/api/2.0/mlflow/users/create", method="POST",
    data=b'{"username": "x", "password": "a-long-password"}',
    headers={"Authorization": f"Basic {login.decode()}", "Content-Type": "application/json"},
))
"""
LOG_AN_ARTIFACT = """
import mlflow
mlflow.set_experiment("of the user")  # the experiment Default belongs to the administrator
with mlflow.start_run() as run:
    mlflow.log_metric("loss", 0.5)
    mlflow.log_text("through the server", "note.txt")
print(mlflow.artifacts.load_text(run.info.artifact_uri + "/note.txt"), run.info.artifact_uri)
"""


def test_mlflow_needs_a_password_and_passes_artifacts_to_s3(storage: Storage, tmp_path: Path) -> None:
    port = free_port()
    command = [*SERVICES["mlflow"]["command"], "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command[0] = str(PROJECT / command[0])
    address = f"http://127.0.0.1:{port}"
    options = {"env": process_environment(storage.environment("mlflow")), "cwd": tmp_path}

    with running(command, healthy=f"{address}/health", log=tmp_path / "mlflow.log", **options) as server:
        assert status(f"{address}/api/2.0/mlflow/experiments/get?experiment_id=0") == 401
        arguments = Path(f"/proc/{server.pid}/cmdline").read_text()
        assert storage.passwords.postgres_mlflow not in arguments
        make_user = [sys.executable, *SERVICES["mlflow-user"]["command"][1:]]
        settings = {**storage.environment("mlflow-user"), "MLFLOW_TRACKING_URI": address}
        for _ in range(2):  # the second time, the user exists
            made = run_here(make_user, settings)
            assert (made.returncode, made.stdout) == (0, "MLflow has the user lzn.\n"), made.stderr
        client = {
            "MLFLOW_TRACKING_URI": address,
            "MLFLOW_TRACKING_USERNAME": "lzn",
            "MLFLOW_TRACKING_PASSWORD": storage.passwords.mlflow_user,
        }
        logged = run_here([sys.executable, "-c", LOG_AN_ARTIFACT], client)
        assert "through the server mlflow-artifacts:/" in logged.stdout, logged.stderr
        refused = run_here(
            [sys.executable, "-c", LOG_AN_ARTIFACT], {**client, "MLFLOW_TRACKING_PASSWORD": "wrong"}
        )
        assert refused.returncode != 0
        assert "401" in refused.stderr
        worker = run_here([sys.executable, "-c", MAKE_A_USER], client)
        assert "403" in worker.stdout + worker.stderr, "workers are no administrators"

    listed = storage.client(storage.passwords.s3_mlflow).list_objects_v2(
        Bucket=MLFLOW_BUCKET, Prefix="artifacts/"
    )
    assert listed["KeyCount"] == 1


def test_prefect_needs_its_auth_string_and_serves_its_ui(storage: Storage, tmp_path: Path) -> None:
    port = free_port()
    options = ["--host", "127.0.0.1", "--port", str(port)]
    pages = tmp_path / "pages"
    environment = process_environment(
        {
            **storage.environment("prefect"),
            "PREFECT_HOME": str(tmp_path / "home"),
            "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(pages),  # as in the image
        }
    )
    address = f"http://127.0.0.1:{port}/api"
    command = [sys.executable, "-m", *SERVICES["prefect"]["command"][:3], *options]

    with running(command, healthy=f"{address}/health", log=tmp_path / "prefect.log", env=environment):
        assert status(f"{address}/admin/version") == 401
        command = [sys.executable, "-m", "prefect", "work-pool", "create", "cpu", "--type", "process"]
        client = {"PREFECT_API_URL": address, "PREFECT_HOME": str(tmp_path / "client")}
        auth = {"PREFECT_API_AUTH_STRING": storage.passwords.prefect}
        assert run_here(command, client).returncode != 0
        made = run_here(command, {**client, **auth})
        assert made.returncode == 0, made.stdout + made.stderr
        assert status(f"http://127.0.0.1:{port}/") == 200
        assert list(pages.rglob("index.html"))

    with closing(storage.connect("prefect", storage.passwords.postgres_prefect, "prefect")) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT name FROM work_pool")
        assert cursor.fetchall() == [("cpu",)]
