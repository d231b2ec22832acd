"""`make tables`: tables and report of the results that exist so far."""

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
from lzn_testing.projects.made_up_outputs import MadeUpOutputs

from lzn.base.sections import ParamsFile
from pipelines.partial_report import write_partial_report


@pytest.fixture(autouse=True)
def _mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.chdir(tmp_path)


def test_an_empty_a_half_full_and_a_full_workspace_have_a_page(tmp_path: Path) -> None:
    outputs = MadeUpOutputs(tmp_path)
    kept = tmp_path / "kept"
    shutil.move(tmp_path / "outputs", kept)
    counts = []
    for removed in ("all", "joint", "none"):
        shutil.rmtree(tmp_path / "outputs", ignore_errors=True)
        if removed != "all":
            shutil.copytree(kept, tmp_path / "outputs")
        for file in [*Path("outputs").rglob("joint"), *Path("outputs").rglob("joint.*")]:
            if removed == "joint":
                shutil.rmtree(file) if file.is_dir() else file.unlink()
        folder = write_partial_report(ParamsFile.read(Path("params.yaml")))
        assert folder == Path("outputs/tiny/partial_report")
        page = (folder / "index.html").read_text()
        claims = json.loads((folder / "claims.json").read_text())["claims"]
        counts.append(Counter(claim["verdict"] for claim in claims)["not run yet"])
        assert (f"<b>{counts[-1]}</b>" in page) == (removed != "none")
        assert "2.76" in page  # the paper's FID of RF
        assert ">20.67<" in page  # the GPU days of the joint model in the paper: 31 h on 16
    empty, half, full = counts
    assert empty > half > full == 0
    assert not Path("outputs/tiny/tables").exists()  # the output of a stage
    assert outputs.paths.folder("partial_report").exists()
