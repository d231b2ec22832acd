"""The paper's eight tables, filled with its numbers and with ours."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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
}
REPRESENTATION_NAMES = {
    "without_head": "without head",
    "with_head": "with head",
    "with_latent": "with latent",
    "with_latent_alpha_0": "with latent, alpha = 0",
    "pixels": "raw pixels",
}

NOT_REPORTED = "not reported in the paper"
ONLY_HERE = "a distance in features of this size's own classifier, which the paper does not have"
NEEDS_INCEPTION = "not measured at this size: it needs Inception features, made for natural images; see FD"
NEEDS_CLIP = "not measured at this size: it needs CLIP embeddings, made for natural images; see MMD"
NO_LABELS = "this method does not classify"
NO_TOP5 = "top-5 says nothing with five classes or fewer"
WHY_NOT_HERE = {
    **dict.fromkeys(("fid", "sfid", "is", "clean", "rf", "cm"), NEEDS_INCEPTION),
    "cmmd": NEEDS_CLIP,
    "accuracy": NO_LABELS,
}


class TablesParams(Section):
    """Which run stands in which table, by the paper's name of the method."""

    unconditional: dict[str, dict[str, str]]
    """Tables 1 and 5: data set, then method, then run."""
    conditional: dict[str, str]
    """Tables 4 and 7."""
    classification: dict[str, str]
    """Table 3."""
    cutoff: dict[str, str]
    """Table 8."""
    linear_probe: str
    """Tables 2 and 6."""


def fill_tables(params: TablesParams, results: Results, *, data_name: str) -> list[Table]:
    """Tables 1 to 8, then one that the paper does not have: how training went."""
    numbers = YAML(typ="safe").load(PAPER_NUMBERS)
    image_tables = _ImageTables(numbers, results, data_name)
    return [
        image_tables.unconditional(
            "table1_unconditional", "Table 1. Unconditional generation", params.unconditional
        ),
        _linear_probe(numbers, params.linear_probe, results, data_name),
        _classification(numbers, params.classification, results, data_name),
        image_tables.one_data_set(
            "table4_conditional_cifar10", "Table 4. Conditional generation", params.conditional
        ),
        image_tables.unconditional(
            "table5_fid_implementations_unconditional",
            "Table 5. Implementations of FID, unconditional",
            params.unconditional,
        ),
        _other_architectures(numbers, params.linear_probe, results, data_name),
        image_tables.one_data_set(
            "table7_fid_implementations_conditional",
            "Table 7. Implementations of FID, conditional",
            params.conditional,
        ),
        image_tables.one_data_set(
            "table8_alignment_cutoff", "Table 8. Early steps left out (u)", params.cutoff
        ),
    ]


class _ImageTables:
    """Tables of image metrics, which share columns and the way a run's row is made."""

    def __init__(self, numbers: Mapping[str, Any], results: Results, data_name: str) -> None:
        self._numbers = numbers
        self._results = results
        self._data_name = data_name
        self._own_columns = {
            f"fd_{data_name}": f"FD ({data_name}) ↓",
            f"mmd_{data_name}": f"MMD ({data_name}) ↓",
        }

    def unconditional(self, key: str, title: str, runs: Mapping[str, Mapping[str, str]]) -> Table:
        """A table with the paper's four data sets, and ours."""
        numbers = dict(self._numbers[key])
        columns = numbers.pop("columns")
        rows = [
            self._paper_row(f"{METHODS[method]}, {DATA_SETS[data]}", columns, values)
            for data, methods in numbers.items()
            for method, values in methods.items()
        ]
        rows += [
            self._our_row(f"{METHODS[method]}, {data}", columns, run)
            for data, methods in runs.items()
            for method, run in methods.items()
        ]
        return self._table(key, title, columns, rows)

    def one_data_set(self, key: str, title: str, runs: Mapping[str, str]) -> Table:
        """A table that the paper has for CIFAR10 only."""
        numbers = dict(self._numbers[key])
        columns = numbers.pop("columns", None) or ["clean", "rf", "cm"]
        rows = [
            self._paper_row(f"{METHODS[method]}, CIFAR10", columns, values)
            for method, values in numbers.items()
        ]
        rows += [
            self._our_row(f"{METHODS[method]}, {self._data_name}", columns, run)
            for method, run in runs.items()
        ]
        return self._table(key, title, columns, rows)

    def _table(self, key: str, title: str, columns: Sequence[str], rows: Sequence[Row]) -> Table:
        headings = {name: HEADINGS[name] for name in columns} | self._own_columns
        return Table(key.partition("_")[0], title, headings, rows, [_size_remark(self._data_name)])

    def _paper_row(self, label: str, columns: Sequence[str], values: Sequence[float | None]) -> Row:
        return Row(
            label,
            "paper",
            _paper_cells(columns, values) | dict.fromkeys(self._own_columns, Cell(None, ONLY_HERE)),
        )

    def _our_row(self, label: str, columns: Sequence[str], run: str) -> Row:
        measured = dict(self._results.measured(run))
        measured["recon"] = measured.pop("reconstruction")
        if "accuracy" in columns and self._results.classifies(run):
            measured["accuracy"] = self._results.accuracy(run)
        names = [*columns, *self._own_columns]
        cells = {
            name: Cell(measured[name]) if name in measured else Cell(None, WHY_NOT_HERE[name])
            for name in names
        }
        return Row(label, "ours", cells)


def _linear_probe(numbers: Mapping[str, Any], run: str, results: Results, data_name: str) -> Table:
    rows = _paper_probe_rows(numbers)
    for owner, representations in results.probes(run).items():
        for name, measured in representations.items():
            label = REPRESENTATION_NAMES[name]
            if owner == "trained":
                label = f"LZN, {label}"
            elif owner == "untrained":
                label = f"control: untrained encoder, {label}"
            else:
                label = f"control: {label}"
            rows.append(Row(f"{label}, {data_name}", "ours", _probe_cells(measured)))
    return Table(
        "table2",
        "Table 2. Linear classification on unsupervised representations",
        {"top1": HEADINGS["top1"], "top5": HEADINGS["top5"]},
        rows,
        ["The paper's rows: ImageNet, ResNet-50; § marks contrastive methods.", _size_remark(data_name)],
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


def _other_architectures(numbers: Mapping[str, Any], run: str, results: Results, data_name: str) -> Table:
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
            f"LZN, without head, {data_name}",
            "ours",
            _probe_cells(results.probes(run)["trained"]["without_head"]),
        )
    )
    return Table(
        "table6",
        "Table 6. Linear classification, other architectures",
        {"top1": HEADINGS["top1"], "top5": HEADINGS["top5"]},
        rows,
        ["The paper's rows of table 2 (ResNet-50) are repeated here, as there.", _size_remark(data_name)],
    )


def _classification(
    numbers: Mapping[str, Any], runs: Mapping[str, str], results: Results, data_name: str
) -> Table:
    rows = [
        Row(f"{METHODS.get(name, name)}, CIFAR10", "paper", {"accuracy": Cell(value)})
        for name, value in numbers["table3_cifar10_accuracy"].items()
    ]
    rows += [
        Row(f"{METHODS[method]}, {data_name}", "ours", {"accuracy": Cell(results.accuracy(run))})
        for method, run in runs.items()
    ]
    return Table(
        "table3",
        "Table 3. Classification",
        {"accuracy": HEADINGS["accuracy"]},
        rows,
        [_size_remark(data_name)],
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


def _size_remark(data_name: str) -> str:
    return (
        f"Our rows: {data_name}, one seed; other data and smaller networks than the paper's, so compare within a "
        "source."
    )
