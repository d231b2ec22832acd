"""A trained seed with all that it needs to answer alone: no data set, no project, no pickles."""

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file

from stages.dataset_files import write_json
from stages.inference.abilities import RunFacts
from stages.inference.usable_run import UsableRun, read_seed
from stages.params import Section, validate
from stages.trained import CONFIGURATION, WEIGHTS
from stages.weights import save_tensors

COMPANIONS = "companions.safetensors"
IMAGES = "images.json"


class PackedImages(Section):
    """Content of ``images.json``."""

    image_shape: tuple[int, int, int]
    """(channels, height, width)."""


def pack(run: UsableRun, seed_folder: Path, target: Path) -> None:
    """Write what `open_packed` reads: the seed's own files, the images' shape, and its companions' anchors.

    Raises:
        UserError: the companions' images are missing.
    """
    target.mkdir(parents=True)
    for name in (WEIGHTS, CONFIGURATION):
        shutil.copyfile(seed_folder / name, target / name)
    write_json(target / IMAGES, PackedImages(image_shape=run.image_shape).model_dump(mode="json"))
    if run.facts.has_encoder:
        save_tensors({"anchors": run.companions()}, target / COMPANIONS)


def open_packed(folder: Path, *, device: torch.device) -> UsableRun:
    """Read what `pack` wrote.

    Raises:
        UserError: files are missing, or another version's.
        ParamsError: ``images.json`` is not one.
    """
    trained = read_seed(folder)
    trained.model.to(device).requires_grad_(False)
    file = folder / IMAGES
    images: PackedImages = validate(json.loads(file.read_text()), PackedImages, where=f"{file}: ")
    anchors = load_file(folder / COMPANIONS)["anchors"].to(device) if (folder / COMPANIONS).exists() else None

    def companions() -> torch.Tensor:
        assert anchors is not None, "runs with an encoder are packed with companions"
        return anchors

    return UsableRun(
        trained=trained,
        facts=RunFacts.of(trained.configuration.model_dump(mode="json")),
        image_shape=images.image_shape,
        device=device,
        companions=companions,
    )
