"""The Dockerfile copies and installs what the project needs, and does not run as root."""

import re
import tomllib

from lzn_testing.servers.infra_files import INFRA, PROJECT

DOCKERFILE = (INFRA / "Dockerfile").read_text().replace("\\\n", " ")
INSTRUCTIONS = [line for line in DOCKERFILE.splitlines() if line and not line.startswith("#")]


def copied() -> list[str]:
    lines = [line.split()[1:-1] for line in INSTRUCTIONS if line.startswith("COPY ") and "--from" not in line]
    return [source for line in lines for source in line]


def test_copied_files_are_in_the_project_and_in_the_build_context() -> None:
    included = (PROJECT / ".dockerignore").read_text().splitlines()

    assert not [source for source in copied() if not list(PROJECT.glob(source))]
    assert not [source for source in copied() if f"!{source.split('/')[0]}" not in included]


def test_code_is_copied_after_all_installations() -> None:
    last_install = max(at for at, line in enumerate(INSTRUCTIONS) if "pip install" in line)
    first_code = min(
        at for at, line in enumerate(INSTRUCTIONS) if re.match(r"COPY (lzn|stages|pipelines)\b", line)
    )
    assert first_code > last_install


def test_all_packages_of_the_project_are_copied() -> None:
    packages = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["importlinter"][
        "root_packages"
    ]
    assert {*packages, "infra"} <= set(copied())


def test_the_first_process_forwards_signals_and_the_user_is_not_root() -> None:
    assert 'ENTRYPOINT ["tini", "--"]' in INSTRUCTIONS
    assert [line for line in INSTRUCTIONS if line.startswith("USER")] == ["USER 10001:10001"]
