"""Names of methods, data sets and representations, and texts that several tables share."""

from collections.abc import Iterable, Sequence

from stages.reporting.metrics import NOT_RUN_YET, distance_metric
from stages.reporting.results import Results
from stages.reporting.tables.table import Cell

METHODS = {
    "rf": "RF",
    "rf_lzn": "RF+LZN",
    "rf_lzn_no_gen": "RF+LZN (no gen)",
    "rf_lzn_u20": "RF+LZN, u = 20",
    "rf_lzn_u5": "RF+LZN, u = 5",
}
DATA_SETS = {
    "cifar10": "CIFAR10",
    "afhq_cat": "AFHQ-Cat",
    "celeba_hq": "CelebA-HQ",
    "lsun_bedroom": "LSUN-Bedroom",
    "imagenet": "ImageNet",
}
REPRESENTATIONS = {
    "with_latent": "with latent",
    "with_latent_alpha_0": "with latent, alpha = 0",
    "with_head": "with head",
    "without_head": "without head",
    "pixels": "raw pixels",
}

NOT_REPORTED = "not reported in the paper"
ONLY_HERE = "not in the paper: a distance in the features of a classifier trained on these data"


def not_run_yet(columns: Iterable[str]) -> dict[str, Cell]:
    """Return a cell for each column of a run that has not gone through the stage that measures its numbers."""
    return dict.fromkeys(columns, Cell(None, NOT_RUN_YET))


def data_title(results: Results, run: str) -> str:
    """Return the paper's name of the run's data set, or its name in params.yaml."""
    data = results.data_of(run)
    return DATA_SETS.get(data, data)


def paper_cells(columns: Sequence[str], values: Sequence[float | None]) -> dict[str, Cell]:
    """Return numbers of the paper as cells, by column."""
    return {
        name: Cell(value) if value is not None else Cell(None, NOT_REPORTED)
        for name, value in zip(columns, values, strict=True)
    }


def recipe_remarks(results: Results, stage: str, runs: Iterable[str], names: Iterable[str]) -> list[str]:
    """Return a remark for each recipe of the distances of a table; ``names`` are the distances that it has.

    Raises:
        ParamsError: two runs on the same data set have different recipes for a distance.
    """
    by_data: dict[str, list[str]] = {}
    for run in runs:
        by_data.setdefault(results.data_of(run), []).append(run)
    headings: dict[str, list[str]] = {}
    for of_data in by_data.values():
        recipes = results.recipes(stage, dict.fromkeys(of_data))
        for name in names:
            if name in recipes:
                headings.setdefault(recipes[name].text, []).append(distance_metric(name).heading)
    return [f"{', '.join(dict.fromkeys(found))}: {text}." for text, found in headings.items()]


def our_rows_remark(results: Results, runs: Iterable[str]) -> str:
    """Return the remark that names the data sets and the numbers of seeds of our rows."""
    runs = list(runs)
    names = ", ".join(sorted({data_title(results, run) for run in runs}))
    counts = sorted({len(results.outputs.trained_seeds(run)) for run in runs} - {0})
    seeds = " or ".join("one seed" if count == 1 else f"{count} seeds" for count in counts) or NOT_RUN_YET
    return f"Our rows: {names}, {seeds}. Compare rows of the same source only: data, networks or training may differ."
