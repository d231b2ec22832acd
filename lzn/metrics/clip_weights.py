"""Find, download and read the weights of CLIP ViT-L/14@336.

Their folder has the official format: `config.json`, and `pytorch_model.bin` (the released file) or `model.safetensors`.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lzn.base.extras import from_extra
from lzn.base.files import file_sha256
from lzn.metrics.weights_files import MissingWeightsError, WeightsFile, read_weights_file

WEIGHTS_VARIABLE: Final = "LZN_CLIP_WEIGHTS"
"""Environment variable that names the folder of weights."""

CONFIGURATION: Final = "config.json"
WEIGHTS_FILES: Final = ("pytorch_model.bin", "model.safetensors")
"""Names of weights files; the first that exists is read."""


@dataclass(frozen=True)
class ClipRelease:
    """The released model.

    Attributes:
        repository: repository on the Hugging Face hub.
        revision: commit of the repository.
        sha256: hash of its `pytorch_model.bin`, the only released weights file.
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
    """The content of a folder of weights.

    Attributes:
        vision_configuration: configuration of the image network in `config.json`.
        weights: weights of the whole model.
    """

    vision_configuration: Mapping[str, Any]
    weights: WeightsFile


def find_clip_weights(
    path: Path | None = None, *, release: ClipRelease = RELEASE, endpoint: str | None = None
) -> Path:
    """Find the folder of weights: `path`, or LZN_CLIP_WEIGHTS, or the Hugging Face cache, or a download.

    The first of these that is set is used, and an error is raised if it has no weights. A download (1.7 GB from
    `endpoint`; None is the hub) goes to the Hugging Face cache. Weights in the cache must have the release's sha256.

    Raises:
        MissingWeightsError: there are no weights, and the download failed. The message says where to get them.
        ValueError: the weights in the cache are damaged.
    """
    if path is not None:
        return _require_folder(path, set_by="the settings")
    if WEIGHTS_VARIABLE in os.environ:
        return _require_folder(Path(os.environ[WEIGHTS_VARIABLE]), set_by=WEIGHTS_VARIABLE)
    weights = _cached_or_downloaded(release, endpoint)
    if (found := file_sha256(weights)) != release.sha256:
        raise ValueError(f"{weights} is damaged: its sha256 is {found}, not {release.sha256}; delete it")
    return weights.parent


def weights_file(folder: Path) -> Path:
    """Return the weights file of a folder.

    Raises:
        MissingWeightsError: the folder contains no weights file or no configuration.
    """
    files = [folder / name for name in WEIGHTS_FILES if (folder / name).is_file()]
    if not files or not (folder / CONFIGURATION).is_file():
        raise MissingWeightsError(
            f"{folder} must contain {CONFIGURATION} and {' or '.join(WEIGHTS_FILES)}. {download_advice()}"
        )
    return files[0]


def read_clip_folder(folder: Path) -> ClipFolder:
    """Read a folder of weights without executing code in it.

    Raises:
        MissingWeightsError: see `weights_file`.
        ValueError: a file is damaged, or of another model.
    """
    weights = read_weights_file(weights_file(folder), advice=download_advice())
    try:
        configuration = json.loads((folder / CONFIGURATION).read_text())["vision_config"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{folder / CONFIGURATION} is not the configuration of a CLIP model. {download_advice()}"
        ) from error
    return ClipFolder(vision_configuration=configuration, weights=weights)


def download_advice() -> str:
    """Return the text that says what to download, from where, and where to put it."""
    return (
        f"Download {CONFIGURATION} and {WEIGHTS_FILES[0]} (1.7 GB) of "
        f"https://huggingface.co/{RELEASE.repository}/tree/{RELEASE.revision} into a folder, and set "
        f"{WEIGHTS_VARIABLE} to its path."
    )


def _cached_or_downloaded(release: ClipRelease, endpoint: str | None) -> Path:
    """Return the released weights file in the Hugging Face cache, with its configuration beside it."""
    with from_extra("metrics"):
        from huggingface_hub import hf_hub_download  # noqa: PLC0415 - the import takes a second

    files = []
    try:
        for name in (CONFIGURATION, WEIGHTS_FILES[0]):
            file = hf_hub_download(release.repository, name, revision=release.revision, endpoint=endpoint)
            files.append(Path(file))
    except OSError as error:  # all errors of the hub are OSError
        raise MissingWeightsError(
            f"there are no weights of {release.repository} on this machine, and the download failed ({error}). "
            f"{download_advice()}"
        ) from error
    return files[-1]


def _require_folder(folder: Path, *, set_by: str) -> Path:
    folder = folder.expanduser()
    if not folder.is_dir():
        raise MissingWeightsError(
            f"there is no folder of CLIP's weights at {folder}, which is set by {set_by}. {download_advice()}"
        )
    weights_file(folder)
    return folder
