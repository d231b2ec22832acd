"""Prepare data sets again whose files have changed, which DVC does not see: they are outside of the repository.

    python -m pipelines.sources            `make repro` and `make flow` do this first
    python -m pipelines.sources --list     print them as JSON and prepare nothing; flows on a cluster do this first

The stage ``prepare`` notes names, sizes and times of the files that it reads; see `lzn.preparation.source_files`.
"""

import argparse
import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from lzn.base.sections import ParamsError, ParamsFile
from lzn.base.streams import escape_other_characters
from lzn.preparation.data_sets import AnyData, DataParams
from lzn.preparation.source_files import SourceFiles, read_fingerprint, take_fingerprint, write_fingerprint
from pipelines.sizes import NO_GIT, PARAMS_FILE, current_size, lacks_git
from stages.runtime.outputs import OutputPaths


@dataclass(frozen=True)
class ChangedSource:
    """A data set whose files have changed.

    Attributes:
        how: what has changed, in words.
        file: the file with the fingerprint of its last preparation.
        found: the fingerprint of now.
    """

    how: str
    file: Path
    found: SourceFiles


def changed_sources(*, everywhere: bool = False) -> dict[str, ChangedSource]:
    """Return the data sets whose files have changed since they were prepared.

    A prepared data set whose files were not noted is compared from now on: another machine may have prepared it.

    Args:
        everywhere: also compare data sets that are not prepared in this folder, but by workers of a cluster.
    """
    outputs, params = OutputPaths(current_size()), ParamsFile.read(PARAMS_FILE)
    changed: dict[str, ChangedSource] = {}
    for name in params.value("data"):
        is_prepared = everywhere or (outputs.folder("prepare", name) / "dataset.json").exists()
        settings: DataParams = params.section(f"data.{name}", AnyData)
        found = take_fingerprint(settings.watched) if is_prepared else None
        if found is None:
            continue
        file = outputs.source_files(name)
        before = read_fingerprint(file)
        if before is None:
            write_fingerprint(file, found)
        elif before != found:
            changed[name] = ChangedSource(_describe(before, found), file, found)
    return changed


def _describe(before: SourceFiles, found: SourceFiles) -> str:
    if before.num_files != found.num_files:
        return f"{found.num_files} files, {before.num_files} before"
    if before.num_bytes != found.num_bytes:
        return f"{found.num_bytes} bytes, {before.num_bytes} before"
    return "other names or times"


def main() -> int:
    """Run DVC's stage ``prepare`` of each data set whose files have changed. Return the exit code."""
    escape_other_characters()
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.sources", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--list", action="store_true", help="print them as JSON and prepare nothing")
    only_list = parser.parse_args().list
    if lacks_git():
        print(f"error: {NO_GIT}", file=sys.stderr)
        return 1
    try:
        changed = changed_sources(everywhere=only_list)
    except (ParamsError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if only_list:
        print(json.dumps({name: asdict(source) for name, source in changed.items()}, default=str))
        return 0
    for name, source in changed.items():
        print(f"The files of {name} have changed ({source.how}): it is prepared again.", flush=True)
        command = [sys.executable, "-m", "dvc", "repro", "--force", "--single-item", f"prepare@{name}"]
        code = subprocess.run(command, check=False, cwd=Path()).returncode
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
