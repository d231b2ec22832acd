"""Prepare data sets again whose files have changed, which DVC does not see: they are outside of the repository.

    python -m pipelines.sources            `make repro` and `make flow` do this first

The stage ``prepare`` notes names, sizes and times of the files that it reads; see `lzn.preparation.source_files`.
"""

import subprocess
import sys
from pathlib import Path

from lzn.base.sections import ParamsError, ParamsFile
from lzn.preparation.data_sets import AnyData, DataParams
from lzn.preparation.source_files import SourceFiles, read_fingerprint, take_fingerprint, write_fingerprint
from pipelines.sizes import PARAMS_FILE, current_size
from stages.runtime.outputs import OutputPaths


def changed_sources() -> dict[str, str]:
    """Return how the files of data sets have changed since they were prepared, by data set.

    A prepared data set whose files were not noted is compared from now on: another machine may have prepared it.
    """
    outputs, params = OutputPaths(current_size()), ParamsFile.read(PARAMS_FILE)
    changed: dict[str, str] = {}
    for name in params.value("data"):
        settings: DataParams = params.section(f"data.{name}", AnyData)
        found = take_fingerprint(settings.watched)
        if found is None or not (outputs.folder("prepare", name) / "dataset.json").exists():
            continue
        file = outputs.source_files(name)
        before = read_fingerprint(file)
        if before is None:
            write_fingerprint(file, found)
        elif before != found:
            changed[name] = _describe(before, found)
    return changed


def _describe(before: SourceFiles, found: SourceFiles) -> str:
    if before.num_files != found.num_files:
        return f"{found.num_files} files, {before.num_files} before"
    if before.num_bytes != found.num_bytes:
        return f"{found.num_bytes} bytes, {before.num_bytes} before"
    return "other names or times"


def main() -> int:
    """Run DVC's stage ``prepare`` of each data set whose files have changed. Return the exit code."""
    try:
        changed = changed_sources()
    except (ParamsError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for name, how in changed.items():
        print(f"The files of {name} have changed ({how}): it is prepared again.", flush=True)
        command = [sys.executable, "-m", "dvc", "repro", "--force", "--single-item", f"prepare@{name}"]
        code = subprocess.run(command, check=False, cwd=Path()).returncode
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
