"""Sizes: params.yaml has the current size; sizes/ has the others in the same form.

    python -m pipelines.sizes fashion      copy sizes/fashion.yaml to params.yaml
    python -m pipelines.sizes digits       restore params.yaml of the last commit

`make repro SIZE=fashion` does this before it runs the pipeline.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

from lzn.base.files import atomic_write
from lzn.base.sections import Key, ParamsError, ParamsFile
from lzn.base.streams import escape_other_characters

PARAMS_FILE = Path("params.yaml")
SIZES_FOLDER = Path("sizes")


NO_GIT = (
    "this folder has no git repository, which DVC needs: run git init, or, to do without git, "
    "dvc config --local core.no_scm true"
)


class UnknownSizeError(ValueError):
    """No parameter file has the size. The message lists the sizes."""


class EditedParamsError(RuntimeError):
    """params.yaml has edits that would be lost."""


def lacks_git(root: Path = Path()) -> bool:
    """Return whether DVC would miss a git repository in this project."""
    folders = [root.resolve(), *root.resolve().parents]
    configs = [root / ".dvc" / name for name in ("config", "config.local")]
    settings = "".join(file.read_text() for file in configs if file.is_file())
    without_git = re.search(r"^\s*no_scm\s*=\s*(true|1|yes|on)\s*$", settings, re.IGNORECASE | re.MULTILINE)
    is_project = (root / ".dvc").is_dir()
    return is_project and not without_git and not any((folder / ".git").exists() for folder in folders)


def current_size(root: Path = Path()) -> str:
    """Return the size in params.yaml.

    Raises:
        ParamsError: params.yaml is missing, cannot be read, or has no size.
    """
    return _size_in(root / PARAMS_FILE)


def switch_size(size: str, root: Path = Path()) -> bool:
    """Make ``size`` the current size. Return whether params.yaml was changed.

    If ``size`` is already the current size, params.yaml keeps its edits.

    Raises:
        UnknownSizeError: no parameter file has this size.
        EditedParamsError: params.yaml differs from that of the last commit and from all files in sizes/.
        ParamsError: a parameter file cannot be read, or two different files have this size.
    """
    current = root / PARAMS_FILE
    if current.exists() and current_size(root) == size:
        return False
    committed = _committed_params(root)
    files = _files_by_size(root)
    contents = {name: file.read_bytes() for name, file in files.items()}
    if current.exists() and current.read_bytes() not in (committed, *contents.values()):
        advice = f"save it in {SIZES_FOLDER}/"
        if committed is not None:
            advice = f"commit the edits, save the file in {SIZES_FOLDER}/, or run git checkout {PARAMS_FILE}"
        raise EditedParamsError(
            f"{PARAMS_FILE} has edits that the switch to size {size} would lose: {advice}"
        )
    if committed is not None:
        committed_size = _size_in_bytes(committed)
        if size == committed_size and contents.get(size, committed) != committed:
            raise ParamsError(
                f"{files[size]} and {PARAMS_FILE} of the last commit both have size {size}, and they differ: "
                "change size in one of them"
            )
        contents.setdefault(committed_size, committed)
    if size not in contents:
        raise UnknownSizeError(_unknown_size(size, contents, root))
    with atomic_write(current) as partial:
        partial.write_bytes(contents[size])
    return True


def _files_by_size(root: Path) -> dict[str, Path]:
    """Return the files in sizes/ by their size."""
    files: dict[str, Path] = {}
    for file in sorted((root / SIZES_FOLDER).glob("*.yaml")):
        size = _size_in(file)
        if size in files:
            raise ParamsError(f"{files[size]} and {file} both have size {size}: change size in one of them")
        files[size] = file
    return files


def _unknown_size(size: str, known: dict[str, bytes], root: Path) -> str:
    if not known:
        return f"there are no parameter files in {root.resolve()}: run this in the folder of the project"
    message = f"no size {size}; the sizes are {', '.join(sorted(known))}"
    file = root / SIZES_FOLDER / f"{size}.yaml"
    return f"{message} ({file} has size {_size_in(file)})" if file.exists() else message


def _committed_params(root: Path) -> bytes | None:
    """Return params.yaml of the commit that is checked out; None if git has none."""
    command = ["git", "-C", str(root), "show", f"HEAD:./{PARAMS_FILE}"]
    try:
        return subprocess.run(command, capture_output=True, check=True).stdout
    except (FileNotFoundError, subprocess.CalledProcessError):
        return None


def _size_in(file: Path) -> str:
    return str(ParamsFile.read(file).section("size", Key))


def _size_in_bytes(content: bytes) -> str:
    """Return the size in a parameter file, which may be invalid YAML elsewhere."""
    lines = (line.partition(b":") for line in content.splitlines())
    value = next((value for key, _, value in lines if key == b"size"), b"")
    return value.partition(b"#")[0].strip(b" \"'").decode()


def main() -> None:
    """Switch to the size named on the command line."""
    escape_other_characters()
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.sizes",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("size", help="such as digits, fashion or paper")
    size = parser.parse_args().size
    try:
        changed = switch_size(size)
    except (ParamsError, UnknownSizeError, EditedParamsError, OSError) as error:
        sys.exit(f"error: {error}")
    if changed:
        print(f"{PARAMS_FILE} now has size {size}; to undo: git checkout {PARAMS_FILE}")


if __name__ == "__main__":
    main()
