"""The report's figures: what is plotted is what was measured."""

from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from lzn_testing.projects.made_up_outputs import TABLES, MadeUpOutputs
from matplotlib.axes import Axes
from PIL import Image

from stages.reporting.figures import ReportFigure, draw_figures
from stages.reporting.results import Results
from stages.reporting.tables import TablesParams

PARAMS = TablesParams.model_validate(TABLES)
ALL = [
    "overview",
    "curves_digits",
    "figure17",
    "figure24",
    "tsne",
    "representations",
    "along_training",
    "settings",
    "stability",
]


def figures_of(outputs: MadeUpOutputs, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, ReportFigure]:
    monkeypatch.chdir(outputs.root)
    drawings = draw_figures(PARAMS, outputs.params["families"], Results(outputs.workspace), picture="joint")
    return {drawing.name: drawing for drawing in drawings}


def panel(drawing: ReportFigure, position: int = 0) -> Axes:
    return drawing.figure.axes[position]


def test_every_figure_of_the_paper_is_drawn_and_says_which_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawings = figures_of(MadeUpOutputs(tmp_path), monkeypatch)
    assert list(drawings) == ALL
    papers = {drawing.paper for drawing in drawings.values()}
    assert papers >= {"Figure 17", "Figure 18", "Figure 19", "Figure 20", "Figure 24", "Figure 25"}
    assert all(drawing.alt.endswith(".") and drawing.caption.endswith(".") for drawing in drawings.values())


def test_distances_are_plotted_at_their_steps_with_deviations_as_bars(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    axes = panel(figures_of(MadeUpOutputs(tmp_path), monkeypatch)["figure17"])
    rf, rf_lzn = axes.containers
    assert [container.get_label() for container in axes.containers] == ["RF", "RF+LZN"]
    np.testing.assert_allclose(rf.lines[0].get_xydata()[:, 0], [2, 5, 10, 50, 200])
    np.testing.assert_allclose(
        rf_lzn.lines[0].get_xydata()[0, 1], 8 * 1.01 * 11
    )  # mean of the seeds, two steps
    lower, upper = rf.lines[2][0].get_segments()[0][:, 1]
    np.testing.assert_allclose((upper - lower) / 2, 12 * 11 * 0.02 / 2**0.5)


def test_training_curves_are_means_of_seeds_with_bands_from_the_lowest_to_the_highest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loss, accuracy = figures_of(MadeUpOutputs(tmp_path), monkeypatch)["curves_digits"].figure.axes
    (line,) = (line for line in loss.lines if line.get_label() == "rf")
    np.testing.assert_allclose(line.get_ydata()[-1], 1.01 * (0.4 + 30 / 250))
    assert len(loss.collections) == 6  # a band a run that has the loss
    assert {line.get_label() for line in accuracy.lines} == {
        "joint",
        "joint_no_gen",
        "joint_small_cutoff",
        "representation",
    }
    assert max(line.get_ydata()[-1] for line in accuracy.lines) == pytest.approx(90 * 1.01)


def test_with_one_seed_there_are_no_bands_and_no_bars(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawings = figures_of(MadeUpOutputs(tmp_path, seeds=[0]), monkeypatch)
    assert not panel(drawings["curves_digits"]).collections
    assert "bands" not in drawings["curves_digits"].caption
    (lower, upper) = panel(drawings["figure17"]).containers[0].lines[2][0].get_segments()[0][:, 1]
    assert lower == upper


def test_runs_of_one_panel_are_told_apart_by_more_than_colour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = panel(figures_of(MadeUpOutputs(tmp_path), monkeypatch)["curves_digits"]).lines
    styles = [str(line._dash_pattern) for line in lines]  # type: ignore[attr-defined]
    assert len(set(styles)) == len(lines)


def test_the_heat_map_has_large_batches_below_and_small_alpha_on_the_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    axes = panel(figures_of(MadeUpOutputs(tmp_path), monkeypatch)["settings"])
    grid = np.asarray(axes.images[0].get_array())
    assert grid.shape == (3, 3)
    assert grid.argmax() == 8  # lower right
    np.testing.assert_allclose(grid[0, 0], 100 * 1.01 * (0.8 + 0.0003 * 32 - 0.05))
    assert [text.get_text() for text in axes.get_xticklabels()] == ["1", "0.5", "0"]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["32", "128", "360"]
    assert len(axes.texts) == 9


def test_bars_of_representations_have_their_accuracies_and_pixels_are_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    axes = panel(figures_of(MadeUpOutputs(tmp_path), monkeypatch)["representations"])
    heights = [bar.get_height() for bar in axes.patches]
    np.testing.assert_allclose(heights[:4], 101 * np.array([0.53, 0.87, 0.85, 0.93]))
    assert len(heights) == 8
    assert any(np.allclose(line.get_ydata(), 96.9) for line in axes.lines)


def test_t_sne_has_every_point_and_each_class_s_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    axes = panel(figures_of(MadeUpOutputs(tmp_path), monkeypatch)["tsne"])
    assert sum(len(collection.get_offsets()) for collection in axes.collections) == 15
    assert [text.get_text() for text in axes.texts] == ["0", "1", "2"]


def test_figures_whose_stages_have_not_run_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = MadeUpOutputs(tmp_path)
    for stage in ("steps", "settings", "tsne", "zones", "probe", "classify"):
        outputs.remove(stage)
    assert list(figures_of(outputs, monkeypatch)) == ["curves_digits"]


def test_files_are_vector_and_pixels_and_the_same_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = MadeUpOutputs(tmp_path)
    for folder in ("one", "two"):
        figures_of(outputs, monkeypatch)["figure17"].save(tmp_path / folder)
    one, two = (tmp_path / folder / "figure17.svg" for folder in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
    assert ElementTree.parse(one).getroot().tag.endswith("svg")
    with Image.open(one.with_suffix(".png")) as picture:
        assert len(np.unique(np.asarray(picture))) > 10  # not blank
