"""A page that a person reads: pictures first, then the tables."""

import csv
import shutil
from pathlib import Path

from stages.entry import StageCall, run_stage
from stages.figures import draw_curves, draw_overview
from stages.params import Section, load_section
from stages.workspace import Workspace


class ReportParams(Section):
    """What heads the report."""

    picture: str
    """A run of case study 3."""


def write_report(call: StageCall) -> None:
    """Write ``report.md`` and its pictures into one folder."""
    params: ReportParams = load_section(call.params_file, "report", ReportParams)
    families: dict[str, tuple[str, ...]] = load_section(
        call.params_file, "families", dict[str, tuple[str, ...]]
    )
    workspace = call.workspace
    folder = workspace.folder("report")
    folder.mkdir(parents=True, exist_ok=True)

    draw_overview(
        grid=workspace.folder("sample", params.picture) / "grid.png",
        zones=workspace.folder("classify", params.picture) / "zones.npy",
        file=folder / "overview.png",
    )
    generative = families["generative"]
    draw_curves(
        {run: _rectified_flow_curve(workspace, run) for run in generative}, file=folder / "curves.png"
    )
    grids = []
    for run in generative:
        name = f"samples_{run}.png"
        shutil.copyfile(workspace.folder("sample", run) / "grid.png", folder / name)
        grids.append(f"### {run}\n\n![Samples of {run}]({name})\n")
    tables = (workspace.folder("tables") / "tables.md").read_text(encoding="utf-8")
    page = [
        f"# Latent Zoning Network at {workspace.size} size\n",
        "![Samples, and where their latents lie](overview.png)\n",
        f"Left: images that `{params.picture}` draws from the latent zones of the classes, a column each. Right: the "
        "plane through the origin of the latent space in which the zones' centres spread most; each point has the "
        "colour of the class in whose zone it lies, which is the class that the model decodes from it.\n",
        "![Rectified flow loss](curves.png)\n",
        "Rectified flow loss during training; equal batches, noise and times in all runs.\n",
        tables.replace("# The paper's tables", "# Tables: the paper's numbers and ours", 1),
        "# Samples\n",
        *grids,
    ]
    (folder / "report.md").write_text("\n".join(page), encoding="utf-8")


def _rectified_flow_curve(workspace: Workspace, run: str) -> tuple[list[float], list[float]]:
    """Steps and losses."""
    file: Path = workspace.folder("train", run) / "curve.csv"
    with file.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    name = "rectified_flow" if "rectified_flow" in rows[0] else "loss"
    return [float(row["step"]) for row in rows], [float(row[name]) for row in rows]


if __name__ == "__main__":
    run_stage("report", write_report, of_a_run=False)
