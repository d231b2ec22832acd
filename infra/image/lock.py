"""Write the Python packages of the image with their hashes: `make lock`, after a change of constraints.txt.

    infra/image/requirements.txt         all packages but those below, for both variants of the image
    infra/image/requirements-cuda.txt    torch from the default index, with CUDA's libraries
    infra/image/requirements-cpu.txt     torch without them: `make lock TORCH_INDEX=URL`, the index of CPU wheels

The versions are those of constraints.txt. uv asks the configured index for the hashes of files, and downloads none.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from lzn.base.files import write_text

PROJECT: Final = Path(__file__).resolve().parents[2]
FOLDER: Final = PROJECT / "infra" / "image"
EXTRA: Final = "cluster"
GROUPS: Final = ("services", "containers")
HEADER: Final = "# Written by `make lock` from pyproject.toml and constraints.txt.\n"
_PYTHON: Final = "3.11.14"
_PLATFORM: Final = "x86_64-manylinux_2_28"
_TORCH: Final = ("torch", "torchvision")
_CUDA: Final = re.compile(r"torch|torchvision|triton|cuda-.*|nvidia-(?!ml-py).*")


class LockError(RuntimeError):
    """uv is not installed, or finds no such packages. The message has its output."""


def write_requirements(project: Path = PROJECT) -> None:
    """Write the files of both variants. Raises LockError."""
    groups = [argument for group in GROUPS for argument in ("--group", group)]
    entries = entries_of(_compile([str(project / "pyproject.toml"), "--extra", EXTRA, *groups], project))
    cuda = {name: entry for name, entry in entries.items() if _CUDA.fullmatch(name)}
    _write(project, "requirements", {name: entry for name, entry in entries.items() if name not in cuda})
    _write(project, "requirements-cuda", cuda)


def write_cpu_requirements(index: str, project: Path = PROJECT) -> None:
    """Write torch and torchvision of an index of CPU wheels, in the pinned versions. Raises LockError."""
    pins = dict(
        re.findall(r"^(torch|torchvision)==(\S+)", (project / "constraints.txt").read_text(), re.MULTILINE)
    )
    wanted = "".join(f"{name}=={pins[name]}+cpu\n" for name in _TORCH)
    options = ["--no-deps", "--index-url", index, "-"]
    _write(project, "requirements-cpu", entries_of(_compile(options, project, standard_input=wanted)))


def entries_of(requirements: str) -> dict[str, str]:
    """Return the entries of a requirements file by name, each with its hashes on lines of its own."""
    found: dict[str, str] = {}
    for entry in re.split(r"\n(?=\S)", requirements.strip()):
        if entry and not entry.startswith("#"):
            found[entry.partition("==")[0]] = entry
    return found


def _compile(arguments: Sequence[str], project: Path, *, standard_input: str = "") -> str:
    constraints = [] if "-" in arguments else ["--constraint", str(project / "constraints.txt")]
    command = [
        *("uv", "pip", "compile", "--quiet", "--generate-hashes", "--no-annotate", "--no-header"),
        *("--python-version", _PYTHON, "--python-platform", _PLATFORM),
        *constraints,
        *arguments,
    ]
    try:
        done = subprocess.run(
            command, cwd=project, input=standard_input, capture_output=True, text=True, check=True
        )
    except FileNotFoundError as error:
        raise LockError("uv is not installed: run make lock") from error
    except subprocess.CalledProcessError as error:
        raise LockError(f"uv cannot find the packages:\n{error.stderr.strip()}") from error
    return done.stdout


def _write(project: Path, name: str, entries: Mapping[str, str]) -> None:
    file = project / "infra" / "image" / f"{name}.txt"
    write_text(file, HEADER + "\n".join(entries.values()) + "\n")
    print(f"{file.relative_to(project)}: {len(entries)} packages")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files from the command line. Return 1 after an error."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.image.lock", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument(
        "--torch-index", metavar="URL", help="write requirements-cpu.txt from this index only"
    )
    options = parser.parse_args(arguments)
    try:
        if options.torch_index:
            write_cpu_requirements(options.torch_index)
        else:
            write_requirements()
    except LockError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
