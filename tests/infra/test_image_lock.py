"""The packages of the image: the pinned ones, each with hashes; and the versions of other images."""

import os
import re
import tomllib
from pathlib import Path

import pytest
from lzn_testing.servers.infra_files import PROJECT

from infra.image import lock, pins
from infra.image.lock import FOLDER, GROUPS, entries_of

REQUIREMENTS = {
    **entries_of((FOLDER / "requirements.txt").read_text()),
    **entries_of((FOLDER / "requirements-cuda.txt").read_text()),
}


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def version_of(entry: str) -> str:
    return re.split(r"[ ;\\]", entry.partition("==")[2])[0]


def test_the_packages_of_the_image_have_the_versions_of_constraints_txt() -> None:
    lines = (PROJECT / "constraints.txt").read_text().splitlines()
    pinned = {
        normalised(name): version for name, at, version in (line.partition("==") for line in lines) if at
    }
    versions = {normalised(name): version_of(entry) for name, entry in REQUIREMENTS.items()}
    assert {name: version for name, version in versions.items() if pinned.get(name, version) != version} == {}
    assert {name for name in versions if name not in pinned} <= {"setuptools"}, "pip freeze leaves it out"


def test_the_image_has_all_dependencies_of_the_project_and_of_its_servers() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    groups = project["dependency-groups"]
    listed = [*project["project"]["dependencies"], *(one for group in GROUPS for one in groups[group])]
    listed += groups["clients"]  # part of the group `services`
    names = {normalised(re.split(r"[\[<>=; ]", one)[0]) for one in listed if isinstance(one, str)}
    assert names <= {normalised(name) for name in REQUIREMENTS}


def test_the_variant_without_cuda_has_none_of_its_libraries() -> None:
    plain = entries_of((FOLDER / "requirements.txt").read_text())
    assert not [name for name in plain if name.startswith(("nvidia-cu", "nvidia-nccl", "cuda-", "triton"))]
    assert {"torch", "torchvision", "nvidia-ml-py"} & set(plain) == {"nvidia-ml-py"}


def test_entries_keep_their_hashes() -> None:
    numpy = "numpy==2.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb"
    six = "six==1.0 \\\n    --hash=sha256:cc"
    assert entries_of(f"# Written\n{numpy}\n{six}\n") == {"numpy": numpy, "six": six}


def test_without_uv_the_command_says_what_to_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert lock.main([]) == 1
    assert capsys.readouterr().err == "error: uv is not installed: run make lock\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for file in pins.image_files():
        copied = tmp_path / file.relative_to(PROJECT)
        copied.parent.mkdir(parents=True, exist_ok=True)
        copied.write_text(file.read_text())
    return tmp_path


def test_one_command_changes_the_version_of_an_image_in_all_files(project: Path) -> None:
    changed = pins.set_version("postgres:15.99-bookworm", project)

    assert {file.name for file in changed} == {"compose.yaml", "postgres.yaml"}
    named = {image for image in pins.named_images(project) if image.startswith("postgres:")}
    assert named == {"postgres:15.99-bookworm"}
    again = pins.set_version(f"postgres:15.99-bookworm@sha256:{'0' * 64}", project)
    assert again == changed
    assert pins.set_version(f"postgres:15.99-bookworm@sha256:{'0' * 64}", project) == []


def test_the_image_of_python_is_one_of_them(project: Path) -> None:
    assert [file.name for file in pins.set_version("python:3.11.99-slim-bookworm", project)] == ["Dockerfile"]


def test_an_unknown_image_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert pins.main(["mysql:8.0"]) == 1
    assert "no file names the image mysql; the images are chrislusf/seaweedfs, postgres, python" in (
        capsys.readouterr().err
    )


def test_digests_are_those_that_docker_prints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docker = tmp_path / "docker"
    docker.write_text(f'#!/bin/sh\n[ "$4" = postgres:15.99 ] && echo \'"sha256:{"a" * 64}"\' || exit 1\n')
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert pins.digest_of("postgres:15.99") == f"sha256:{'a' * 64}"
    with pytest.raises(pins.PinError, match="does not tell the digest of postgres:1"):
        pins.digest_of("postgres:1")
