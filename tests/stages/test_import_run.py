"""The import stage: a released checkpoint becomes a run that other stages take for a trained one."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lzn_testing import PROJECT
from lzn_testing.models.unet_settings import TINY_RELEASES, TinyRelease
from lzn_testing.servers.file_server import serving
from lzn_testing.servers.mlflow_runs import new_database, only_run
from PIL import Image
from ruamel.yaml import YAML
from torch import Tensor
from torch.nn import functional

from lzn.base.sections import ParamsError, ParamsFile, validate
from lzn.released.resnet_names import resnet_names
from lzn.runs.configuration import RepresentationRun
from lzn.runs.trained import WEIGHTS, read_trained
from lzn.studies import REPRESENTATIONS
from stages.classify import classify
from stages.import_run import ImportParams, import_run
from stages.prepare import prepare
from stages.probe import probe
from stages.runtime.outputs import OutputPaths
from stages.runtime.stage_main import StageCall
from stages.sample import sample

REFERENCE = PROJECT / "tests/reference"
RELEASES = {release.name: release for release in TINY_RELEASES}
SIZE = "tiny"
NUM_CLASSES = 10
EULER = {"kind": "euler", "num_steps": 2}
LATENT = {"dim": 10, "alpha": 1.0, "solver": {"kind": "euler", "num_steps": 5}}


def training(*parts: str) -> dict[str, Any]:
    """Nothing of it is used; what a run says of its training is kept with it."""
    return {"num_steps": 1, "batch_size": 1, "learning_rates": dict.fromkeys(parts, 1e-3), "warmup_steps": 1,
            "ema_decay": 0.9}  # fmt: skip


def unet_run(release: TinyRelease) -> dict[str, Any]:
    unet = release.unet
    run = {
        "data": "photos",
        "seeds": [0],
        "unet": {
            "image_size": unet.image_size, "image_channels": 3, "base_channels": unet.base_channels,
            "channel_multipliers": list(unet.channel_multipliers), "blocks_per_level": unet.blocks_per_level,
            "attention_resolutions": list(unet.attention_resolutions), "family": unet.family,
        },
        "latent": LATENT,
        "latent_blocks": {"channels": release.block_channels, "units": release.block_units},
    }  # fmt: skip
    if release.num_classes == 0:
        return {
            **run,
            "study": "generation",
            "conditional": False,
            "training": training("decoder", "encoder"),
        }
    return {
        **run,
        "study": "joint",
        "generate": True,
        "alignment": {"solver": {"kind": "euler", "num_steps": 5}, "num_skipped_steps": 1},
        "training": training("decoder", "encoder", "label_anchors"),
    }


REPRESENTATION = {
    "study": "representation",
    "data": "photos",
    "encoder": {"depth": 14, "base_channels": 8, "stem": "imagenet", "image_channels": 3, "head_layers": 2},
    "latent": {**LATENT, "dim": 16},
    "alignment": {"solver": {"kind": "euler", "num_steps": 5}, "num_skipped_steps": 1},
    "augmentation": {"kind": "simclr", "size": 16},
    "training": training("encoder"),
}

PROBE = {
    "seed": 0, "batch_size": 5, "controls": ["untrained", "raw_pixels"], "along_training": None,
    "method": {"kind": "adamw", "num_epochs": 2, "batch_size": 8, "learning_rate": 1e-2, "augmented": True},
}  # fmt: skip


def sha256_of(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def imported(file: Path, run: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """A section of ``imports``."""
    return {"source": "released", "path": str(file), "sha256": sha256_of(file), "run": run, **changes}


def write_resnet(file: Path) -> dict[str, Tensor]:
    """A small ResNet in the released format; its weights by our names."""
    run: RepresentationRun = validate(REPRESENTATION, RepresentationRun, where="run")
    encoder = run.build_model(NUM_CLASSES).encoder
    names = resnet_names(encoder)
    torch.save(
        {"encoder": {f"model.module.{names[name]}": value for name, value in encoder.state_dict().items()}},
        file,
    )
    return dict(encoder.state_dict())


class Project:
    """A folder in which stages run, with the data set ``photos``: ten classes of 16x16 images."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.params: dict[str, Any] = {
            "size": SIZE,
            "hardware": {"num_threads": 1},
            "data": {
                "photos": {
                    "kind": "folder", "root": "photos", "image_size": 16, "test_fraction": 0.5, "seed": 0,
                }
            },
            "imports": {},
            "sample": {
                "photos": {"seed": 0, "num_images": 6, "batch_size": 6, "sampler": EULER}
            },
            "classify": {"photos": {"batch_size": 20, "slice_points": 4}},
            "probe": {"photos": PROBE},
        }  # fmt: skip
        self._write_photos()
        self.write_params()
        prepare(self.call("photos"))

    def call(self, item: str) -> StageCall:
        return StageCall(
            ParamsFile.read(Path("params.yaml")), item, OutputPaths(SIZE), torch.device("cpu"), seed=0
        )

    def output(self, stage: str, item: str) -> Path:
        return OutputPaths(SIZE).seed_folder(stage, item, 0)

    def write_params(self) -> None:
        yaml = YAML()
        yaml.representer.ignore_aliases = lambda data: True
        yaml.dump(self.params, self.folder / "params.yaml")

    def import_as(self, name: str, section: Mapping[str, Any]) -> None:
        """Run the stage for a run of this name."""
        self.params["imports"][name] = dict(section)
        self.write_params()
        import_run(self.call(name))

    def _write_photos(self) -> None:
        numbers = np.random.default_rng(0)
        for label in range(NUM_CLASSES):
            folder = self.folder / "photos" / f"class_{label}"
            folder.mkdir(parents=True)
            for index in range(4):
                pixels = numbers.integers(0, 256, size=(16, 16, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{index}.png")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("import")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", new_database(folder))
        patch.setenv("no_proxy", "127.0.0.1")
        yield Project(folder)


def checkpoint_of(name: str) -> Path:
    return REFERENCE / f"released_{name}_tiny.pt"


def section_of(name: str, **changes: Any) -> dict[str, Any]:
    return imported(checkpoint_of(name), unet_run(RELEASES[name]), **changes)


def relative_error(ours: Tensor, reference: Tensor) -> float:
    return float((ours - reference).abs().max() / reference.abs().max())


@pytest.mark.parametrize("ema", [True, False], ids=["ema", "raw"])
@pytest.mark.parametrize("name", ["cifar10", "joint"])
@torch.no_grad()
def test_an_imported_run_computes_what_the_release_does(project: Project, name: str, ema: bool) -> None:
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


def test_an_imported_run_goes_through_the_stages_without_training(project: Project) -> None:
    project.import_as("joint", section_of("joint"))
    sample(project.call("joint"))
    images = np.load(project.output("sample", "joint") / "images.npy")
    assert (images.shape, images.dtype) == ((6, 3, 16, 16), np.uint8)
    assert 0 <= classify(project.call("joint"))["accuracy"] <= 1


def test_an_imported_representation_is_probed(project: Project) -> None:
    file = project.folder / "resnet.pt"
    weights = write_resnet(file)
    project.import_as("representation", imported(file, REPRESENTATION, ema=False))
    model = read_trained(project.output("train", "representation")).model
    assert all(torch.equal(value, weights[name]) for name, value in model.encoder.state_dict().items())
    found = probe(
        project.call("representation")
    )  # under the run's augmentation, views made as images are loaded
    assert {owner: set(accuracies) for owner, accuracies in found.items()} == {
        "trained": set(REPRESENTATIONS),
        "untrained": set(REPRESENTATIONS),
        "raw_pixels": {"pixels"},
    }
    assert all(
        0 <= result["top1"] <= result["top5"] <= 1 for owner in found.values() for result in owner.values()
    )


def test_what_an_imported_run_is_says_its_file(project: Project) -> None:
    project.import_as("joint", section_of("joint"))
    configuration = read_trained(project.output("train", "joint")).configuration
    assert configuration.checkpoint_sha256 == sha256_of(checkpoint_of("joint"))
    assert (configuration.name, configuration.size, configuration.num_classes) == ("joint", SIZE, NUM_CLASSES)
    assert configuration.run.model_dump(mode="json")["study"] == "joint"


def test_mlflow_has_a_finished_run_of_a_released_source(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = new_database(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    project.import_as("joint", section_of("joint"))
    run = only_run(uri, f"lzn-{SIZE}")
    assert (run.info.status, run.info.run_name) == ("FINISHED", "joint, seed 0")
    assert run.data.tags["source"] == "released"
    assert run.data.tags["stage"] == "import"
    assert run.data.tags["checkpoint_sha256"] == sha256_of(checkpoint_of("joint"))
    assert run.data.params["ema"] == "True"
    assert run.data.params["latent.dim"] == "10"
    assert run.data.params["parameters.label_anchors"] == "100"


def test_a_url_gives_the_same_run_as_the_file(project: Project) -> None:
    project.import_as("cifar10", section_of("cifar10"))
    folder = project.output("train", "cifar10")
    from_path = {file.name: file.read_bytes() for file in folder.iterdir()}
    with serving(checkpoint_of("cifar10").read_bytes()) as server:
        for _ in range(2):
            project.import_as("cifar10", section_of("cifar10", path=None, url=server.url))
        assert len(server.asked) == 1
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == from_path


def key_of(project: Project, **changes: Any) -> str:
    project.import_as("cifar10", section_of("cifar10", **changes))
    return read_trained(project.output("train", "cifar10")).configuration.key


def test_averages_and_last_iteration_are_two_runs(project: Project) -> None:
    assert key_of(project, ema=True) != key_of(project, ema=False)


def error_of(project: Project, section: Mapping[str, Any]) -> str:
    with pytest.raises(ParamsError) as caught:
        project.import_as("wrong", section)
    assert not (project.output("train", "wrong") / WEIGHTS).exists()
    return str(caught.value)


def test_another_hash_is_refused_with_the_one_found(project: Project) -> None:
    said = error_of(project, section_of("cifar10", sha256="0" * 64))
    assert said == (
        f"params.yaml: imports.wrong: {checkpoint_of('cifar10')} has sha256 "
        f"{sha256_of(checkpoint_of('cifar10'))}, not {'0' * 64}: replace the file, or correct sha256"
    )


def test_a_downloaded_file_of_another_hash_is_refused_with_the_one_found(project: Project) -> None:
    with serving(b"other") as server:
        said = error_of(project, section_of("cifar10", path=None, url=server.url, sha256="1" * 64))
    assert f"{server.url} has sha256 {hashlib.sha256(b'other').hexdigest()}, not {'1' * 64}" in said


def test_a_missing_file_is_named(project: Project) -> None:
    said = error_of(project, section_of("cifar10", path="nowhere.pt"))
    assert said.startswith("params.yaml: imports.wrong: there is no file nowhere.pt: put the released")


@pytest.mark.parametrize("place", [{"path": None}, {"url": "https://example.org/file.pt"}])
def test_a_checkpoint_has_one_place(project: Project, place: dict[str, Any]) -> None:
    said = error_of(project, section_of("cifar10", **place))
    assert said == "params.yaml: imports.wrong: set either path or url of the checkpoint"


@pytest.mark.parametrize(
    ("key", "value"),
    [("sha256", "abc"), ("sha256", "G" * 64), ("url", "ftp://host/file.pt"), ("source", "trained")],
)
def test_a_wrong_value_names_its_key(key: str, value: str) -> None:
    section = {"source": "released", "path": "file.pt", "sha256": "0" * 64, "run": REPRESENTATION, key: value}
    with pytest.raises(ParamsError, match=f"^params.yaml: imports.wrong.{key}: "):
        validate(section, ImportParams, where="params.yaml: imports.wrong")


def test_networks_of_another_study_are_refused(project: Project) -> None:
    said = error_of(project, imported(checkpoint_of("joint"), unet_run(RELEASES["cifar10"])))
    assert "released_joint_tiny.pt does not match the settings: decoder: wrong shape" in said
    assert "label_anchor: is in the checkpoint, but not in a run of these settings" in said


def test_networks_for_other_images_than_the_data_sets_are_refused(project: Project) -> None:
    said = error_of(project, section_of("hires"))
    assert said.endswith("the run's networks do not fit the images of photos, which are (3, 16, 16)")


def test_the_command_says_what_is_wrong_and_fails(project: Project) -> None:
    project.params["imports"] = {"wrong": section_of("joint", sha256="0" * 64)}
    project.write_params()
    failed = subprocess.run(
        [sys.executable, "-m", "stages.import_run", "wrong"],
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert failed.returncode == 1
    assert failed.stderr.startswith("import_run: params.yaml: imports.wrong: ")
