"""The paper's eight tables, filled with its numbers and with ours."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field
from ruamel.yaml import YAML

from stages.params import Section
from stages.results import Results
from stages.table import Cell, Row, Table

PAPER_NUMBERS = Path(__file__).with_name("paper_tables.yaml")

HEADINGS = {
    "fid": "FID ↓", "sfid": "sFID ↓", "is": "IS ↑", "precision": "Precision ↑", "recall": "Recall ↑",
    "cmmd": "CMMD ↓", "recon": "Recon ↓", "accuracy": "Acc % ↑", "top1": "Top-1 % ↑", "top5": "Top-5 % ↑",
    "clean": "FID (clean) ↓", "rf": "FID (RF) ↓", "cm": "FID (CM) ↓",
}  # fmt: skip
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
REPRESENTATION_NAMES = {
    "without_head": "without head",
    "with_head": "with head",
    "with_latent": "with latent",
    "with_latent_alpha_0": "with latent, alpha = 0",
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
    "cmmd": NEEDS_CLIP,
    "accuracy": NO_LABELS,
}


class TablesParams(Section):
    """Which run stands in which table, by the paper's name of the method; a table without runs is left out."""

    unconditional: Mapping[str, Mapping[str, str]] = Field(default_factory=dict)
    """Tables 1 and 5: data set, then method, then run."""
    conditional: Mapping[str, str] = Field(default_factory=dict)
    """Tables 4 and 7."""
    classification: Mapping[str, str] = Field(default_factory=dict)
    """Table 3."""
    cutoff: Mapping[str, str] = Field(default_factory=dict)
    """Table 8."""
    linear_probe: str | None = None
    """Tables 2 and 6."""


def fill_tables(params: TablesParams, results: Results) -> list[Table]:
    """Tables 1 to 8, as far as they have runs."""
    numbers = YAML(typ="safe").load(PAPER_NUMBERS)
    images = _ImageTables(numbers, results)
    tables = []
    if params.unconditional:
        for key, title in (
            ("table1_unconditional", "Table 1. Unconditional generation"),
            ("table5_fid_implementations_unconditional", "Table 5. Implementations of FID, unconditional"),
        ):
            tables.append(images.unconditional(key, title, params.unconditional))
    if params.linear_probe:
        tables.append(_linear_probe(numbers, params.linear_probe, results))
        tables.append(_other_architectures(numbers, params.linear_probe, results))
    if params.classification:
        tables.append(_classification(numbers, params.classification, results))
    if params.conditional:
        for key, title in (
            ("table4_conditional_cifar10", "Table 4. Conditional generation"),
            ("table7_fid_implementations_conditional", "Table 7. Implementations of FID, conditional"),
        ):
            tables.append(images.one_data_set(key, title, params.conditional))
    if params.cutoff:
        tables.append(
            images.one_data_set("table8_alignment_cutoff", "Table 8. Early steps left out (u)", params.cutoff)
        )
    return sorted(tables, key=lambda table: table.name)


class _ImageTables:
    """Tables of image metrics, which share columns and the way a run's row is made."""

    def __init__(self, numbers: Mapping[str, Any], results: Results) -> None:
        self._numbers = numbers
        self._results = results

    def unconditional(self, key: str, title: str, runs: Mapping[str, Mapping[str, str]]) -> Table:
        """A table with the paper's four data sets, and ours."""
        numbers = dict(self._numbers[key])
        columns = numbers.pop("columns")
        of_paper = {
            f"{METHODS[method]}, {DATA_SETS[data]}": values
            for data, methods in numbers.items()
            for method, values in methods.items()
        }
        ours = {
            f"{METHODS[method]}, {DATA_SETS.get(data, data)}": run
            for data, methods in runs.items()
            for method, run in methods.items()
        }
        return self._table(key, title, columns, of_paper, ours)

    def one_data_set(self, key: str, title: str, runs: Mapping[str, str]) -> Table:
        """A table that the paper has for CIFAR10 only."""
        numbers = dict(self._numbers[key])
        columns = numbers.pop("columns", None) or ["clean", "rf", "cm"]
        of_paper = {f"{METHODS[method]}, CIFAR10": values for method, values in numbers.items()}
        ours = {f"{METHODS[method]}, {_data_title(self._results, run)}": run for method, run in runs.items()}
        return self._table(key, title, columns, of_paper, ours)

    def _table(
        self,
        key: str,
        title: str,
        columns: Sequence[str],
        of_paper: Mapping[str, Sequence[float | None]],
        ours: Mapping[str, str],
    ) -> Table:
        """Our rows add a column for each distance that the paper does not have."""
        own = {
            name: _own_heading(name)
            for run in ours.values()
            for name in self._results.measured(run)
            if name.startswith(("fd_", "mmd_"))
        }
        rows = [
            Row(label, "paper", _paper_cells(columns, values) | dict.fromkeys(own, Cell(None, ONLY_HERE)))
            for label, values in of_paper.items()
        ]
        rows += [Row(label, "ours", self._our_cells([*columns, *own], run)) for label, run in ours.items()]
        headings = {name: HEADINGS[name] for name in columns} | own
        return Table(
            key.partition("_")[0], title, headings, rows, [_size_remark(self._results, ours.values())]
        )

    def _our_cells(self, columns: Sequence[str], run: str) -> dict[str, Cell]:
        measured = dict(self._results.measured(run))
        if "accuracy" in columns and self._results.classifies(run):
            measured["accuracy"] = self._results.accuracy(run)
        return {name: _our_cell(name, measured) for name in columns}


def _our_cell(column: str, measured: Mapping[str, float]) -> Cell:
    name = MEASURED_AS.get(column, column)
    if name in measured:
        return Cell(measured[name])
    return Cell(None, WHY_NOT_HERE.get(column, OTHER_DATA))


def _own_heading(name: str) -> str:
    kind, _, data = name.partition("_")
    return f"{kind.upper()} ({data}) ↓"


def _data_title(results: Results, run: str) -> str:
    data = results.data_of(run)
    return DATA_SETS.get(data, data)


def _linear_probe(numbers: Mapping[str, Any], run: str, results: Results) -> Table:
    rows = _paper_probe_rows(numbers)
    data = _data_title(results, run)
    for owner, representations in results.probes(run).items():
        for name, measured in representations.items():
            label = REPRESENTATION_NAMES[name]
            if owner == "trained":
                label = f"LZN, {label}"
            elif owner == "untrained":
                label = f"control: untrained encoder, {label}"
            else:
                label = f"control: {label}"
            rows.append(Row(f"{label}, {data}", "ours", _probe_cells(measured)))
    return Table(
        "table2",
        "Table 2. Linear classification on unsupervised representations",
        {"top1": HEADINGS["top1"], "top5": HEADINGS["top5"]},
        rows,
        ["The paper's rows: ImageNet, ResNet-50; § marks contrastive methods.", _size_remark(results, [run])],
    )


def _paper_probe_rows(numbers: Mapping[str, Any]) -> list[Row]:
    return [
        Row(
            f"{name}{'§' if entry['contrastive'] else ''}, ImageNet",
            "paper",
            _paper_cells(("top1", "top5"), entry["values"]),
        )
        for name, entry in numbers["table2_linear_probe_imagenet_resnet50"]["rows"].items()
    ]


def _other_architectures(numbers: Mapping[str, Any], run: str, results: Results) -> Table:
    rows = [
        Row(
            f"{name} ({entry['architecture']}), ImageNet",
            "paper",
            _paper_cells(("top1", "top5"), entry["values"]),
        )
        for name, entry in numbers["table6_linear_probe_other_architectures"]["rows"].items()
    ]
    rows += _paper_probe_rows(numbers)
    rows.append(
        Row(
            f"LZN, without head, {_data_title(results, run)}",
            "ours",
            _probe_cells(results.probes(run)["trained"]["without_head"]),
        )
    )
    return Table(
        "table6",
        "Table 6. Linear classification, other architectures",
        {"top1": HEADINGS["top1"], "top5": HEADINGS["top5"]},
        rows,
        [
            "The paper's rows of table 2 (ResNet-50) are repeated here, as there.",
            _size_remark(results, [run]),
        ],
    )


def _classification(numbers: Mapping[str, Any], runs: Mapping[str, str], results: Results) -> Table:
    rows = [
        Row(f"{METHODS.get(name, name)}, CIFAR10", "paper", {"accuracy": Cell(value)})
        for name, value in numbers["table3_cifar10_accuracy"].items()
    ]
    rows += [
        Row(
            f"{METHODS[method]}, {_data_title(results, run)}",
            "ours",
            {"accuracy": Cell(results.accuracy(run))},
        )
        for method, run in runs.items()
    ]
    return Table(
        "table3",
        "Table 3. Classification",
        {"accuracy": HEADINGS["accuracy"]},
        rows,
        [_size_remark(results, runs.values())],
    )


def _paper_cells(columns: Sequence[str], values: Sequence[float | None]) -> dict[str, Cell]:
    return {
        name: Cell(value) if value is not None else Cell(None, NOT_REPORTED)
        for name, value in zip(columns, values, strict=True)
    }


def _probe_cells(measured: Mapping[str, float]) -> dict[str, Cell]:
    return {
        name: Cell(100.0 * measured[name]) if name in measured else Cell(None, NO_TOP5)
        for name in ("top1", "top5")
    }


def _size_remark(results: Results, runs: Iterable[str]) -> str:
    names = ", ".join(sorted({_data_title(results, run) for run in runs}))
    return f"Our rows: {names}, one seed. Data, networks or training that are not the paper's: compare within a source."
