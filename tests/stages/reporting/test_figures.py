"""The figures of the report show the measured numbers."""

import json
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from lzn_testing.projects.made_up_outputs import TABLES, MadeUpOutputs
from matplotlib.axes import Axes
from PIL import Image

from lzn.base.files import write_json
from stages.reporting.figures import ReportFigure, draw_figures
from stages.reporting.page.sample_images import sample_grids
from stages.reporting.results import Results
from stages.reporting.tables import TablesParams
from stages.reporting.tables.probes import tsne_table

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


def figures_of(outputs: MadeUpOutputs) -> Mapping[str, ReportFigure]:
    figures = draw_figures(PARAMS, outputs.params["families"], Results(outputs.paths), picture="joint")
    return {figure.name: figure for figure in figures}


def panel(report_figure: ReportFigure, position: int = 0) -> Axes:
    return report_figure.figure.axes[position]


def test_every_figure_is_drawn_and_names_the_figure_of_the_paper(folder: Path) -> None:
    figures = figures_of(MadeUpOutputs(folder))
    assert list(figures) == ALL
    papers = {figure.paper for figure in figures.values()}
    assert papers >= {"Figure 17", "Figure 18", "Figure 19", "Figure 20", "Figure 24", "Figure 25"}
    assert all(figure.alt.endswith(".") and figure.caption.endswith(".") for figure in figures.values())


def test_distances_are_plotted_at_their_steps_with_deviations_as_error_bars(folder: Path) -> None:
    axes = panel(figures_of(MadeUpOutputs(folder))["figure17"])
    rf, rf_lzn = axes.containers
    assert [container.get_label() for container in axes.containers] == ["RF", "RF+LZN"]
    np.testing.assert_allclose(rf.lines[0].get_xydata()[:, 0], [2, 5, 10, 50, 200])
    np.testing.assert_allclose(
        rf_lzn.lines[0].get_xydata()[0, 1], 8 * 1.01 * 11
    )  # mean of the seeds, two steps
    lower, upper = rf.lines[2][0].get_segments()[0][:, 1]
    np.testing.assert_allclose((upper - lower) / 2, 12 * 11 * 0.02 / 2**0.5)


def test_training_curves_are_means_over_seeds_with_bands_from_lowest_to_highest(folder: Path) -> None:
    loss, accuracy = figures_of(MadeUpOutputs(folder))["curves_digits"].figure.axes
    (line,) = (line for line in loss.lines if line.get_label() == "rf")
    np.testing.assert_allclose(line.get_ydata()[-1], 1.01 * (0.4 + 30 / 250))
    assert len(loss.collections) == 6  # one band for each run that has the loss
    assert {line.get_label() for line in accuracy.lines} == {
        "joint",
        "joint_no_gen",
        "joint_small_cutoff",
        "representation",
    }
    assert max(line.get_ydata()[-1] for line in accuracy.lines) == pytest.approx(90 * 1.01)


def test_one_seed_gives_no_bands_and_no_error_bars(folder: Path) -> None:
    figures = figures_of(MadeUpOutputs(folder, seeds=[0]))
    assert not panel(figures["curves_digits"]).collections
    assert "bands" not in figures["curves_digits"].caption
    (lower, upper) = panel(figures["figure17"]).containers[0].lines[2][0].get_segments()[0][:, 1]
    assert lower == upper


def test_runs_in_one_panel_differ_in_line_style(folder: Path) -> None:
    lines = panel(figures_of(MadeUpOutputs(folder))["curves_digits"]).lines
    styles = [str(line._dash_pattern) for line in lines]  # type: ignore[attr-defined]
    assert len(set(styles)) == len(lines)


def test_the_heat_map_has_large_batches_at_the_bottom_and_small_alpha_on_the_right(folder: Path) -> None:
    axes = panel(figures_of(MadeUpOutputs(folder))["settings"])
    grid = np.asarray(axes.images[0].get_array())
    assert grid.shape == (3, 3)
    assert grid.argmax() == 8  # lower right
    np.testing.assert_allclose(grid[0, 0], 100 * 1.01 * (0.8 + 0.0003 * 32 - 0.05))
    assert [text.get_text() for text in axes.get_xticklabels()] == ["1", "0.5", "0"]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["32", "128", "360"]
    assert len(axes.texts) == 9


def test_representations_are_bars_and_raw_pixels_are_a_line(folder: Path) -> None:
    axes = panel(figures_of(MadeUpOutputs(folder))["representations"])
    heights = [bar.get_height() for bar in axes.patches]
    np.testing.assert_allclose(heights[:4], 101 * np.array([0.53, 0.87, 0.85, 0.93]))
    assert len(heights) == 8
    assert any(np.allclose(line.get_ydata(), 96.9) for line in axes.lines)


def test_the_tsne_figure_has_all_points_and_a_number_for_each_class(folder: Path) -> None:
    axes = panel(figures_of(MadeUpOutputs(folder))["tsne"])
    assert sum(len(collection.get_offsets()) for collection in axes.collections) == 15
    assert [text.get_text() for text in axes.texts] == ["0", "1", "2"]


def test_figures_are_left_out_if_their_stages_have_not_run(folder: Path) -> None:
    outputs = MadeUpOutputs(folder)
    for stage in ("steps", "settings", "tsne", "zones", "probe", "classify"):
        outputs.remove(stage)
    assert list(figures_of(outputs)) == ["curves_digits"]


def test_figures_are_saved_as_reproducible_svg_and_as_png(folder: Path) -> None:
    outputs = MadeUpOutputs(folder)
    for name in ("one", "two"):
        figures_of(outputs)["figure17"].save(folder / name)
    one, two = (folder / name / "figure17.svg" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
    assert ElementTree.parse(one).getroot().tag.endswith("svg")
    with Image.open(one.with_suffix(".png")) as picture:
        assert len(np.unique(np.asarray(picture))) > 10  # not blank


def test_classes_are_shown_by_their_names(folder: Path) -> None:
    outputs = MadeUpOutputs(folder)
    names = [f"kind of {label}" for label in range(10)]
    for run in ("joint", "representation"):
        for seed in outputs.seeds:
            file = folder / outputs.paths.configuration(run, seed)
            file.write_text(json.dumps({**json.loads(file.read_text()), "class_names": names}))
    write_json(folder / outputs.paths.plot("sample", "joint/classes.json"), names)
    figures = figures_of(outputs)
    assert {text.get_text() for text in panel(figures["tsne"]).texts} <= set(names)
    assert "kind of 0" in figures["tsne"].alt
    assert {text.get_text() for text in panel(figures["overview"], 1).texts} <= set(names)
    assert "kind of 0 (" in figures["overview"].alt
    results = Results(outputs.paths)
    rows = tsne_table("representation", results).rows
    assert any(row.label == "class kind of 0, digits" for row in rows)
    grids = {grid.run: grid for grid in sample_grids(PARAMS, {"joint": "digits"}, results)}
    assert "(kind of 0, kind of 1, " in grids["joint"].caption
