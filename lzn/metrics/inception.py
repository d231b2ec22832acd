"""Features of Inception-2015-12-05, the network of FID, sFID, Inception Score, precision and recall.

The network is torch-fidelity's port of the TensorFlow graph. Three implementations of FID prepare images in
different ways (appendix C.3), and give different numbers:

- `cm`: the evaluator of consistency models, the paper's main column: the bilinear resize of TensorFlow 1, with
  pixel centres at integers and without antialiasing; then (x - 128) / 128.
- `rf`: the evaluation of rectified flow: the same resize; then (x - 127.5) / 127.5.
- `clean`: clean-fid: PIL's bicubic resize, antialiased, not rounded, clipped to 0..255; then (x - 128) / 128.

Importing this module imports torch_fidelity, which takes seconds; `lzn.metrics` alone does not.
"""

import io
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import Final, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from lzn.base.extras import from_extra
from lzn.metrics.float32_inference import float32_inference
from lzn.metrics.inception_weights import RELEASE, download_advice, read_weights
from lzn.metrics.weights_files import WeightsFile

with from_extra("metrics"):
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

Preprocessing = Literal["cm", "rf", "clean"]
"""The implementation of FID whose preparation of images is used."""

IMAGE_SIZE: Final = 299
"""Height and width of the network's input images, in pixels."""
POOL_WIDTH: Final = 2048
SPATIAL_WIDTH: Final = 2023
NUM_CLASSES: Final = 1008

# The graph in two parts. TensorFlow's mixed_6/conv, a 1x1 convolution with batch norm and ReLU, is the first
# branch of Mixed_6d: the first 192 of its channels. sFID uses 7 of them.
_UP_TO_MIXED_6 = (
    *("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "MaxPool_1"),
    *("Conv2d_3b_1x1", "Conv2d_4a_3x3", "MaxPool_2", "Mixed_5b", "Mixed_5c", "Mixed_5d"),
    *("Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d"),
)
_MIXED_6_TO_POOL = ("Mixed_6e", "Mixed_7a", "Mixed_7b", "Mixed_7c", "AvgPool")
_SPATIAL_CHANNELS = 7


@dataclass(frozen=True, eq=False)
class InceptionFeatures:
    """The features of a batch, float32.

    Attributes:
        pool: (b, 2048), for FID, precision and recall.
        spatial: (b, 2023), for sFID: 17 x 17 positions in row order, with 7 channels each.
        logits: (b, 1008), without bias, for the Inception Score.
    """

    pool: Tensor
    spatial: Tensor
    logits: Tensor


class InceptionNetwork(nn.Module):
    """The network, frozen and in evaluation mode.

    Attributes:
        weights_sha256: hash of the weights file.
        has_released_weights: whether the weights are those of Inception-2015-12-05; only then is a distance FID.
    """

    def __init__(self, weights: WeightsFile) -> None:
        super().__init__()
        layers = dict(_torch_fidelity_network(weights).named_children())
        self.up_to_mixed_6 = nn.Sequential(*(layers[name] for name in _UP_TO_MIXED_6))
        self.mixed_6_to_pool = nn.Sequential(*(layers[name] for name in _MIXED_6_TO_POOL))
        self.class_weights = nn.Parameter(
            layers["fc"].get_parameter("weight"), requires_grad=False
        )  # (1008, 2048)
        self.weights_sha256 = weights.sha256
        self.has_released_weights = weights.sha256 == RELEASE.sha256
        self.eval()

    def forward(self, inputs: Tensor) -> InceptionFeatures:
        """Compute the features of prepared images (b, 3, 299, 299), float32, about in [-1, 1]."""
        mixed_6 = self.up_to_mixed_6(inputs)  # (b, 768, 17, 17)
        pool = self.mixed_6_to_pool(mixed_6).flatten(1)
        return InceptionFeatures(
            pool=pool,
            spatial=mixed_6[:, :_SPATIAL_CHANNELS].permute(0, 2, 3, 1).flatten(1),  # NCHW => N(HWC)
            logits=pool @ self.class_weights.T,
        )


def load_inception(weights: Path) -> InceptionNetwork:
    """Load the network on the CPU, from a file in the format of pytorch-fid and torch-fidelity.

    A file whose name ends in a hash, as in torch hub's cache, must have this sha256.

    Raises:
        MissingWeightsError: the file does not exist.
        ValueError: the file is damaged, or contains something else.
    """
    content = read_weights(weights)
    try:
        return InceptionNetwork(content)
    except (RuntimeError, TypeError) as error:
        difference = shorten(str(error), width=500)  # the cause names all tensors
        raise ValueError(
            f"{weights} does not contain Inception-2015-12-05. {download_advice()} {difference}"
        ) from error


def prepare_images(images: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Prepare pixels 0..255 as an implementation of FID does, (b, 3, h, w) => (b, 3, 299, 299) float32."""
    size = (IMAGE_SIZE, IMAGE_SIZE)
    if preprocessing == "clean":  # in float64, as in PIL; float32 differs by up to 4e-3 levels
        levels = interpolate(images.double(), size, mode="bicubic", antialias=True).clamp(0, 255).float()
    else:
        levels = interpolate_bilinear_2d_like_tensorflow1x(images.float(), size, align_corners=False)
    middle = 127.5 if preprocessing == "rf" else 128.0
    return (levels - middle) / middle


def inception_features(
    network: InceptionNetwork, images: Tensor, *, preprocessing: Preprocessing
) -> InceptionFeatures:
    """Compute the features of one batch on the network's device.

    On a GPU too the computation is full float32, without TF32, because the features of a data set are compared with
    features of samples from another machine.

    Args:
        network: from `load_inception`.
        images: uint8 (b, 3, h, w), or (b, 1, h, w), whose channel is repeated. Each needs about 20 MB of memory.
        preprocessing: the implementation of FID whose preparation is used.

    Raises:
        ValueError: the images have another dtype or shape.
    """
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] not in (1, 3):
        raise ValueError(f"images must be uint8 (b, 1 or 3, h, w), got {images.dtype} {tuple(images.shape)}")
    on_device = images.to(network.class_weights.device).expand(-1, 3, -1, -1)
    with float32_inference():
        features: InceptionFeatures = network(prepare_images(on_device, preprocessing))
    return features


def _torch_fidelity_network(weights: WeightsFile) -> nn.Module:
    """Build torch-fidelity's network with the given weights.

    torch-fidelity reads a file with an unpickler that can execute code. So it reads a file in memory that contains
    only the tensors that the restricted unpickler has read.
    """
    copy = io.BytesIO()
    torch.save(weights.state_dict, copy)
    copy.seek(0)
    port: nn.Module = FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048"], feature_extractor_weights_path=copy
    )
    return port
