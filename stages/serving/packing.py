"""A trained seed packed for serving: it needs no data set and no project, and has no pickled files."""

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file

from lzn.base.files import save_tensors, write_json
from lzn.base.sections import Section, validate
from lzn.inference.abilities import RunFacts
from lzn.inference.loaded_run import LoadedRun, read_seed
from lzn.runs.trained import CONFIGURATION, WEIGHTS

REFERENCE_ANCHORS = "reference_anchors.safetensors"
IMAGES = "images.json"


class PackedImages(Section):
    """Content of ``images.json``."""

    image_shape: tuple[int, int, int]
    """(channels, height, width)."""


def pack(run: LoadedRun, seed_folder: Path, target: Path) -> None:
    """Write the seed's files, the image shape and the reference anchors to a new folder ``target``.

    Raises:
        UserError: the training images are missing; the reference anchors are computed from them.
    """
    target.mkdir(parents=True)
    for name in (WEIGHTS, CONFIGURATION):
        shutil.copyfile(seed_folder / name, target / name)
    write_json(target / IMAGES, PackedImages(image_shape=run.image_shape).model_dump(mode="json"))
    if run.facts.has_encoder:
        save_tensors({"anchors": run.reference_anchors()}, target / REFERENCE_ANCHORS)


def open_packed(folder: Path, *, device: torch.device) -> LoadedRun:
    """Open a folder that `pack` wrote.

    Raises:
        UserError: a file is missing or from another version.
        ParamsError: ``images.json`` is not valid.
    """
    trained = read_seed(folder)
    trained.model.to(device).requires_grad_(False)
    file = folder / IMAGES
    images: PackedImages = validate(json.loads(file.read_text()), PackedImages, where=f"{file}: ")
    anchors = (
        load_file(folder / REFERENCE_ANCHORS)["anchors"].to(device)
        if (folder / REFERENCE_ANCHORS).exists()
        else None
    )

    def reference_anchors() -> torch.Tensor:
        assert anchors is not None, "runs with an encoder are packed with reference anchors"
        return anchors

    return LoadedRun(
        trained=trained,
        facts=RunFacts.from_json(trained.configuration.model_dump(mode="json")),
        image_shape=images.image_shape,
        device=device,
        reference_anchors=reference_anchors,
    )
