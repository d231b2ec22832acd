"""The whole DVC pipeline at a few steps, in a copy of the project; later tests build on what the first one ran."""

import html
import json
import re
import shutil
from pathlib import Path

import pytest
from dvc.utils.serialize import load_yaml
from mlflow import MlflowClient

from benchmarks.small_project import copy_project, read_params, run_in, shrink_params, write_params

DVC = ["python", "-m", "dvc"]
REPRO_SECONDS = 1700.0
"""That nothing hangs: it takes five minutes on two idle cores, three times that beside other tests."""

pytestmark = pytest.mark.timeout(REPRO_SECONDS + 100)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project in which `dvc repro` has run."""
    folder = copy_project(tmp_path_factory.mktemp("project"))
    shrink_params(folder, num_steps=3)
    result = run_in(folder, [*DVC, "repro"], timeout=REPRO_SECONDS)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return folder


def planned(project: Path) -> set[str]:
    """Stages that `dvc repro` would run now."""
    result = run_in(project, [*DVC, "status", "--json", "dvc.yaml"])
    assert result.returncode == 0, result.stderr
    return {name.removeprefix("dvc.yaml:") for name in json.loads(result.stdout)}


def test_every_table_of_the_paper_is_filled_or_says_why_not(project: Path) -> None:
    tables = json.loads((project / "outputs/digits/tables/tables.json").read_text())
    figures = {"figure17", "figure20", "figure24", "figure25", "tsne"}
    assert set(tables) == {
        *(f"table{number}" for number in range(1, 9)),
        *figures,
        "gap",
        "training",
        "zones",
    }
    for table in tables.values():
        assert {row["source"] for row in table["rows"]} >= {"ours"}
        cells = [cell for row in table["rows"] for cell in row["cells"].values()]
        assert all(isinstance(cell["value"], float | int) or cell["reason"] for cell in cells)


def test_every_claim_of_the_paper_has_a_verdict_or_a_reason(project: Path) -> None:
    claims = json.loads((project / "outputs/digits/tables/claims.json").read_text())["claims"]
    assert len(claims) >= 20
    for claim in claims:
        assert claim["evidence"] if claim["verdict"] != "not measurable at this size" else claim["note"]


def test_the_report_is_one_page_with_every_table(project: Path) -> None:
    page = html.unescape((project / "outputs/digits/report/index.html").read_text())
    tables = json.loads((project / "outputs/digits/tables/tables.json").read_text())
    assert all(table["title"] in page for table in tables.values())
    assert 'src="http' not in page


def test_the_paper_numbers_in_the_tables_are_the_paper_s(project: Path) -> None:
    tables = json.loads((project / "outputs/digits/tables/tables.json").read_text())
    row = next(row for row in tables["table1"]["rows"] if row["label"] == "RF+LZN, CIFAR10")
    assert row["source"] == "paper"
    assert row["cells"]["fid"]["value"] == 2.59
    assert row["cells"]["recon"]["value"] == 0.41
    (row,) = (row for row in tables["zones"]["rows"] if row["source"] == "paper")
    assert row["cells"]["redrawn_batch"]["value"] == 49


def test_no_distance_of_this_size_is_called_fid(project: Path) -> None:
    metrics = json.loads((project / "outputs/digits/metrics/measure/rf.json").read_text())
    assert set(metrics) == {"fd_digits", "mmd_digits", "precision", "recall", "reconstruction"}


def test_every_trained_run_is_in_mlflow_with_its_numbers(project: Path) -> None:
    client = MlflowClient(f"sqlite:///{project}/mlflow.db")
    experiment = client.get_experiment_by_name("lzn-digits")
    assert experiment is not None
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    trained = {
        f"{name}, seed {seed}" for name, run in read_params(project)["runs"].items() for seed in run["seeds"]
    }
    assert set(runs) == {*trained, "tables"}
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    joint = runs["joint, seed 0"]
    assert joint.data.params["training.num_steps"] == "3"
    assert {
        "measure.fd_digits", "classify.accuracy", "zones.redrawn_batch.share", "alignment_accuracy", "seconds.measure",
    } <= set(joint.data.metrics)  # fmt: skip
    assert [point.step for point in client.get_metric_history(joint.info.run_id, "loss")] == [1, 2, 3]


def made_alone(stage: str, project: Path, place: Path) -> Path:
    """What a stage makes where it finds nothing but what it names, as on a worker."""
    alone = copy_project(place)
    shutil.copy(project / "params.yaml", alone)
    for dependency in load_yaml(str(project / "dvc.lock"))["stages"][f"{stage}@digits"]["deps"]:
        if (path := dependency["path"]).startswith("outputs/"):
            shutil.copytree(project / path, alone / path)
    made = run_in(alone, ["python", "-m", f"stages.{stage}"])
    assert made.returncode == 0, made.stderr
    return alone / "outputs/digits" / stage


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*.*")}


def test_the_tables_are_made_of_nothing_but_what_they_name(project: Path, tmp_path: Path) -> None:
    assert contents(made_alone("tables", project, tmp_path)) == contents(project / "outputs/digits/tables")


def test_the_report_s_pictures_are_made_of_nothing_but_what_it_names(project: Path, tmp_path: Path) -> None:
    """The page itself also tells what MLflow knows."""
    alone, whole = (
        contents(made_alone("report", project, tmp_path)),
        contents(project / "outputs/digits/report"),
    )
    shown, wanted = (re.findall(b'"data:image[^"]+', made.pop("index.html")) for made in (alone, whole))
    assert len(wanted) > len(whole) / 2  # figures are there twice, and grids are in the page alone
    assert shown == wanted
    assert alone == whole


def test_a_second_repro_has_nothing_to_do(project: Path) -> None:
    assert planned(project) == set()


@pytest.mark.slow  # a second and a third repro
def test_a_run_s_parameter_concerns_that_run_and_what_depends_on_it_only(project: Path) -> None:
    params = read_params(project)
    params["runs"]["rf_conditional"]["training"]["num_steps"] = 4
    write_params(project, params)
    assert planned(project) == {"train@rf_conditional"}
    result = run_in(project, [*DVC, "repro"])
    assert result.returncode == 0, result.stderr[-3000:]
    ran = {line.split("'")[1] for line in result.stdout.splitlines() if line.startswith("Running stage")}
    of_the_run = {f"{stage}@rf_conditional" for stage in ("train", "sample", "measure", "steps")}
    assert ran == of_the_run | {"tables@digits", "report@digits", "results@digits"}


def test_an_error_in_the_parameters_names_the_key_and_what_is_allowed(project: Path) -> None:
    params = read_params(project)
    params["networks"]["unet_8"]["unet"]["dropot"] = 0.1
    write_params(project, params)
    result = run_in(project, [*DVC, "repro", "train@rf"])
    assert result.returncode != 0
    assert "networks.unet_8.unet.dropot: unknown key" in result.stderr
    assert "dropout" in result.stderr
    assert "Traceback" not in result.stderr
