"""The stage import_run: other stages use a released checkpoint like a trained run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lzn_testing.projects.import_project import (
    NUM_CLASSES,
    REFERENCE,
    REPRESENTATION,
    SIZE,
    ImportProject,
    checkpoint_of,
    import_project,
    import_section,
    section_of,
    write_resnet,
)
from lzn_testing.servers.file_server import serving
from lzn_testing.servers.mlflow_runs import new_database, only_run
from torch import Tensor
from torch.nn import functional

from lzn.base.files import file_sha256
from lzn.runs.trained import read_trained
from lzn.studies import REPRESENTATIONS
from stages.classify import classify
from stages.probe import probe
from stages.sample import sample


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImportProject]:
    with import_project(tmp_path_factory.mktemp("import")) as project:
        yield project


def relative_error(ours: Tensor, reference: Tensor) -> float:
    return float((ours - reference).abs().max() / reference.abs().max())


@pytest.mark.parametrize("ema", [True, False], ids=["ema", "raw"])
@pytest.mark.parametrize("name", ["cifar10", "joint"])
@torch.no_grad()
def test_an_imported_run_computes_what_the_release_does(project: ImportProject, name: str, ema: bool) -> None:
    project.import_as(name, section_of(name, ema=ema))
    model = read_trained(project.output("train", name)).model
    outputs = torch.load(REFERENCE / f"outputs_{name}_tiny.pt", weights_only=True)
    suffix = "_ema" if ema else ""
    one_hot = functional.one_hot(outputs["label"], NUM_CLASSES).float() if name == "joint" else None
    velocity = model.decoder(outputs["xt"], outputs["t"], outputs["latent"], one_hot)
    # float32 rounding through some twenty layers; measured 1e-6
    assert relative_error(model.encoder(outputs["image"]), outputs[f"anchor{suffix}"]) < 1e-5
    assert relative_error(velocity, outputs[f"velocity{suffix}"]) < 1e-5
    if name == "joint":
        assert torch.equal(model.label_anchors.points, outputs[f"label_anchors{suffix}"])


def test_an_imported_run_goes_through_the_stages_without_training(project: ImportProject) -> None:
    project.import_as("joint", section_of("joint"))
    sample(project.call("joint"))
    images = np.load(project.output("sample", "joint") / "images.npy")
    assert (images.shape, images.dtype) == ((6, 3, 16, 16), np.uint8)
    assert 0 <= classify(project.call("joint"))["accuracy"] <= 1


def test_an_imported_representation_is_probed(project: ImportProject) -> None:
    file = project.folder / "resnet.pt"
    weights = write_resnet(file)
    project.import_as("representation", import_section(file, REPRESENTATION, ema=False))
    model = read_trained(project.output("train", "representation")).model
    assert all(torch.equal(value, weights[name]) for name, value in model.encoder.state_dict().items())
    # the run's augmentation: the loader makes the views
    accuracies = probe(project.call("representation"))
    assert {encoder: set(by_name) for encoder, by_name in accuracies.items()} == {
        "trained": set(REPRESENTATIONS),
        "untrained": set(REPRESENTATIONS),
        "raw_pixels": {"pixels"},
    }
    results = [result for by_name in accuracies.values() for result in by_name.values()]
    assert all(0 <= result["top1"] <= result["top5"] <= 1 for result in results)


def test_the_configuration_of_an_imported_run_names_its_checkpoint_and_study(project: ImportProject) -> None:
    project.import_as("joint", section_of("joint"))
    configuration = read_trained(project.output("train", "joint")).configuration
    assert configuration.checkpoint_sha256 == file_sha256(checkpoint_of("joint"))
    assert (configuration.name, configuration.size, configuration.num_classes) == ("joint", SIZE, NUM_CLASSES)
    assert configuration.run.model_dump(mode="json")["study"] == "joint"


def test_mlflow_has_a_finished_run_of_a_released_source(
    project: ImportProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = new_database(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    project.import_as("joint", section_of("joint"))
    run = only_run(uri, f"lzn-{SIZE}")
    assert (run.info.status, run.info.run_name) == ("FINISHED", "joint, seed 0")
    assert run.data.tags["source"] == "released"
    assert run.data.tags["stage"] == "import"
    assert run.data.tags["checkpoint_sha256"] == file_sha256(checkpoint_of("joint"))
    assert run.data.params["ema"] == "True"
    assert run.data.params["latent.dim"] == "10"
    assert run.data.params["parameters.label_anchors"] == "100"


def test_a_url_gives_the_same_run_as_the_file(project: ImportProject) -> None:
    project.import_as("cifar10", section_of("cifar10"))
    folder = project.output("train", "cifar10")
    from_path = {file.name: file.read_bytes() for file in folder.iterdir()}
    with serving(checkpoint_of("cifar10").read_bytes()) as server:
        for _ in range(2):
            project.import_as("cifar10", section_of("cifar10", path=None, url=server.url))
        assert len(server.asked) == 1
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == from_path


def key_of(project: ImportProject, **changes: Any) -> str:
    project.import_as("cifar10", section_of("cifar10", **changes))
    return read_trained(project.output("train", "cifar10")).configuration.key


def test_averaged_weights_and_weights_of_the_last_iteration_have_different_keys(
    project: ImportProject,
) -> None:
    assert key_of(project, ema=True) != key_of(project, ema=False)
