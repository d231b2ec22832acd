"""Write tables and report from the numbers that exist so far: `python -m pipelines.partial_report` (`make tables`).

Cells and claims whose stages have not run say "not run yet". The files are in ``outputs/<size>/partial_report``, which
is no output of a stage: DVC and MLflow do not know of it, and it can be made while `dvc repro` is running.
"""

import argparse
import sys
from pathlib import Path

from lzn.base.sections import ParamsError, ParamsFile
from lzn.base.streams import escape_other_characters
from stages.report import write_page
from stages.runtime.outputs import PARTIAL_REPORT, OutputPaths
from stages.runtime.stage_main import PARAMS_FILE
from stages.tables import write_filled


def write_partial_report(params: ParamsFile) -> Path:
    """Write the files of the stages ``tables`` and ``report`` to one folder, and return the folder."""
    outputs = OutputPaths(params.section("size", str))
    folder = outputs.folder(PARTIAL_REPORT)
    write_filled(params, outputs, folder)
    write_page(params, outputs, tables=folder, folder=folder)
    return folder


def main() -> None:
    """Write the partial report of the current size."""
    escape_other_characters()
    argparse.ArgumentParser(prog="python -m pipelines.partial_report", description=__doc__).parse_args()
    try:
        folder = write_partial_report(ParamsFile.read(PARAMS_FILE))
    except ParamsError as error:
        sys.exit(str(error))
    print((folder / "claims.md").read_text(encoding="utf-8"))
    print(f"Report: {folder / 'index.html'}    Tables: {folder / 'tables.md'}")


if __name__ == "__main__":
    main()
