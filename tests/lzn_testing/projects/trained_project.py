"""A project folder with one run of every kind, with networks that train in seconds."""

import contextlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from ruamel.yaml import YAML

from lzn.base.sections import ParamsFile, validate
from lzn.data.prepared import read_split
from lzn.inference.loaded_run import LoadedRun, open_seed
from lzn.runs.configuration import AnyRun
from lzn.runs.trained import TrainedConfiguration, read_configuration, write_trained
from lzn_testing.projects.made_once import made_once
from stages.prepare import prepare
from stages.runtime.outputs import OutputPaths
from stages.runtime.stage_main import StageCall

SIZE = "tiny"
NUM_CLASSES = 10
UNET = {
    "image_size": 8, "image_channels": 1, "base_channels": 8, "channel_multipliers": [1], "blocks_per_level": 1,
    "attention_resolutions": [],
}  # fmt: skip
LATENT = {"dim": 8, "alpha": 1.0, "solver": {"kind": "euler", "num_steps": 10}}
BLOCKS = {"channels": 2, "units": 8}
ALIGNMENT = {"solver": {"kind": "euler", "num_steps": 10}, "num_skipped_steps": 2}


def training(**learning_rates: float) -> dict[str, Any]:
    return {
        "num_steps": 6, "batch_size": 32, "learning_rates": learning_rates, "warmup_steps": 2, "ema_decay": 0.5,
        "log_every": 3, "checkpoint_every": 6, "random_flips": False,
    }  # fmt: skip


GENERATION = {"study": "generation", "data": "digits", "unet": UNET, "conditional": False, "latent": None}
RUNS: dict[str, dict[str, Any]] = {
    "joint": {
        "study": "joint", "data": "digits", "seeds": [0, 1], "generate": True, "unet": UNET, "latent": LATENT,
        "latent_blocks": BLOCKS, "alignment": ALIGNMENT,
        "training": training(decoder=2e-3, encoder=2e-3, label_anchors=1e-2),
    },
    "rf": {**GENERATION, "training": training(decoder=2e-3)},
    "rf_conditional": {**GENERATION, "conditional": True, "training": training(decoder=2e-3)},
    "rf_lzn": {
        **GENERATION, "latent": LATENT, "latent_blocks": BLOCKS, "training": training(decoder=2e-3, encoder=2e-3),
    },
    "representation": {
        "study": "representation", "data": "digits", "latent": LATENT, "alignment": ALIGNMENT,
        "encoder": {"depth": 14, "base_channels": 8, "stem": "small", "image_channels": 1, "head_layers": 1},
        "augmentation": {
            "kind": "affine", "max_rotation": 20.0, "max_scale": 1.2, "max_shear": 0.2, "max_shift": 1.0,
            "min_contrast": 0.6, "noise": 0.1,
        },
        "training": training(encoder=2e-3),
    },
}  # fmt: skip
RUNS["joint_no_gen"] = {
    **RUNS["joint"], "generate": False, "training": training(encoder=2e-3, label_anchors=1e-2),
}  # fmt: skip
PARAMS = {
    "size": SIZE,
    "hardware": {"num_threads": 1},
    "data": {"digits": {"kind": "digits", "test_fraction": 0.9, "seed": 0}},
    "runs": RUNS,
}


@dataclass(frozen=True)
class TrainedProject:
    """A project folder with parameters, the prepared data set, and the runs that a test writes."""

    folder: Path

    @staticmethod
    def make(folder: Path) -> "TrainedProject":
        """Write the project with its data set and without runs."""
        shutil.copytree(made_once("trained_project", _prepare), folder, dirs_exist_ok=True)
        return TrainedProject(folder)

    def seed_folder(self, run: str, seed: int = 0) -> Path:
        """Return the folder of a trained seed."""
        return self.folder / OutputPaths(SIZE).seed_folder("train", run, seed)

    def prepared_folder(self, data: str) -> Path:
        """Return the folder of the prepared data set."""
        return self.folder / OutputPaths(SIZE).folder("prepare", data)

    def write_untrained(self, name: str, *, class_names: tuple[str, ...] = (), copy: str = "") -> Path:
        """Write the run's seed 0 with its initial weights, in the files of the stage ``train``; return its folder.

        ``copy`` is another name for it; without ``class_names``, its classes have no names.
        """
        run: Any = validate(RUNS[name], AnyRun, where=name)
        configuration = TrainedConfiguration(
            name=copy or name,
            size=SIZE,
            key="0123abcd",
            num_classes=NUM_CLASSES,
            class_names=class_names,
            run=run.of_seed(0),
        )
        write_trained(self.seed_folder(copy or name), configuration, configuration.build_model())
        return self.seed_folder(copy or name)

    def open_configuration(self, run: str, seed: int) -> TrainedConfiguration:
        """Read the configuration of a trained seed."""
        return read_configuration(self.seed_folder(run, seed))

    def write_test_images(self, folder: Path, *, count: int) -> list[Path]:
        """Write the first test images as PNG files to ``folder``; return the files."""
        files = [folder / f"digit_{index}.png" for index in range(count)]
        images = read_split(self.prepared_folder("digits"), "test").images[:count]
        for file, image in zip(files, images, strict=True):
            Image.fromarray(image[0]).save(file)
        return files

    def open(self, name: str) -> LoadedRun:
        """Open a run on the CPU."""
        return open_seed(
            self.seed_folder(name), prepared_folder=self.prepared_folder, device=torch.device("cpu")
        )


def write_params(folder: Path) -> None:
    """Write the project's params.yaml."""
    yaml = YAML(typ="safe")
    yaml.representer.ignore_aliases = lambda data: True
    yaml.dump(PARAMS, folder / "params.yaml")


def _prepare(folder: Path) -> None:
    write_params(folder)
    with contextlib.chdir(folder):
        params = ParamsFile.read(Path("params.yaml"))
        prepare(StageCall(params, "digits", OutputPaths(SIZE), torch.device("cpu")))
