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

    picture: str | None = None
    """A run of case study 3; None: no picture."""


def write_report(call: StageCall) -> None:
    """Write ``report.md`` and its pictures into one folder."""
    params: ReportParams = load_section(call.params_file, "report", ReportParams)
    families: dict[str, dict[str, str]] = load_section(
        call.params_file, "families", dict[str, dict[str, str]]
    )
    workspace = call.workspace
    folder = workspace.folder("report")
    folder.mkdir(parents=True, exist_ok=True)

    generative = list(families["generative"])
    curves = {
        run: _rectified_flow_curve(workspace, run) for run in generative if _curve(workspace, run).exists()
    }
    draw_curves(curves, file=folder / "curves.png")
    grids = []
    for run in generative:
        name = f"samples_{run}.png"
        shutil.copyfile(workspace.plot("sample", f"{run}.png"), folder / name)
        grids.append(f"### {run}\n\n![Samples of {run}]({name})\n")
    tables = (workspace.folder("tables") / "tables.md").read_text(encoding="utf-8")
    page = [
        f"# Latent Zoning Network at {workspace.size} size\n",
        *_overview(workspace, params.picture, folder),
        "![Rectified flow loss](curves.png)\n",
        "Rectified flow loss during training; equal batches, noise and times in all runs on the same data.\n",
        tables.replace("# The paper's tables", "# Tables: the paper's numbers and ours", 1),
        "# Samples\n",
        *grids,
    ]
    (folder / "report.md").write_text("\n".join(page), encoding="utf-8")


def _overview(workspace: Workspace, picture: str | None, folder: Path) -> list[str]:
    if picture is None:
        return []
    draw_overview(
        grid=workspace.plot("sample", f"{picture}.png"),
        zones=workspace.plot("classify", f"{picture}.npy"),
        file=folder / "overview.png",
    )
    return [
        "![Samples, and where their latents lie](overview.png)\n",
        f"Left: images that `{picture}` draws from the latent zones of the classes, a column each. Right: the "
        "plane through the origin of the latent space in which the zones' centres spread most; each point has the "
        "colour of the class in whose zone it lies, which is the class that the model decodes from it.\n",
    ]


def _curve(workspace: Workspace, run: str) -> Path:
    return workspace.plot("train", f"{run}.csv")


def _rectified_flow_curve(workspace: Workspace, run: str) -> tuple[list[float], list[float]]:
    """Steps and losses."""
    with _curve(workspace, run).open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    name = "rectified_flow" if "rectified_flow" in rows[0] else "loss"
    return [float(row["step"]) for row in rows], [float(row[name]) for row in rows]


if __name__ == "__main__":
    run_stage("report", write_report, of_a_run=False)
