"""List the commands that `dvc repro` runs at other sizes than the current one.

    python -m pipelines.dry params.yaml sizes/fashion.yaml ...

It runs no stage and changes no file of the project.
"""

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lzn.base.sections import ParamsError
from lzn.base.streams import escape_other_characters
from pipelines.sizes import PARAMS_FILE

LINKED = ("lzn", "stages", "outputs", "data")
"""Folders that stages depend on; the temporary project links to those that exist."""
DVC_CONFIG = """\
[core]
    no_scm = True
    analytics = false
    check_update = false
    site_cache_dir = {folder}/.dvc/tmp/site
"""
"""Without the last line, DVC leaves a folder in the machine's cache for each temporary project."""


@contextmanager
def temporary_project(params_file: Path, root: Path = Path()) -> Iterator[Path]:
    """Yield a temporary DVC project with this project's dvc.yaml and ``params_file`` as its parameters.

    Raises:
        ParamsError: one of the two files is missing.
    """
    for file in (params_file, root / "dvc.yaml"):
        if not file.is_file():
            raise ParamsError(f"{file}: no such file in {Path.cwd()}; run this in the folder of the project")
    with tempfile.TemporaryDirectory(prefix="lzn-") as parent:
        folder = Path(parent)
        (folder / ".dvc").mkdir()
        (folder / ".dvc" / "config").write_text(DVC_CONFIG.format(folder=folder), encoding="utf-8")
        shutil.copyfile(root / "dvc.yaml", folder / "dvc.yaml")
        shutil.copyfile(params_file, folder / PARAMS_FILE)
        for name in LINKED:
            if (root / name).exists():
                (folder / name).symlink_to((root / name).resolve(), target_is_directory=True)
        yield folder


def list_commands(params_file: Path) -> None:
    """Print the commands of all stages with these parameters.

    Raises:
        ParamsError: a file is missing, or DVC refuses dvc.yaml with these parameters; DVC prints why.
    """
    with temporary_project(params_file) as folder:
        print(f"{params_file}:", flush=True)
        command = [sys.executable, "-m", "dvc", "repro", "--dry", "--force"]
        code = subprocess.run(command, cwd=folder, check=False).returncode
    if code:
        raise ParamsError(f"{params_file}: dvc repro --dry ended with exit code {code}")


def main() -> None:
    """List the commands of the sizes named on the command line."""
    escape_other_characters()
    parser = argparse.ArgumentParser(prog="python -m pipelines.dry", description=__doc__.partition("\n")[0])
    parser.add_argument("files", type=Path, nargs="+", help="parameter files")
    try:
        for file in parser.parse_args().files:
            list_commands(file)
    except ParamsError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


if __name__ == "__main__":
    main()
