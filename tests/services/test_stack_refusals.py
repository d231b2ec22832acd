"""A stack that cannot start says why in one message, and leaves no process."""

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from lzn_testing.servers.stack_folders import stack_folder

from infra.stack import Stack, StackError, postgres, s3
from infra.stack.credentials import HOST, load_ports
from infra.stack.layout import Layout
from infra.stack.process_tags import tagged_processes

pytestmark = pytest.mark.services


@pytest.fixture
def folder() -> Iterator[Path]:
    with stack_folder() as folder:
        yield folder


def test_a_taken_port_is_named_before_anything_starts(folder: Path) -> None:
    layout = Layout(folder)
    port = load_ports(layout).mlflow
    layout.secrets.write_text("{}")  # all passwords are generated
    with (
        socket.create_server((HOST, port)),
        pytest.raises(StackError, match=f"port {port} of mlflow is taken"),
    ):
        Stack(folder).up(workers=0)
    assert not layout.status.exists()


def test_a_server_that_dies_at_its_start_stops_the_stack_and_its_log_is_shown(folder: Path) -> None:
    layout = Layout(folder)
    load_ports(layout)
    layout.secrets.write_text("{}")
    layout.cluster.mkdir(parents=True)
    version = postgres._programs_version(postgres.find_programs())
    (layout.cluster / "PG_VERSION").write_text(f"{version}\n")  # without the cluster's other files
    with pytest.raises(StackError, match=r"postgres ended \(exit code \d\)(.|\n)*postgresql\.conf"):
        Stack(folder).up(workers=0, report=lambda line: None)
    assert not tagged_processes(layout)


def test_data_of_another_postgresql_version_is_refused(folder: Path) -> None:
    layout = Layout(folder)
    load_ports(layout)
    layout.secrets.write_text("{}")
    layout.cluster.mkdir(parents=True)
    (layout.cluster / "PG_VERSION").write_text("9\n")
    with pytest.raises(StackError, match="was made by PostgreSQL 9"):
        Stack(folder).up(workers=0, report=lambda line: None)
    assert (layout.cluster / "PG_VERSION").read_text() == "9\n"


def test_errors_about_missing_programs_name_the_package(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(postgres, "_DEBIAN", tmp_path)
    with pytest.raises(StackError, match="apt-get install postgresql"):
        Stack(folder).up(workers=0)
    monkeypatch.setattr(s3.sys, "executable", str(tmp_path / "python"))
    with pytest.raises(StackError, match="dependency group `services`"):
        s3.find_weed()


def test_a_folder_with_other_files_is_neither_used_nor_removed(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    mode = tmp_path.stat().st_mode
    with pytest.raises(StackError, match="contains other files"):
        Stack(tmp_path).up(workers=0)
    with pytest.raises(StackError, match="not the folder of a stack"):
        Stack(tmp_path).destroy()
    assert tmp_path.stat().st_mode == mode
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_damaged_password_file_is_named_and_kept(folder: Path) -> None:
    layout = Layout(folder)
    load_ports(layout)
    layout.secrets.write_text('{"prefect": 1}')
    with pytest.raises(StackError, match=r"secrets is damaged \(prefect\)"):
        Stack(folder).up(workers=0)
    assert layout.secrets.read_text() == '{"prefect": 1}'


def test_destroy_removes_everything(folder: Path) -> None:
    layout = Layout(folder / "inner")
    layout.make()
    load_ports(layout)
    shutil.copy(layout.ports, layout.secrets)
    Stack(layout.root).destroy(report=lambda line: None)
    assert not layout.root.exists()
