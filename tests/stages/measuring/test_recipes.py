"""How distances were measured: in the footnotes of tables, and compared before numbers are."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from lzn_testing.projects.made_up_outputs import MadeUpOutputs

from lzn.base.sections import ParamsError, ParamsFile
from lzn.data.prepared import DataDescription
from stages.feature_extraction.made_by import MadeBy
from stages.measuring.recipes import common_recipes, write_recipes
from stages.runtime.stage_main import StageCall
from stages.tables import write_filled

DATA = DataDescription(
    name="digits",
    num_classes=10,
    image_shape=(1, 8, 8),
    storage="pixels",
    shorter_side=None,
    num_train=1437,
    num_test=360,
    sha256="ab" * 32,
    files={},
)
CLASSIFIER = MadeBy("classifier", "cd" * 32, "grey levels scaled to [-1, 1]")


@pytest.fixture
def outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MadeUpOutputs:
    monkeypatch.chdir(tmp_path)
    made_up = MadeUpOutputs(tmp_path)
    for run in ("rf", "rf_lzn", "rf_conditional", "joint", "joint_small_cutoff"):
        write(made_up, run)
    return made_up


def write(
    outputs: MadeUpOutputs,
    run: str,
    *,
    seeds: tuple[int, ...] = (0, 1),
    data: DataDescription = DATA,
    made_by: MadeBy = CLASSIFIER,
    num_images: int = 1437,
) -> None:
    for seed in seeds:
        params = ParamsFile.read(outputs.root / "params.yaml")
        call = StageCall(params, run, outputs.paths, torch.device("cpu"), seed=seed)
        write_recipes(call, "measure", {"fd_digits": made_by}, data, num_images=num_images, subset_seed=0)


def tables(outputs: MadeUpOutputs) -> str:
    write_filled(ParamsFile.read(outputs.root / "params.yaml"), outputs.paths, outputs.root / "tables")
    return (outputs.root / "tables/tables.md").read_text(encoding="utf-8")


def test_every_table_with_a_distance_has_its_recipe_as_a_footnote(outputs: MadeUpOutputs) -> None:
    footnote = (
        "- FD (digits): 1437 training images of digits (all; 8x8, stored as pixels), classifier cdcdcdcdcdcd, grey "
        "levels scaled to [-1, 1].\n"
    )
    sections = tables(outputs).split("\n## ")
    with_footnote = {section.partition(".")[0] for section in sections if footnote in section}
    assert {f"Table {number}" for number in (1, 4, 5, 7, 8)} <= with_footnote
    assert sum(footnote in section for section in sections) == 7  # and the gap, and the joint model's


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"num_images": 1000}, "num_images (1437 and 1000), subset_seed (None and 0)"),
        ({"data": replace(DATA, sha256="00" * 32)}, f"data_sha256 ({'ab' * 32} and {'00' * 32})"),
        ({"data": replace(DATA, storage="original")}, "storage (pixels and original)"),
        (
            {"made_by": replace(CLASSIFIER, preprocessing="other")},
            "preprocessing (grey levels scaled to [-1, 1] and other)",
        ),
    ],
)
def test_numbers_with_different_recipes_are_not_set_beside_each_other(
    outputs: MadeUpOutputs, change: dict[str, object], difference: str
) -> None:
    write(outputs, "rf_lzn", **change)  # type: ignore[arg-type]
    with pytest.raises(ParamsError) as error:
        tables(outputs)
    assert str(error.value).startswith("the fd_digits of measure@rf and measure@rf_lzn cannot be compared")
    assert difference in str(error.value)
    assert str(error.value).endswith("dvc repro --force --single-item measure@rf measure@rf_lzn")


def test_seeds_of_a_run_with_different_recipes_are_refused(outputs: MadeUpOutputs) -> None:
    write(outputs, "rf", seeds=(1,), num_images=10)
    with pytest.raises(ParamsError, match=r"seeds 0 and 1 of measure@rf"):
        common_recipes(outputs.paths, "measure", ["rf"])


def test_a_run_that_is_not_measured_yet_has_no_recipe_and_is_no_mismatch(outputs: MadeUpOutputs) -> None:
    (outputs.paths.metrics_folder("measure") / "rf/recipes_0.json").unlink()
    (outputs.paths.metrics_folder("measure") / "rf/recipes_1.json").unlink()
    recipes = common_recipes(outputs.paths, "measure", ["rf", "rf_lzn"])
    assert recipes["fd_digits"].num_images == 1437
