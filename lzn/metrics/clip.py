"""Embeddings of CLIP ViT-L/14@336, the features of CMMD.

Source: Jayasumana et al. 2024, "Rethinking FID: Towards a Better Evaluation Metric for Image Generation", section 4,
and its code. Images are cropped to their central square, resized with PIL's bicubic filter to the network's image
size, and normalised with the statistics of CLIP's training images. Embeddings are scaled to length 1.

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

from lzn.base.extras import from_extra
from lzn.metrics.clip_weights import RELEASE, ClipFolder, download_advice, read_clip_folder
from lzn.metrics.float32_inference import float32_inference

# Mean and standard deviation of CLIP's training images in [0, 1], red, green, blue: code of Radford et al. 2021.
_MEAN: Final = (0.48145466, 0.4578275, 0.40821073)
_DEVIATION: Final = (0.26862954, 0.26130258, 0.27577711)

# The configuration of ViT-L/14@336. With another configuration the same weights would give other features.
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
_BUFFER: Final = "vision_model.embeddings.position_ids"  # 0, 1, 2, ...: saved by older versions


class ClipNetwork(nn.Module):
    """CLIP's image network, frozen and in evaluation mode.

    Attributes:
        image_size: height and width of the input images, in pixels.
        width: number of dimensions of an embedding.
        identity: hash of the weights and the configuration.
        is_released: whether this is the released CLIP ViT-L/14@336; only then is the distance called CMMD.
    """

    def __init__(self, folder: ClipFolder) -> None:
        super().__init__()
        with from_extra("metrics"):
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
        """Compute embeddings (b, width) of length 1 of prepared images (b, 3, image_size, image_size), float32."""
        embeddings: Tensor = self.model(pixel_values=inputs).image_embeds
        return normalize(embeddings, dim=1)


def load_clip(folder: Path) -> ClipNetwork:
    """Load the network on the CPU, from a folder in the format of CLIP's release.

    Raises:
        MissingWeightsError: the folder contains no weights.
        ValueError: the weights are damaged, or of another model.
    """
    content = read_clip_folder(folder)
    try:
        return ClipNetwork(content)
    except (RuntimeError, TypeError, AttributeError) as error:
        difference = shorten(str(error), width=500)
        raise ValueError(
            f"{folder} does not contain a CLIP model. {download_advice()} {difference}"
        ) from error


def prepare_clip_images(images: NDArray[np.uint8], *, image_size: int) -> Tensor:
    """Prepare pixels 0..255 as CMMD's code does, (b, 1 or 3, h, w) => (b, 3, image_size, image_size) float32.

    Raises:
        ValueError: the images have another dtype or shape.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] not in (1, 3):
        raise ValueError(f"images must be uint8 (b, 1 or 3, h, w), got {images.dtype} {images.shape}")
    resized = np.empty((len(images), 3, image_size, image_size), np.uint8)
    for target, image in zip(resized, images, strict=True):
        target[:] = _central_square(image, image_size)
    mean, deviation = (torch.tensor(values).view(3, 1, 1) for values in (_MEAN, _DEVIATION))
    return (torch.from_numpy(resized) / 255 - mean) / deviation


def clip_embeddings(network: ClipNetwork, inputs: Tensor) -> Tensor:
    """Compute embeddings (b, width) of prepared images (b, 3, image_size, image_size) on the network's device.

    On a GPU too the computation is full float32, without TF32.
    """
    device = next(network.parameters()).device
    with float32_inference():
        embeddings: Tensor = network(inputs.to(device))
    return embeddings


def _central_square(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Crop the central square, then resize, (1 or 3, h, w) => (1 or 3, size, size)."""
    channels, height, width = image.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    pixels = image.transpose(1, 2, 0) if channels == 3 else image[0]
    square = Image.fromarray(np.ascontiguousarray(pixels)).crop((left, top, left + side, top + side))
    resized = np.asarray(square.resize((size, size), Image.Resampling.BICUBIC))
    return resized.transpose(2, 0, 1) if channels == 3 else resized[None]


def _image_part(state_dict: Any) -> dict[str, Tensor]:
    """Select the weights of the image network from those of the whole model."""
    return {
        name: values
        for name, values in state_dict.items()
        if name.startswith(_IMAGE_PARTS) and name != _BUFFER
    }
