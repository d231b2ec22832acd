"""The Dockerfile copies and installs what the project needs, and does not run as root."""

import re
import subprocess
import sys
import tomllib

from lzn_testing.servers.infra_files import INFRA, PROJECT

DOCKERFILE = (INFRA / "Dockerfile").read_text().replace("\\\n", " ")
INSTRUCTIONS = [line for line in DOCKERFILE.splitlines() if line and not line.startswith("#")]


def copied() -> list[str]:
    lines = [line.split()[1:-1] for line in INSTRUCTIONS if line.startswith("COPY ") and "--from" not in line]
    return [source for line in lines for source in line]


def test_copied_files_are_in_the_project_and_in_the_build_context() -> None:
    included = (PROJECT / ".dockerignore").read_text().splitlines()

    assert not [source for source in copied() if not (PROJECT / source).exists()]
    assert not [source for source in copied() if f"!{source}" not in included]


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


def test_installed_dependency_groups_exist() -> None:
    groups = tomllib.loads((PROJECT / "pyproject.toml").read_text())["dependency-groups"]
    [installs] = [line for line in INSTRUCTIONS if "--requirement requirements.txt" in line]
    assert set(re.findall(r"--group (\w+)", installs)) == {"services", "containers"} <= set(groups)


def test_the_installed_requirements_are_those_of_the_project() -> None:
    [program] = re.findall(r'python -c "(import tomllib.*?)"', DOCKERFILE)
    printed = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    of_extras = {
        requirement for extra in project["optional-dependencies"].values() for requirement in extra
    } - {f"latent-zoning-network[{names}]" for names in ("images,metrics,released", "pipeline")}
    assert set(printed.stdout.splitlines()) == {*project["dependencies"], *of_extras}


def test_the_first_process_forwards_signals_and_the_user_is_not_root() -> None:
    assert 'ENTRYPOINT ["tini", "--"]' in INSTRUCTIONS
    assert [line for line in INSTRUCTIONS if line.startswith("USER")] == ["USER 10001:10001"]
