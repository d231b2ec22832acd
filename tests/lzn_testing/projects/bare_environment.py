"""A new environment that holds the wheel of this project and what the wheel requires, and no other package.

Nothing is downloaded: the requirements are links to the packages of the environment that runs the tests.
"""

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from email.parser import HeaderParser
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from lzn_testing import PROJECT

PACKED = ("pyproject.toml", "README.md", "LICENSE", "lzn")
"""What the wheel is built from."""
PIP = (sys.executable, "-m", "pip", "--quiet", "--no-input", "--disable-pip-version-check")


@dataclass(frozen=True)
class BareEnvironment:
    """A virtual environment, and the normalised names of the distributions in it."""

    folder: Path
    distributions: frozenset[str]

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    def run(self, *command: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
        """Run a program of this environment: neither PYTHONPATH nor the user's packages are read."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        environment = {**kept, "PYTHONNOUSERSITE": "1", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
        program, *arguments = command
        return subprocess.run(
            [str(self.folder / "bin" / program), *arguments],
            cwd=cwd, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip


def copy_of_packed_files(folder: Path) -> Path:
    """Copy what the wheel is built from, because a build writes into its folder."""
    for name in PACKED:
        if (PROJECT / name).is_dir():
            shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / name, folder / name)
    return folder


def build_wheel(folder: Path) -> Path:
    """Build the wheel into ``folder`` without a network."""
    source = copy_of_packed_files(folder / "source")
    build = ("wheel", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", str(folder))
    subprocess.run([*PIP, *build, str(source)], check=True)
    [wheel] = folder.glob("*.whl")
    return wheel


def requirements_of(wheel: Path) -> list[str]:
    """Return all ``Requires-Dist`` of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = HeaderParser().parsestr(archive.read(name).decode())
    return metadata.get_all("Requires-Dist", [])


def needed_distributions(requirements: Iterable[str]) -> dict[str, Distribution]:
    """Return the distributions that fulfil requirements, and what these require, by normalised name."""
    found: dict[str, Distribution] = {}
    seen: set[tuple[str, str]] = set()
    waiting = [(Requirement(each), "") for each in requirements]
    while waiting:
        requirement, extra_of_parent = waiting.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra_of_parent}):
            continue
        name = canonicalize_name(requirement.name)
        found[name] = distribution(requirement.name)
        for extra in ("", *requirement.extras):
            if (name, extra) not in seen:
                seen.add((name, extra))
                waiting += [(Requirement(each), extra) for each in found[name].requires or ()]
    return found


def make_bare_environment(folder: Path, wheel: Path, *, others: Sequence[str] = ()) -> BareEnvironment:
    """Make an environment with the wheel, its requirements, and those of ``others``."""
    venv.create(folder, with_pip=False)
    needed = needed_distributions([*requirements_of(wheel), *others])
    [packages] = folder.glob("lib/python*/site-packages")
    for found in needed.values():
        tops = {file.parts[0] for file in found.files or () if file.parts[0] not in ("..", "__pycache__")}
        for top in tops:
            if not (packages / top).exists():
                (packages / top).symlink_to(Path(str(found.locate_file(top))).resolve())
    environment = BareEnvironment(folder, frozenset(needed))
    install = ("--python", str(environment.python), "install", "--no-deps", "--no-index")
    subprocess.run([*PIP, *install, str(wheel)], check=True)
    return environment
