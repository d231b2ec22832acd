"""What methods, data sets and metrics are called, and why a number may be missing."""

from collections.abc import Iterable, Mapping, Sequence

from stages.measuring.quantity import Quantity
from stages.reporting.results import Results
from stages.reporting.tables.table import Cell, Column

COLUMNS = {
    "fid": Column("FID", "lower"),
    "sfid": Column("sFID", "lower"),
    "is": Column("IS", "higher"),
    "precision": Column("Precision", "higher"),
    "recall": Column("Recall", "higher"),
    "cmmd": Column("CMMD", "lower"),
    "recon": Column("Recon", "lower"),
    "accuracy": Column("Acc %", "higher"),
    "top1": Column("Top-1 %", "higher"),
    "top5": Column("Top-5 %", "higher"),
    "clean": Column("FID (clean)", "lower"),
    "rf": Column("FID (RF)", "lower"),
    "cm": Column("FID (CM)", "lower"),
}
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
MEASURED_AS = {"recon": "reconstruction", "cm": "fid", "rf": "fid_rf", "clean": "fid_clean"}
"""What ``measure`` calls a column of the paper, where the names differ."""

NOT_REPORTED = "not reported in the paper"
ONLY_HERE = "a distance in features of a data set's own classifier, which the paper does not have"
OTHER_DATA = "measured in the features of another data set's classifier"
NEEDS_INCEPTION = "not measured for these data: it needs Inception features, made for natural images"
NEEDS_CLIP = "not measured: it needs CLIP embeddings"
NO_LABELS = "this method does not classify"
NO_TOP5 = "top-5 says nothing with five classes or fewer"
NO_FEATURES = "not measured for these data: no feature network is set (section features)"
WHY_NOT_HERE = {
    **dict.fromkeys(("fid", "sfid", "is", "clean", "rf", "cm"), NEEDS_INCEPTION),
    **dict.fromkeys(("precision", "recall"), NO_FEATURES),
    "recon": "not measured",
    "cmmd": NEEDS_CLIP,
    "accuracy": NO_LABELS,
}


def data_title(results: Results, run: str) -> str:
    """The paper's name of the run's data set, or the one in params.yaml."""
    data = results.data_of(run)
    return DATA_SETS.get(data, data)


def own_distances(measured: Mapping[str, Quantity]) -> list[str]:
    """Names of distances in the features of a data set's own classifier."""
    return [name for name in measured if name.startswith(("fd_", "mmd_"))]


def own_column(name: str) -> Column:
    """The column of such a distance."""
    kind, _, data = name.partition("_")
    return Column(f"{kind.upper()} ({data})", "lower")


def paper_cells(columns: Sequence[str], values: Sequence[float | None]) -> dict[str, Cell]:
    """Numbers of the paper, by column."""
    return {
        name: Cell(value) if value is not None else Cell(None, NOT_REPORTED)
        for name, value in zip(columns, values, strict=True)
    }


def our_rows_remark(results: Results, runs: Iterable[str]) -> str:
    """On what data our rows are, and with how many seeds."""
    runs = list(runs)
    names = ", ".join(sorted({data_title(results, run) for run in runs}))
    counts = sorted({len(results.outputs.trained_seeds(run)) for run in runs})
    seeds = " or ".join("one seed" if count == 1 else f"{count} seeds" for count in counts)
    return f"Our rows: {names}, {seeds}. Where data, networks or training are not the paper's, compare within a source."
