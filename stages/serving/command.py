"""The command ``lzn register``, registered in the entry-point group ``lzn.commands``."""

from typing import Annotated

import typer

from lzn.cli import options
from lzn.cli.catalogue import Catalogue, read_facts
from lzn.cli.terminal import print_result, stdout_to_stderr
from stages.serving.quality import Bar, quality_of

Alias = Annotated[str, typer.Option("--alias", help="Alias of the new version.")]
MinAccuracy = Annotated[
    float,
    typer.Option("--min-accuracy", min=0, max=1, help="The lowest test accuracy, for runs that classify."),
]
MinClaims = Annotated[
    float,
    typer.Option(
        "--min-claims",
        min=0,
        max=1,
        help="The lowest share of the paper's claims about the run's case study that hold, among those that hold or do "
        "not hold.",
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Register a run that is below the bar.")]


def register(  # noqa: PLR0917 - options are parameters
    run: options.RunName,
    alias: Alias = "champion",
    min_accuracy: MinAccuracy = 0.8,
    min_claims: MinClaims = 0.5,
    force: Force = False,
    size: options.Size = options.DEFAULT_SIZE,
    project: options.Project = None,
    as_json: options.AsJson = False,
) -> None:
    """Register the model of a run in MLflow, for `mlflow models serve`.

    The version is the model that the training stored, with its run, data and metrics. A run with a lower accuracy than
    --min-accuracy, or with fewer holding claims than --min-claims, is refused.

    MLFLOW_TRACKING_URI names the server; the default is mlflow.db in the current folder.

    Example: `lzn register joint --alias champion`
    """
    catalogue = Catalogue.find(project, size=size)
    chosen = catalogue.choose(run)
    facts = read_facts(chosen.folder)
    quality = quality_of(facts, catalogue.outputs)
    if not force:
        bar = Bar(accuracy=min_accuracy, claims=min_claims)
        quality.require(bar, name=f"{facts.name}, seed {facts.seed}")
    with stdout_to_stderr():
        from lzn.inference.loaded_run import choose_device, open_seed  # noqa: PLC0415 - they import torch
        from stages.serving.registry import register_seed  # noqa: PLC0415
        from stages.tracking.tracker import DEFAULT_OUTBOX  # noqa: PLC0415

        loaded = open_seed(
            chosen.folder, prepared_folder=chosen.prepared_folder, device=choose_device(chosen.device)
        )
        registered = register_seed(loaded, chosen.folder, alias=alias, outbox=catalogue.root / DEFAULT_OUTBOX)
    uri = f"models:/{registered.name}@{alias}"
    text = (
        f"{registered.name} version {registered.version} is {alias}: model {registered.model_id}\n"
        f"{quality.text}\n{registered.compared}\n"
        f"mlflow models serve -m {uri} --env-manager local"
    )
    payload = {
        "run": loaded.facts.name,
        "seed": loaded.facts.seed,
        "model": registered.name,
        "version": registered.version,
        "alias": alias,
        "uri": uri,
        "model_id": registered.model_id,
        "quality": quality.text,
        "compared": registered.compared,
    }
    print_result(text, payload, as_json=as_json)
