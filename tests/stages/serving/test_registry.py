"""``lzn register`` makes the model of a training a version, compares it, and refuses a run below the bar."""

import io
import json
import os
from collections.abc import Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from lzn_testing.projects.stage_folder import StageFolder
from lzn_testing.projects.trained_project import TrainedProject
from lzn_testing.servers.mlflow_runs import runs_of
from lzn_testing.servers.small_model import global_uri_restored, load_model
from mlflow.tracking import MlflowClient

from lzn.base.files import write_json
from lzn.cli.main import main
from stages.tracking import Tracker
from stages.tracking.seed_identity import identity_of, model_key

NAME = "lzn-tiny-joint"


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StageFolder]:
    """A project with two trained seeds of the joint run; the current folder is in it."""
    folder = tmp_path_factory.mktemp("registry") / "project"
    stages = StageFolder(folder, "")
    TrainedProject.make(folder)
    stages.run("train", "joint")
    environment = mock.patch.dict(os.environ, {"MLFLOW_TRACKING_URI": stages.uri})
    with chdir(folder), global_uri_restored(), environment:
        yield stages


def register(*arguments: str) -> tuple[int, Any]:
    """Run the command, and return its exit code and its JSON."""
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        code = main(["register", *arguments, "--size", "tiny", "--json"])
    return code, json.loads(out.getvalue() if code == 0 else err.getvalue().splitlines()[-1])


def note_accuracy(seed: int, accuracy: float) -> None:
    """Write the accuracy of a seed as the stage ``classify`` does, to its file and to MLflow."""
    write_json(Path(f"outputs/tiny/metrics/classify/joint/seed_{seed}.json"), {"accuracy": accuracy})
    configuration = TrainedProject(Path()).open_configuration("joint", seed)
    with Tracker.join(identity_of(configuration), tags={}) as tracker:
        tracker.log_summary({"classify/accuracy": accuracy}, model=model_key(configuration))


def test_the_version_is_the_model_of_the_training_and_is_compared_with_the_champion(
    stages: StageFolder,
) -> None:
    note_accuracy(0, 0.875)
    note_accuracy(1, 0.9375)
    client = MlflowClient(stages.uri)
    code, first = register("joint:0")
    assert code == 0, first
    assert (first["model"], first["version"]) == (NAME, "1")
    assert first["compared"] == "there was no champion to compare with"
    version = client.get_model_version_by_alias(NAME, "champion")
    (trained,) = (run for run in runs_of(stages.uri, "lzn-tiny") if run.info.run_name == "joint, seed 0")
    assert version.run_id == trained.info.run_id
    assert version.source == f"models:/{first['model_id']}"
    assert trained.outputs.model_outputs[0].model_id == first["model_id"]
    assert len(runs_of(stages.uri, "lzn-tiny")) == 2  # the registration makes no run

    assert register("joint:0")[1]["version"] == "1"  # the same model again is the same version
    code, second = register("joint:1")
    assert (code, second["version"]) == (0, "2")
    assert second["compared"] == "compared with version 1: classify/accuracy 0.875 → 0.9375"
    assert str(client.get_model_version_by_alias(NAME, "champion").version) == "2"
    loaded = load_model(stages.uri, f"models:/{NAME}@champion")
    assert loaded.metadata.model_id == second["model_id"]


@pytest.mark.parametrize(
    ("accuracy", "verdicts", "message"),
    [
        (0.5, ["holds"], "its accuracy 0.5 is below 0.8"),
        (0.9, ["holds", "does not hold", "does not hold"], "only 1 of the 3 decided claims"),
    ],
)
def test_a_run_below_the_bar_is_refused_unless_forced(
    stages: StageFolder, accuracy: float, verdicts: list[str], message: str
) -> None:
    write_json(Path("outputs/tiny/metrics/classify/joint/seed_0.json"), {"accuracy": accuracy})
    claims = [{"study": "Classification", "verdict": verdict} for verdict in [*verdicts, "undecided"]]
    other = {"study": "Representations", "verdict": "does not hold"}
    write_json(Path("outputs/tiny/tables/claims.json"), {"claims": [*claims, *[other] * 9]})
    versions = len(MlflowClient(stages.uri).search_model_versions(f"name = '{NAME}'"))
    code, answer = register("joint:0", "--alias", "refused")
    assert code != 0
    assert message in answer["error"]["message"]
    assert "--force" in answer["error"]["message"]
    assert len(MlflowClient(stages.uri).search_model_versions(f"name = '{NAME}'")) == versions
    assert register("joint:0", "--alias", "refused", "--force")[0] == 0
    assert register("joint:0", "--alias", "refused", "--min-accuracy", "0.1", "--min-claims", "0.1")[0] == 0
    Path("outputs/tiny/tables/claims.json").unlink()


def test_a_large_model_is_uploaded_into_the_same_model_when_it_is_registered(stages: StageFolder) -> None:
    """As for weights over 100 MB: the training logged only their path."""
    configuration = TrainedProject(Path()).open_configuration("joint", 1).model_copy(update={"key": "ab" * 8})
    folder = Path("outputs/tiny/train/joint/seed_7")
    folder.mkdir()
    for file in Path("outputs/tiny/train/joint/seed_1").glob("*.safetensors"):
        (folder / file.name).write_bytes(file.read_bytes())
    content = configuration.model_dump(mode="json")
    content["run"]["seeds"] = [7]
    write_json(folder / "run.json", content)
    external = {"mlflow.model.isExternal": "true"}
    with Tracker.open(identity_of(configuration), tags={}) as tracker:
        tracker.log_model("ab" * 8, "joint-seed-7", step=6, tags=external, params={})
        tracker.finish()
    code, answer = register("joint:7", "--alias", "large")
    assert code == 0, answer
    model = MlflowClient(stages.uri).get_logged_model(answer["model_id"])
    assert model.name == "joint-seed-7"
    assert "mlflow.model.isExternal" not in model.tags
    assert load_model(stages.uri, f"models:/{NAME}@large").metadata.model_id == model.model_id
