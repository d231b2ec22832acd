"""The whole DVC pipeline with few training steps, in a copy of the project. The tests use the outputs of one repro."""

import html
import json
import re
import shutil
from pathlib import Path

import pytest
from dvc.utils.serialize import load_yaml
from mlflow import MlflowClient
from mlflow.entities import Experiment

from benchmarks.small_project import copy_project, read_params, run_in, shrink_params, write_params

DVC = ["python", "-m", "dvc"]
REPRO_SECONDS = 1700.0
"""The limit for a pipeline that hangs: it takes five minutes on two idle cores, and fifteen beside other tests."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(REPRO_SECONDS + 100)]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the project and run `dvc repro` in it."""
    folder = copy_project(tmp_path_factory.mktemp("project"))
    shrink_params(folder, num_steps=3)
    result = run_in(folder, [*DVC, "repro"], timeout=REPRO_SECONDS)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return folder


def tracked(project: Path) -> tuple[MlflowClient, Experiment]:
    """Return a client of the project's MLflow database, and the experiment of the digits."""
    client = MlflowClient(f"sqlite:///{project}/mlflow.db")
    experiment = client.get_experiment_by_name("lzn-digits")
    assert experiment is not None
    return client, experiment


def outdated_stages(project: Path) -> set[str]:
    """Return the stages that `dvc repro` would run now."""
    result = run_in(project, [*DVC, "status", "--json", "dvc.yaml"])
    assert result.returncode == 0, result.stderr
    return {name.removeprefix("dvc.yaml:") for name in json.loads(result.stdout)}


def test_every_cell_of_every_table_has_a_number_or_a_reason(project: Path) -> None:
    tables = json.loads((project / "outputs/digits/tables/tables.json").read_text())
    figures = {"figure17", "figure19", "figure20", "figure24", "figure25", "tsne"}
    assert set(tables) == {
        *(f"table{number}" for number in range(1, 9)),
        *figures,
        "gap",
        "joint_unconditional",
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


def test_the_tables_have_the_numbers_of_the_paper(project: Path) -> None:
    tables = json.loads((project / "outputs/digits/tables/tables.json").read_text())
    row = next(row for row in tables["table1"]["rows"] if row["label"] == "RF+LZN, CIFAR10")
    assert row["source"] == "paper"
    assert row["cells"]["fid"]["value"] == 2.59
    assert row["cells"]["recon"]["value"] == 0.41
    (row,) = (row for row in tables["zones"]["rows"] if row["source"] == "paper")
    assert row["cells"]["redrawn_batch"]["value"] == 49


def test_distances_with_other_features_than_inceptions_are_not_called_fid(project: Path) -> None:
    metrics = json.loads((project / "outputs/digits/metrics/measure/rf.json").read_text())
    assert set(metrics) == {"fd_digits", "mmd_digits", "precision", "recall", "reconstruction"}


def test_every_trained_run_is_in_mlflow_with_its_numbers(project: Path) -> None:
    client, experiment = tracked(project)
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    configured = read_params(project)["runs"]
    trained = {f"{name}, seed {seed}" for name, run in configured.items() for seed in run["seeds"]}
    assert set(runs) == {*configured, *trained, "results"}
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    joint = runs["joint, seed 0"]
    assert joint.data.params["training.num_steps"] == "3"
    assert {
        "measure/fd_digits", "classify/accuracy", "zones/redrawn_batch.share", "train/alignment_accuracy",
        "seconds/measure",
    } <= set(joint.data.metrics)  # fmt: skip
    assert [point.step for point in client.get_metric_history(joint.info.run_id, "train/loss")] == [1, 2, 3]


def test_every_seed_has_a_model_with_its_numbers_and_the_data_that_it_read(project: Path) -> None:
    client, experiment = tracked(project)
    runs = client.search_runs([experiment.experiment_id], "tags.level = 'seed'")
    models = client.search_logged_models([experiment.experiment_id])
    assert {model.source_run_id for model in models} == {run.info.run_id for run in runs}
    assert len(models) == len(runs) == sum(len(run["seeds"]) for run in read_params(project)["runs"].values())
    by_name = {model.name: model for model in models}
    for run in runs:
        read = {(used.dataset.name, tag.value) for used in run.inputs.dataset_inputs for tag in used.tags}
        assert ("digits train", "train") in read
    metrics = {metric.key: metric.dataset_name for metric in by_name["joint-seed-0"].metrics}
    assert metrics["measure/fd_digits"] == "digits train"
    assert metrics["classify/accuracy"] == "digits test"


def test_the_run_results_has_the_claims_as_description_and_the_models_of_seeds_as_inputs(
    project: Path,
) -> None:
    client, experiment = tracked(project)
    (found,) = client.search_runs([experiment.experiment_id], "tags.level = 'results'")
    results = client.get_run(found.info.run_id)
    claims = (project / "outputs/digits/tables/claims.md").read_text()
    assert results.data.tags["mlflow.note.content"] == claims[:8000]
    models = {model.model_id: model for model in client.search_logged_models([experiment.experiment_id])}
    assert {used.model_id for used in results.inputs.model_inputs} == set(models)
    artifacts = {item.path for item in client.list_artifacts(results.info.run_id)}
    assert artifacts == {"claims.md", "report.html", "tables", "tables.md"}


def test_the_run_of_each_family_has_means_beside_the_numbers_of_the_paper_in_a_saved_view(
    project: Path,
) -> None:
    client, experiment = tracked(project)
    families = client.search_runs([experiment.experiment_id], "tags.level = 'family'")
    metrics = {run.info.run_name: run.data.metrics for run in families}
    assert metrics["rf_lzn"]["paper/fid"] == 2.59
    written = json.loads((project / "outputs/digits/metrics/measure/rf_lzn.json").read_text())["fd_digits"]
    assert metrics["rf_lzn"]["measure/fd_digits"] == written["mean"]
    assert metrics["rf_lzn"]["measure/fd_digits_std"] == written["std"]
    view = json.loads(experiment.tags["mlflow.sharedViewState.ours-beside-the-papers"])
    columns = json.loads(view["state"])["selectedColumns"]
    for name in ("measure/fd_digits", "paper/fid", "classify/accuracy", "paper/accuracy"):
        assert f"metrics.`{name}`" in columns


def run_alone(stage: str, project: Path, place: Path) -> Path:
    """Run a stage in a folder that has only its dependencies, as on a worker. Return the folder of its outputs."""
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


def test_the_stage_tables_needs_only_its_dependencies(project: Path, tmp_path: Path) -> None:
    assert contents(run_alone("tables", project, tmp_path)) == contents(project / "outputs/digits/tables")


def test_the_stage_report_needs_only_its_dependencies(project: Path, tmp_path: Path) -> None:
    """The pictures are compared, not the text: the page also shows facts from MLflow."""
    alone, whole = (
        contents(run_alone("report", project, tmp_path)),
        contents(project / "outputs/digits/report"),
    )
    shown, wanted = (re.findall(b'"data:image[^"]+', made.pop("index.html")) for made in (alone, whole))
    assert len(wanted) > len(whole) / 2  # figures are in the page twice, and grids only in the page
    assert shown == wanted
    assert alone == whole


def test_a_second_repro_has_nothing_to_do(project: Path) -> None:
    assert outdated_stages(project) == set()


def test_a_changed_parameter_of_a_run_runs_its_training_and_the_stages_that_depend_on_it(
    project: Path,
) -> None:
    params = read_params(project)
    params["runs"]["rf_conditional"]["training"]["num_steps"] = 4
    write_params(project, params)
    assert outdated_stages(project) == {"train@rf_conditional"}
    result = run_in(project, [*DVC, "repro"])
    assert result.returncode == 0, result.stderr[-3000:]
    ran = {line.split("'")[1] for line in result.stdout.splitlines() if line.startswith("Running stage")}
    of_the_run = {f"{stage}@rf_conditional" for stage in ("train", "sample", "measure", "steps")}
    assert ran == of_the_run | {"tables@digits", "report@digits", "results@digits"}


def test_an_error_in_the_parameters_names_the_key_and_the_allowed_keys(project: Path) -> None:
    params = read_params(project)
    params["networks"]["unet_8"]["unet"]["dropot"] = 0.1
    write_params(project, params)
    result = run_in(project, [*DVC, "repro", "train@rf"])
    assert result.returncode != 0
    assert "networks.unet_8.unet.dropot: unknown key" in result.stderr
    assert "dropout" in result.stderr
    assert "Traceback" not in result.stderr
