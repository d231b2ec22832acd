"""The generated passwords: who can read them, what they open, and that they are never overwritten."""

import json
import stat
from pathlib import Path

import pytest

from infra.make_env import Passwords, main, write


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_only_the_owner_can_read_the_files(tmp_path: Path) -> None:
    write(Passwords(), tmp_path)

    assert {stat.S_IMODE(path.stat().st_mode) for path in files_below(tmp_path)} == {0o600}
    folders = [path for path in tmp_path.rglob("*") if path.is_dir()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o700}


def test_two_installations_share_no_secret() -> None:
    first, second = Passwords(), Passwords()

    of_first = {value for secret in first.kubernetes_secrets().values() for value in secret.values()}
    of_second = {value for secret in second.kubernetes_secrets().values() for value in secret.values()}
    assert of_first & of_second == {"lzn", "admin"}  # names of users


def test_existing_passwords_are_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--folder", str(tmp_path)]) == 0
    before = {path: path.read_text() for path in files_below(tmp_path)}

    assert main(["--folder", str(tmp_path)]) == 1

    assert {path: path.read_text() for path in files_below(tmp_path)} == before
    assert "remove the file and the data together" in capsys.readouterr().err


def test_no_secret_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--folder", str(tmp_path)])

    printed = capsys.readouterr().out + repr(Passwords())
    secrets = [line.split("=", 1)[1] for line in (tmp_path / ".env").read_text().splitlines()]
    assert not [secret for secret in secrets if secret != "lzn" and secret in printed]


def test_each_s3_key_except_the_administrators_opens_one_bucket() -> None:
    identities = {
        identity["name"]: identity["actions"] for identity in json.loads(Passwords().s3_json)["identities"]
    }

    assert {action.partition(":")[2] for action in identities["dvc"]} == {"lzn-dvc"}
    assert {action.partition(":")[2] for action in identities["mlflow"]} == {"lzn-mlflow"}
    assert "Admin" in identities["admin"]


def test_compose_and_kubernetes_get_the_same_passwords() -> None:
    passwords = Passwords()
    variables, client = passwords.compose_variables(), passwords.kubernetes_secrets()["lzn-client"]

    assert variables["PREFECT_API_AUTH_STRING"] == client["PREFECT_API_AUTH_STRING"]
    assert variables["S3_DVC_SECRET_ACCESS_KEY"] == client["AWS_SECRET_ACCESS_KEY"]
    assert variables["MLFLOW_TRACKING_PASSWORD"] == client["MLFLOW_TRACKING_PASSWORD"]
