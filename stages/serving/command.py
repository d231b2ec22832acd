"""The command ``lzn register``, registered in the entry-point group ``lzn.commands``."""

from typing import Annotated

import typer

from lzn.cli import options
from lzn.cli.catalogue import Catalogue
from lzn.cli.terminal import print_result, stdout_to_stderr


def register(
    run: options.RunName,
    alias: Annotated[str, typer.Option("--alias", help="Alias of the new version.")] = "champion",
    size: options.Size = options.DEFAULT_SIZE,
    project: options.Project = None,
    as_json: options.AsJson = False,
) -> None:
    """Register a run as a model in MLflow, for `mlflow models serve`.

    MLFLOW_TRACKING_URI names the server; the default is mlflow.db in the current folder.

    Example: `lzn register joint --alias champion`
    """
    chosen = Catalogue.find(project, size=size).choose(run)
    with stdout_to_stderr():
        from lzn.inference.loaded_run import choose_device, open_seed  # noqa: PLC0415 - they import torch
        from stages.serving.registry import register_seed  # noqa: PLC0415

        loaded = open_seed(
            chosen.folder, prepared_folder=chosen.prepared_folder, device=choose_device(chosen.device)
        )
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
    print_result(text, payload, as_json=as_json)
