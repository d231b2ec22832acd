"""A number that cannot be measured has a reason, and the other numbers are measured."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from lzn_testing.projects.made_up_outputs import TABLES, MadeUpOutputs

from lzn.base.files import write_json
from lzn.metrics import fit_gaussian
from stages.feature_extraction.classifier_comparison import ClassifierComparison
from stages.measuring.seed_files import read_reasons
from stages.reporting.results import Results
from stages.reporting.tables import TablesParams
from stages.reporting.tables.all_tables import fill_tables
from stages.runtime.outputs import OutputPaths


class Pixels:
    """Stands for the cache of features: the features of an image are its pixels."""

    workers = SimpleNamespace(device=torch.device("cpu"))

    def of(self, images: Any) -> Any:
        """Return the features of images."""
        features = {"features": images[:].reshape(len(images), -1).astype(np.float32)}
        return SimpleNamespace(
            by=lambda extractor: features, gaussian=lambda extractor, name: fit_gaussian(features[name])
        )


def compare(real: np.ndarray, generated: np.ndarray, *, num_neighbours: int = 3) -> dict[str, float | str]:
    comparison = ClassifierComparison(None, Pixels())  # type: ignore[arg-type]
    return comparison(real, generated, data_name="x", num_neighbours=num_neighbours)


def random_images(number: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (number, 1, 2, 2), dtype=np.uint8)


@pytest.mark.parametrize("share", [0.75, 1.0])
def test_duplicates_leave_only_mmd_unmeasured(share: float) -> None:
    real = random_images(40)
    real[: int(40 * share)] = real[0]
    found = compare(real, random_images(40, seed=1))
    assert "at least half of all pairs of features are equal" in str(found["mmd_x"])
    assert all(isinstance(found[name], float) for name in ("fd_x", "precision", "recall"))


def test_too_few_images_leave_only_precision_and_recall_unmeasured() -> None:
    found = compare(random_images(3), random_images(3, seed=1))
    assert {name for name, number in found.items() if isinstance(number, str)} == {"precision", "recall"}
    assert found["precision"] == "real must have at least 4 rows, got 3"


def test_the_table_says_why_a_number_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    outputs = MadeUpOutputs(tmp_path)
    for seed in outputs.seeds:
        file = outputs.paths.measured("measure", "rf", seed)
        numbers = json.loads(file.read_text())
        del numbers["precision"]
        write_json(file, numbers)
        write_json(file.with_name(f"not_measured_{seed}.json"), {"precision": "too few images"})
    assert read_reasons(OutputPaths("tiny"), "measure", "rf") == {"precision": "too few images"}
    params = TablesParams.model_validate(TABLES)
    tables = {
        table.name: table for table in fill_tables(params, outputs.params["families"], Results(outputs.paths))
    }
    row = next(row for row in tables["table1"].rows if row.source == "ours" and row.label.startswith("RF, "))
    assert row.cells["precision"].reason == "not measured: too few images"
    assert row.cells["recon"].value is not None
