"""List the commands that `dvc repro` would run at sizes that are not in force.

python -m pipelines.dry params.yaml sizes/fashion.yaml ...
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dvc.repo import Repo

from pipelines.sizes import PARAMS_FILE

LINKED = ("lzn", "stages", "outputs", "data")
"""Folders that stages depend on; the temporary project links to those that exist."""


@contextmanager
def temporary_project(params_file: Path, root: Path = Path()) -> Iterator[Path]:
    """Yield a temporary DVC project with this project's dvc.yaml and ``params_file`` as its parameters."""
    with tempfile.TemporaryDirectory(prefix="lzn-") as parent:
        folder = Path(parent)
        Repo.init(str(folder), no_scm=True).close()
        shutil.copyfile(root / "dvc.yaml", folder / "dvc.yaml")
        shutil.copyfile(params_file, folder / PARAMS_FILE)
        for name in LINKED:
            if (root / name).exists():
                (folder / name).symlink_to((root / name).resolve(), target_is_directory=True)
        yield folder


def main() -> None:
    """List the commands of the sizes named on the command line."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.dry", description=__doc__)
    parser.add_argument("files", type=Path, nargs="+", help="parameter files")
    for file in parser.parse_args().files:
        with temporary_project(file) as folder:
            command = [sys.executable, "-m", "dvc", "repro", "--dry", "--force"]
            code = subprocess.run(command, cwd=folder, check=False).returncode
        if code:
            sys.exit(f"error: {file}: dvc repro --dry ended with exit code {code}")


if __name__ == "__main__":
    main()
