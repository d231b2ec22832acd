"""The stage zones on small runs of each study, and the table that is made of it."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from lzn_testing import PROJECT
from lzn_testing.projects.small_runs import RUNS
from ruamel.yaml import YAML

from lzn.base.files import write_json
from lzn.base.sections import ParamsError, ParamsFile, read_yaml, validate
from lzn.runs.configuration import AnyRun
from lzn.runs.trained import TrainedConfiguration, write_trained
from stages.classify import classify
from stages.prepare import prepare
from stages.runtime.outputs import OutputPaths
from stages.runtime.stage_main import StageCall
from stages.zones import measure_zones

DIGITS = read_yaml(PROJECT / "params.yaml")
NUM_TRAIN, NUM_TEST = 179, 1618
FINE = {"kind": "dpm", "num_steps": 60}
STABILITY: dict[str, Any] = {
    "seed": 0, "latent_solver": FINE, "zone_solver": FINE, "num_pairs": 4, "samples_per_pair": 25,
    "bank_samples": 100,
}  # fmt: skip
PARAMS: dict[str, Any] = {
    "size": "tiny",
    "data": {"digits": {"kind": "digits", "test_fraction": 0.9, "seed": 0}},
    "classify": {"digits": {"batch_size": 400, "slice_points": 4}},
    "zones": {
        "digits": {
            "encoding_batch_size": 50,
            "stability": STABILITY,
            "classification": {"batch_size": 400},
        }
    },
}


def call(item: str) -> StageCall:
    return StageCall(
        ParamsFile.read(Path("params.yaml")), item, OutputPaths("tiny"), torch.device("cpu"), seed=0
    )


def write_params(**stability: Any) -> None:
    """The parameters, with changes in ``zones.digits.stability``."""
    settings = {**PARAMS["zones"]["digits"], "stability": {**STABILITY, **stability}}
    yaml = YAML()
    yaml.representer.ignore_aliases = lambda data: True
    yaml.dump({**PARAMS, "zones": {"digits": settings}}, Path("params.yaml"))


def measure(run: str) -> Any:
    """What the stage finds of the run, left where tables look for it."""
    found = measure_zones(call(run))
    write_json(OutputPaths("tiny").measured("zones", run, 0), found)
    return found


def measured(run: str) -> dict[str, dict[str, float]]:
    content: dict[str, dict[str, float]] = json.loads(
        OutputPaths("tiny").measured("zones", run, 0).read_text()
    )
    return content


def write_run(name: str) -> None:
    """The repository's run of this name as it is before training, so with anchors of a network that sees images."""
    section = {**RUNS[name], "training": {**RUNS[name]["training"], "batch_size": 64}}
    configuration = TrainedConfiguration(
        name=name,
        size="tiny",
        key=hashlib.sha256(name.encode()).hexdigest()[:16],
        num_classes=10,
        run=validate(section, AnyRun, where=name).of_seed(0),
    )
    write_trained(
        OutputPaths("tiny").seed_folder("train", name, 0), configuration, configuration.build_model()
    )


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with prepared digits and runs, the current one while the tests run."""
    folder = tmp_path_factory.mktemp("zones")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_params()
        prepare(call("digits"))
        for name in ("rf", "rf_lzn", "representation", "joint"):
            write_run(name)
        for name in ("rf_lzn", "representation", "joint"):
            measure(name)
        yield folder


@pytest.mark.parametrize("run", ["rf_lzn", "representation", "joint"])
def test_the_bank_keeps_latents_in_zones_that_minibatches_lose(run: str) -> None:
    numbers = measured(run)
    assert numbers["num_anchors"] == {"batch": 64, "bank": NUM_TRAIN}
    counts = {name: numbers[name]["num_latents"] for name in ("redrawn_batch", "same_batch", "bank")}
    assert counts == {"redrawn_batch": 100, "same_batch": 100, "bank": 100}
    # Sixty steps may lose a few latents that are next to a border; redrawn batches lose about half.
    assert numbers["same_batch"]["share"] > 0.9
    assert numbers["bank"]["share"] > 0.9
    assert numbers["redrawn_batch"]["share"] < 0.8
    assert numbers["redrawn_batch"]["standard_error"] > 0


def test_only_runs_with_labels_classify_and_their_batches_are_those_of_classify() -> None:
    assert "accuracy" not in measured("rf_lzn")
    assert "accuracy" not in measured("representation")
    of_classify = classify(call("joint"))["accuracy"]
    found = measured("joint")["accuracy"]
    assert found["batch"] == of_classify
    assert (found["bank"] * NUM_TEST) % 1 == pytest.approx(0, abs=1e-6)  # a share of the test images


def test_the_same_seed_measures_the_same_and_another_seed_does_not() -> None:
    first = measured("rf_lzn")
    assert measure_zones(call("rf_lzn")) == first
    write_params(seed=1)
    assert measure_zones(call("rf_lzn")) != first
    write_params()


def test_a_run_without_encoder_and_more_samples_than_images_are_errors_in_words() -> None:
    with pytest.raises(ParamsError, match=r"run rf has no encoder: remove it from families\.encoding"):
        measure_zones(call("rf"))
    for numbers, message in (
        (
            {"samples_per_pair": 117},
            "samples_per_pair=117 and batch_size=64 need 180 anchors, but there are 179",
        ),
        ({"bank_samples": 180}, r"num_chosen must lie in \[1, 179\], got 180"),
    ):
        write_params(**numbers)
        with pytest.raises(ParamsError, match=rf"params.yaml: zones.digits.stability: {message}"):
            measure_zones(call("joint"))
    write_params()
