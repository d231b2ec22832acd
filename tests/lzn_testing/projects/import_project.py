"""A project whose stage import_run reads small checkpoints in the released format."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from ruamel.yaml import YAML
from torch import Tensor

from lzn.base.files import file_sha256
from lzn.base.sections import ParamsFile, validate
from lzn.released.resnet_names import resnet_names
from lzn.runs.configuration import RepresentationRun
from lzn_testing import PROJECT
from lzn_testing.models.unet_settings import TINY_RELEASES, TinyRelease
from lzn_testing.servers.mlflow_runs import new_database
from stages.import_run import import_run
from stages.prepare import prepare
from stages.runtime.outputs import OutputPaths
from stages.runtime.stage_main import StageCall

REFERENCE = PROJECT / "tests/reference"
RELEASES = {release.name: release for release in TINY_RELEASES}
SIZE = "tiny"
NUM_CLASSES = 10
EULER = {"kind": "euler", "num_steps": 2}
LATENT = {"dim": 10, "alpha": 1.0, "solver": {"kind": "euler", "num_steps": 5}}


def training(*parts: str) -> dict[str, Any]:
    """Return training settings, which a run must have although an imported run is not trained."""
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


def import_section(file: Path, run: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """Return a section of ``imports``."""
    return {"source": "released", "path": str(file), "sha256": file_sha256(file), "run": run, **changes}


def write_resnet(file: Path) -> dict[str, Tensor]:
    """Write a small ResNet in the released format, and return its weights by our names."""
    run: RepresentationRun = validate(REPRESENTATION, RepresentationRun, where="run")
    encoder = run.build_model(NUM_CLASSES).encoder
    names = resnet_names(encoder)
    torch.save(
        {"encoder": {f"model.module.{names[name]}": value for name, value in encoder.state_dict().items()}},
        file,
    )
    return dict(encoder.state_dict())


class ImportProject:
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
        """Import a run under this name."""
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


def checkpoint_of(name: str) -> Path:
    return REFERENCE / f"released_{name}_tiny.pt"


def section_of(name: str, **changes: Any) -> dict[str, Any]:
    return import_section(checkpoint_of(name), unet_run(RELEASES[name]), **changes)


@contextmanager
def import_project(folder: Path) -> Iterator[ImportProject]:
    """Yield a new project in ``folder``, which is the current folder inside the block."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", new_database(folder))
        patch.setenv("no_proxy", "127.0.0.1")
        yield ImportProject(folder)
