"""Grids of sampled images for the page."""

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from stages.reporting.results import Results
from stages.reporting.tables import TablesParams
from stages.reporting.tables.names import DATA_SETS, METHODS

MEDIA_TYPES = {".png": "image/png", ".svg": "image/svg+xml"}
PAPER_GRIDS = {
    "cifar10": {"rf": "Figure 9", "rf_lzn": "Figure 10"},
    "afhq_cat": {"rf": "Figure 11", "rf_lzn": "Figures 5 and 12"},
    "celeba_hq": {"rf": "Figure 13", "rf_lzn": "Figures 5 and 14"},
    "lsun_bedroom": {"rf": "Figure 15", "rf_lzn": "Figures 5 and 16"},
}
PAPER_CONDITIONAL_GRIDS = {"rf": "Figure 22", "rf_lzn": "Figure 23"}


def data_url(file: Path) -> str:
    """Return the content of an image file as a ``data:`` URL."""
    return f"data:{MEDIA_TYPES[file.suffix]};base64,{b64encode(file.read_bytes()).decode()}"


@dataclass(frozen=True)
class SampleGrid:
    """A grid of images that a run generated.

    Attributes:
        run: the name of the run.
        data: its data set.
        method: the paper's name of its method; empty if there is none.
        paper: the corresponding figure of the paper; empty if there is none.
        conditional: whether the images were generated for given classes.
        file: the PNG file.
        classes: the names of the classes in the grid, in its order; empty if they are their numbers.
    """

    run: str
    data: str
    method: str
    paper: str
    conditional: bool
    file: Path
    classes: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The heading: the run, and the kind of generation where a run has both."""
        return f"{self.run}, unconditional" if self.file.stem == "unconditional" else self.run

    @property
    def caption(self) -> str:
        """The text below the grid."""
        what = "conditional, five rows for each class" if self.conditional else "unconditional"
        named = f"{self.method}, " if self.method else ""
        order = f" ({', '.join(self.classes)})" if self.classes else ""
        return f"{named}{DATA_SETS.get(self.data, self.data)}, {what}{order}; first seed."

    @property
    def alt(self) -> str:
        """The content in words, for screen readers."""
        return f"Grid of images that {self.run} generated: {self.caption}"


def sample_grids(
    params: TablesParams, generative: Mapping[str, str], results: Results
) -> Iterator[SampleGrid]:
    """Yield the grids of those ``generative`` runs (with their data sets) that have images."""
    unconditional = {
        run: (data, method) for data, runs in params.unconditional.items() for method, run in runs.items()
    }
    conditional = {run: method for method, run in params.conditional.items()}
    for run, data in generative.items():
        file = results.outputs.plot("sample", f"{run}/grid.png")
        if not file.exists():
            continue
        if run in unconditional:
            _, method = unconditional[run]
            paper = PAPER_GRIDS.get(data, PAPER_GRIDS["cifar10"]).get(method, "")
            yield SampleGrid(run, data, METHODS[method], paper, False, file)
        else:
            method = conditional.get(run, "")
            paper = PAPER_CONDITIONAL_GRIDS.get(method, "")
            names = _classes_in_grid(file)
            yield SampleGrid(run, data, METHODS.get(method, ""), paper, True, file, names)
        if (file := file.with_name("unconditional.png")).exists():
            yield SampleGrid(run, data, METHODS.get(conditional.get(run, ""), ""), "", False, file)


def _classes_in_grid(grid: Path) -> tuple[str, ...]:
    """Return the names of the classes in a grid, which the stage ``sample`` writes beside it; empty without names."""
    file = grid.with_name("classes.json")
    return tuple(json.loads(file.read_text())) if file.exists() else ()
