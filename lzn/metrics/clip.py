"""Embeddings of CLIP ViT-L/14@336, the features of CMMD.

Source: Jayasumana et al. 2024, "Rethinking FID: Towards a Better Evaluation Metric for Image Generation", section 4,
and its code: images are cut to their central square, resized with PIL's bicubic filter to the side that the network
was trained with, normalised as CLIP's training images were, and their embeddings scaled to length 1.

Loading a network imports transformers, which takes seconds; importing this module does not.
"""

import hashlib
import json
from pathlib import Path
from textwrap import shorten
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import normalize

from lzn.metrics.clip_weights import RELEASE, ClipFolder, download_advice, read_clip_folder

# Mean and standard deviation of CLIP's training images, red, green, blue, in [0, 1]: Radford et al. 2021, its code.
_MEAN: Final = (0.48145466, 0.4578275, 0.40821073)
_DEVIATION: Final = (0.26862954, 0.26130258, 0.27577711)

# What makes the released weights ViT-L/14@336: of a configuration that says otherwise the features would be others.
_RELEASED_SHAPE: Final = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "image_size": 336,
    "patch_size": 14,
    "projection_dim": 768,
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5,
}
_IMAGE_PARTS: Final = ("vision_model.", "visual_projection.")
_BUFFER: Final = "vision_model.embeddings.position_ids"  # 0, 1, 2, ...: older versions saved it


class ClipNetwork(nn.Module):
    """CLIP's image network, frozen and in evaluation mode.

    Attributes:
        image_size: height and width, in pixels, of the images that it sees.
        width: of an embedding.
        identity: hash of its weights and configuration.
        is_released: whether it is CLIP ViT-L/14@336 as released; only then is a number called CMMD.
    """

    def __init__(self, folder: ClipFolder) -> None:
        super().__init__()
        from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection  # noqa: PLC0415

        configuration = CLIPVisionConfig.from_dict(dict(folder.vision_configuration))
        self.model: nn.Module = CLIPVisionModelWithProjection(configuration)
        self.model.load_state_dict(_image_part(folder.weights.state_dict))
        shape = {name: getattr(configuration, name) for name in _RELEASED_SHAPE}
        self.image_size = int(shape["image_size"])
        self.width = int(shape["projection_dim"])
        described = json.dumps([folder.weights.sha256, shape], sort_keys=True)
        self.identity = hashlib.sha256(described.encode()).hexdigest()
        self.is_released = folder.weights.sha256 == RELEASE.sha256 and shape == _RELEASED_SHAPE
        self.eval().requires_grad_(requires_grad=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """Embeddings (b, width) of length 1 of prepared images (b, 3, image_size, image_size), float32."""
        embeddings: Tensor = self.model(pixel_values=inputs).image_embeds
        return normalize(embeddings, dim=1)


def load_clip(folder: Path) -> ClipNetwork:
    """The network, on the CPU, with weights from a folder in the format in which CLIP is released.

    Raises:
        MissingWeightsError: the folder does not hold them.
        ValueError: they are damaged, or of another model.
    """
    read = read_clip_folder(folder)
    try:
        return ClipNetwork(read)
    except (RuntimeError, TypeError, AttributeError) as error:
        difference = shorten(str(error), width=500)
        raise ValueError(f"{folder} does not hold a CLIP model. {download_advice()} {difference}") from error


def prepare_clip_images(images: NDArray[np.uint8], *, image_size: int) -> Tensor:
    """What CMMD's code makes of grey levels 0..255, (b, 1 or 3, h, w) => (b, 3, image_size, image_size) float32.

    Raises:
        ValueError: the images are not of that kind.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] not in (1, 3):
        raise ValueError(f"images must be uint8 (b, 1 or 3, h, w), got {images.dtype} {images.shape}")
    resized = np.empty((len(images), 3, image_size, image_size), np.uint8)
    for target, image in zip(resized, images, strict=True):
        target[:] = _central_square(image, image_size)
    mean, deviation = (torch.tensor(values).view(3, 1, 1) for values in (_MEAN, _DEVIATION))
    return (torch.from_numpy(resized) / 255 - mean) / deviation


def clip_embeddings(network: ClipNetwork, inputs: Tensor) -> Tensor:
    """Embeddings (b, width) of prepared images (b, 3, image_size, image_size), on the network's device.

    Full float32, also on a GPU that would round convolutions to TF32, as for Inception.
    """
    cudnn = torch.backends.cudnn
    device = next(network.parameters()).device
    with torch.no_grad(), cudnn.flags(enabled=cudnn.enabled, deterministic=True, allow_tf32=False):
        embeddings: Tensor = network(inputs.to(device))
    return embeddings


def _central_square(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """(1 or 3, h, w) => (3 or 1, size, size): cut first, then resized."""
    channels, height, width = image.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    pixels = image.transpose(1, 2, 0) if channels == 3 else image[0]
    picture = Image.fromarray(np.ascontiguousarray(pixels)).crop((left, top, left + side, top + side))
    resized = np.asarray(picture.resize((size, size), Image.Resampling.BICUBIC))
    return resized.transpose(2, 0, 1) if channels == 3 else resized[None]


def _image_part(state_dict: Any) -> dict[str, Tensor]:
    """The weights of the image network among those of the whole model."""
    return {
        name: values
        for name, values in state_dict.items()
        if name.startswith(_IMAGE_PARTS) and name != _BUFFER
    }
