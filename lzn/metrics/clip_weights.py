"""Where the weights of CLIP ViT-L/14@336 are on this machine or come from, and how their folder is read.

The folder has the official format: `config.json`, and `pytorch_model.bin` (what is released) or `model.safetensors`.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lzn.base.files import file_sha256
from lzn.metrics.weights_files import MissingWeightsError, WeightsFile, read_weights_file

WEIGHTS_VARIABLE: Final = "LZN_CLIP_WEIGHTS"
"""Environment variable that names the folder of weights."""

CONFIGURATION: Final = "config.json"
WEIGHTS_FILES: Final = ("pytorch_model.bin", "model.safetensors")
"""Files of weights; the first that is there is read."""


@dataclass(frozen=True)
class ClipRelease:
    """The released model.

    Attributes:
        repository: on the Hugging Face hub.
        revision: its commit there.
        sha256: of its `pytorch_model.bin`, the only form in which it is released there.
    """

    repository: str
    revision: str
    sha256: str


RELEASE: Final = ClipRelease(
    repository="openai/clip-vit-large-patch14-336",
    revision="ce19dc912ca5cd21c8a653c79e251e808ccabcd1",
    sha256="c6032c2e0caae3dc2d4fba35535fa6307dbb49df59c7e182b1bc4b3329b81801",
)


@dataclass(frozen=True, eq=False)
class ClipFolder:
    """What a folder of weights holds.

    Attributes:
        vision_configuration: what `config.json` says of the image network.
        weights: of the whole model.
    """

    vision_configuration: Mapping[str, Any]
    weights: WeightsFile


def find_clip_weights(
    path: Path | None = None, *, release: ClipRelease = RELEASE, endpoint: str | None = None
) -> Path:
    """The folder of weights: `path`, else what LZN_CLIP_WEIGHTS names, else the Hugging Face cache, else a download.

    A place that was asked for is not replaced by another. A download, of 1.7 GB from `endpoint` (None: the hub), goes
    to the Hugging Face cache, and what is found there must have the release's sha256.

    Raises:
        MissingWeightsError: there is no such folder, and it cannot be downloaded; the message says where to get it.
        ValueError: the weights in the cache are damaged.
    """
    if path is not None:
        return _require_folder(path, asked_for_by="the settings")
    if WEIGHTS_VARIABLE in os.environ:
        return _require_folder(Path(os.environ[WEIGHTS_VARIABLE]), asked_for_by=WEIGHTS_VARIABLE)
    weights = _cached_or_downloaded(release, endpoint)
    if (found := file_sha256(weights)) != release.sha256:
        raise ValueError(f"{weights} is damaged: its sha256 is {found}, not {release.sha256}; delete it")
    return weights.parent


def weights_file(folder: Path) -> Path:
    """The file of weights in a folder.

    Raises:
        MissingWeightsError: the folder has none, or no configuration beside it.
    """
    files = [folder / name for name in WEIGHTS_FILES if (folder / name).is_file()]
    if not files or not (folder / CONFIGURATION).is_file():
        raise MissingWeightsError(
            f"{folder} must hold {CONFIGURATION} and {' or '.join(WEIGHTS_FILES)}. {download_advice()}"
        )
    return files[0]


def read_clip_folder(folder: Path) -> ClipFolder:
    """Read a folder of weights, as data only: nothing in it is executed.

    Raises:
        MissingWeightsError: as `weights_file`.
        ValueError: a file is damaged, or of another model.
    """
    weights = read_weights_file(weights_file(folder), advice=download_advice())
    try:
        configuration = json.loads((folder / CONFIGURATION).read_text())["vision_config"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{folder / CONFIGURATION} is not that of a CLIP model. {download_advice()}"
        ) from error
    return ClipFolder(vision_configuration=configuration, weights=weights)


def download_advice() -> str:
    """What to download, from where, and where to put it."""
    return (
        f"Download {CONFIGURATION} and {WEIGHTS_FILES[0]} (1.7 GB) of "
        f"https://huggingface.co/{RELEASE.repository}/tree/{RELEASE.revision} into a folder, and set "
        f"{WEIGHTS_VARIABLE} to its path."
    )


def _cached_or_downloaded(release: ClipRelease, endpoint: str | None) -> Path:
    """The released file of weights, beside its configuration in the Hugging Face cache."""
    from huggingface_hub import hf_hub_download  # noqa: PLC0415 - takes a second where no CLIP is used

    files = []
    try:
        for name in (CONFIGURATION, WEIGHTS_FILES[0]):
            file = hf_hub_download(release.repository, name, revision=release.revision, endpoint=endpoint)
            files.append(Path(file))
    except OSError as error:  # not in the cache, and not to be had: all errors of the hub are of this kind
        raise MissingWeightsError(
            f"no weights of {release.repository} on this machine, and downloading them failed ({error}): "
            f"{download_advice()}"
        ) from error
    return files[-1]


def _require_folder(folder: Path, *, asked_for_by: str) -> Path:
    folder = folder.expanduser()
    if not folder.is_dir():
        raise MissingWeightsError(
            f"no folder of CLIP's weights at {folder}, the place that {asked_for_by} named: {download_advice()}"
        )
    weights_file(folder)
    return folder
