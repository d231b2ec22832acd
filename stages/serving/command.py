"""The command ``lzn register``, which `lzn.cli` finds through the entry-point group ``lzn.commands``."""

from typing import Annotated

import typer

from lzn.cli import options
from lzn.cli.catalogue import Catalogue
from lzn.cli.show import quiet_stdout, say


def register(
    run: options.RunName,
    alias: Annotated[str, typer.Option("--alias", help="Alias that the new version gets.")] = "champion",
    size: options.Size = options.DEFAULT_SIZE,
    project: options.Project = None,
    as_json: options.AsJson = False,
) -> None:
    """Register a run as a model in MLflow, for `mlflow models serve`.

    MLFLOW_TRACKING_URI says where; without it, mlflow.db of the current folder.

    Example: `lzn register joint --alias champion`
    """
    chosen = Catalogue.find(project, size=size).choose(run)
    with quiet_stdout():
        from lzn.inference.loaded_run import choose_device, open_seed  # noqa: PLC0415 - they import torch
        from stages.serving.registry import register_seed  # noqa: PLC0415

        loaded = open_seed(chosen.folder, prepared=chosen.prepared, device=choose_device(chosen.device))
        registered = register_seed(loaded, chosen.folder, alias=alias)
    uri = f"models:/{registered.name}@{alias}"
    text = (
        f"{registered.name} version {registered.version} is {alias}\n"
        f"mlflow models serve -m {uri} --env-manager local"
    )
    payload = {
        "run": loaded.facts.name,
        "seed": loaded.facts.seed,
        "model": registered.name,
        "version": registered.version,
        "alias": alias,
        "uri": uri,
    }
    say(text, payload, as_json=as_json)
