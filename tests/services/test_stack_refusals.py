"""What keeps a stack from starting is said in a sentence, and nothing is left running."""

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from lzn_testing.servers.stack_folders import stack_folder

from infra.stack import Stack, StackError, marks, postgres, s3
from infra.stack.credentials import HOST, kept_ports
from infra.stack.layout import Layout

pytestmark = pytest.mark.services


@pytest.fixture
def folder() -> Iterator[Path]:
    with stack_folder() as folder:
        yield folder


def test_a_taken_port_is_named_before_anything_starts(folder: Path) -> None:
    layout = Layout(folder)
    port = kept_ports(layout).mlflow
    layout.secrets.write_text("{}")  # all passwords anew
    with (
        socket.create_server((HOST, port)),
        pytest.raises(StackError, match=f"port {port} of mlflow is taken"),
    ):
        Stack(folder).up(workers=0)
    assert not layout.status.exists()


def test_a_server_that_dies_at_its_start_ends_the_stack_with_its_last_words(folder: Path) -> None:
    layout = Layout(folder)
    kept_ports(layout)
    layout.secrets.write_text("{}")
    layout.cluster.mkdir(parents=True)
    version = postgres._programs_version(postgres.find_programs())
    (layout.cluster / "PG_VERSION").write_text(f"{version}\n")  # and nothing else of a cluster
    with pytest.raises(StackError, match=r"postgres ended \(exit code \d\)(.|\n)*postgresql\.conf"):
        Stack(folder).up(workers=0, report=lambda line: None)
    assert not marks.processes(layout)


def test_data_of_another_postgresql_version_is_refused(folder: Path) -> None:
    layout = Layout(folder)
    kept_ports(layout)
    layout.secrets.write_text("{}")
    layout.cluster.mkdir(parents=True)
    (layout.cluster / "PG_VERSION").write_text("9\n")
    with pytest.raises(StackError, match="was made by PostgreSQL 9"):
        Stack(folder).up(workers=0, report=lambda line: None)
    assert (layout.cluster / "PG_VERSION").read_text() == "9\n"


def test_missing_programs_are_named_with_what_installs_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(postgres, "_DEBIAN", tmp_path)
    with pytest.raises(StackError, match="apt-get install postgresql"):
        Stack(folder).up(workers=0)
    monkeypatch.setattr(s3.sys, "executable", str(tmp_path / "python"))
    with pytest.raises(StackError, match="dependency group `services`"):
        s3.find_weed()


def test_a_folder_of_something_else_is_neither_used_nor_removed(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    mode = tmp_path.stat().st_mode
    with pytest.raises(StackError, match="holds something else"):
        Stack(tmp_path).up(workers=0)
    with pytest.raises(StackError, match="no folder of a stack"):
        Stack(tmp_path).destroy()
    assert tmp_path.stat().st_mode == mode
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_damaged_passwords_are_named_not_replaced(folder: Path) -> None:
    layout = Layout(folder)
    kept_ports(layout)
    layout.secrets.write_text('{"prefect": 1}')
    with pytest.raises(StackError, match=r"secrets is damaged \(prefect\)"):
        Stack(folder).up(workers=0)
    assert layout.secrets.read_text() == '{"prefect": 1}'


def test_destroy_removes_everything(folder: Path) -> None:
    layout = Layout(folder / "inner")
    layout.make()
    kept_ports(layout)
    shutil.copy(layout.ports, layout.secrets)
    Stack(layout.root).destroy(report=lambda line: None)
    assert not layout.root.exists()
