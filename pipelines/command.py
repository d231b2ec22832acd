"""The command ``lzn check``; `lzn.cli` finds it through the entry-point group ``lzn.commands``."""

from pathlib import Path
from typing import Annotated

import typer

from lzn.cli import options
from lzn.cli.terminal import print_result, stdout_to_stderr


def check(
    files: Annotated[
        list[Path], typer.Argument(metavar="PARAMS...", help="Parameter files.", show_default=False)
    ],
    as_json: options.AsJson = False,
) -> None:
    """Check parameter files, so that mistakes are found before hours of training.

    Example: `lzn check params.yaml`
    """
    with stdout_to_stderr():
        from pipelines.check import read_params, require_memory  # noqa: PLC0415 - it imports torch

        checked = {str(file): read_params(file) for file in files}
        for file, params in zip(files, checked.values(), strict=True):
            require_memory(file, params)
    found = [
        {"file": name, "size": params.size, "runs": list(params.runs)} for name, params in checked.items()
    ]
    lines = [f"{name}: size {params.size}, {len(params.runs)} runs" for name, params in checked.items()]
    print_result("\n".join(lines), found, as_json=as_json)
