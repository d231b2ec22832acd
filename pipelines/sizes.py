"""Sizes: params.yaml is the size in force; sizes/ holds the others in the same form.

    python -m pipelines.sizes fashion      put sizes/fashion.yaml in place as params.yaml
    python -m pipelines.sizes digits       put back params.yaml as it is committed

`make repro SIZE=fashion` does the first before it runs the pipeline.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from lzn.base.files import atomic_write
from lzn.base.sections import ParamsError, read_yaml

PARAMS_FILE = Path("params.yaml")
SIZES_FOLDER = Path("sizes")


class UnknownSizeError(ValueError):
    """There is no such size; the message lists those that there are."""


class EditedParamsError(RuntimeError):
    """params.yaml has edits that would be lost."""


def current_size(root: Path = Path()) -> str:
    """Return the size that params.yaml is of.

    Raises:
        ParamsError: params.yaml is missing or cannot be read.
    """
    return str(read_yaml(root / PARAMS_FILE).get("size"))


def switch_size(size: str, root: Path = Path()) -> bool:
    """Make ``size`` the size in force; return whether params.yaml was changed.

    Raises:
        UnknownSizeError: no file has this size.
        EditedParamsError: params.yaml differs from the committed one and from all files in sizes/.
        ParamsError: a parameter file cannot be read.
    """
    current = root / PARAMS_FILE
    if current.exists() and current_size(root) == size:
        return False
    known = _contents(root)
    if size not in known:
        raise UnknownSizeError(f"no size {size}; there is {', '.join(sorted(known))}")
    if current.exists() and current.read_bytes() not in known.values():
        raise EditedParamsError(
            f"{PARAMS_FILE} has edits that the change to size {size} would lose: commit them, or save them in "
            f"{SIZES_FOLDER}/, or drop them with git checkout {PARAMS_FILE}"
        )
    with atomic_write(current) as partial:
        partial.write_bytes(known[size])
    return True


def _contents(root: Path) -> dict[str, bytes]:
    """The parameter files by their size: those in sizes/, and params.yaml as it is committed."""
    files = sorted((root / SIZES_FOLDER).glob("*.yaml"))
    contents = {str(read_yaml(file).get("size")): file.read_bytes() for file in files}
    committed = _committed_params(root)
    if committed is not None:
        contents.setdefault(_size_of(committed), committed)
    return contents


def _committed_params(root: Path) -> bytes | None:
    """params.yaml of the commit that is checked out; None without git or before the first commit."""
    command = ["git", "-C", str(root), "show", f"HEAD:./{PARAMS_FILE}"]
    try:
        return subprocess.run(command, capture_output=True, check=True).stdout
    except (FileNotFoundError, subprocess.CalledProcessError):
        return None


def _size_of(content: bytes) -> str:
    lines = (line.partition(b":") for line in content.splitlines())
    return next((value.partition(b"#")[0].strip().decode() for key, _, value in lines if key == b"size"), "")


def main() -> None:
    """Put the size named on the command line in place."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.sizes", description=__doc__)
    parser.add_argument("size", help="such as digits, fashion or paper")
    size = parser.parse_args().size
    try:
        changed = switch_size(size)
    except (ParamsError, UnknownSizeError, EditedParamsError) as error:
        sys.exit(f"error: {error}")
    if changed:
        print(f"{PARAMS_FILE} is now of size {size}; back: git checkout {PARAMS_FILE}")


if __name__ == "__main__":
    main()
