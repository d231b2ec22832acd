"""Features of Inception-2015-12-05, the network that FID, sFID, Inception Score, precision and recall share.

The network is torch-fidelity's port of the TensorFlow graph. Three implementations of FID run it on images that
are prepared in different ways (appendix C.3), and their numbers differ:

- `cm`: the evaluator of consistency models, the paper's main column: the bilinear resize of TensorFlow 1, which
  puts pixel centres at integers and does not antialias; then (x - 128) / 128.
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
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

from lzn.metrics.inception_weights import RELEASE, download_advice, read_weights
from lzn.metrics.weights_files import WeightsFile

Preprocessing = Literal["cm", "rf", "clean"]
"""How an implementation of FID prepares images."""

IMAGE_SIZE: Final = 299
"""Height and width, in pixels, of the images that the network sees."""
POOL_WIDTH: Final = 2048
SPATIAL_WIDTH: Final = 2023
NUM_CLASSES: Final = 1008

# The graph in two parts. What TensorFlow calls mixed_6/conv, a 1x1 convolution after batch norm and ReLU, is the
# first branch of Mixed_6d: the first 192 of its channels, of which sFID takes 7.
_UP_TO_MIXED_6 = (
    *("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "MaxPool_1"),
    *("Conv2d_3b_1x1", "Conv2d_4a_3x3", "MaxPool_2", "Mixed_5b", "Mixed_5c", "Mixed_5d"),
    *("Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d"),
)
_FROM_THERE_TO_POOL = ("Mixed_6e", "Mixed_7a", "Mixed_7b", "Mixed_7c", "AvgPool")
_SPATIAL_CHANNELS = 7


@dataclass(frozen=True, eq=False)
class InceptionFeatures:
    """What the network makes of a batch, float32.

    Attributes:
        pool: (b, 2048), for FID, precision and recall.
        spatial: (b, 2023), for sFID: 17 x 17 positions, row by row, with 7 channels each.
        logits: (b, 1008), without bias, for the Inception Score.
    """

    pool: Tensor
    spatial: Tensor
    logits: Tensor


class InceptionNetwork(nn.Module):
    """The network, frozen and in evaluation mode.

    Attributes:
        weights_sha256: of the file that the weights came from.
        has_released_weights: whether they are those of Inception-2015-12-05; only then is a distance called FID.
    """

    def __init__(self, weights: WeightsFile) -> None:
        super().__init__()
        layers = dict(_port_with(weights).named_children())
        self.up_to_mixed_6 = nn.Sequential(*(layers[name] for name in _UP_TO_MIXED_6))
        self.from_there_to_pool = nn.Sequential(*(layers[name] for name in _FROM_THERE_TO_POOL))
        self.classes = nn.Parameter(layers["fc"].get_parameter("weight"), requires_grad=False)  # (1008, 2048)
        self.weights_sha256 = weights.sha256
        self.has_released_weights = weights.sha256 == RELEASE.sha256
        self.eval()

    def forward(self, inputs: Tensor) -> InceptionFeatures:
        """Features of prepared images (b, 3, 299, 299), float32, in about [-1, 1]."""
        mixed_6 = self.up_to_mixed_6(inputs)  # (b, 768, 17, 17)
        pool = self.from_there_to_pool(mixed_6).flatten(1)
        return InceptionFeatures(
            pool=pool,
            spatial=mixed_6[:, :_SPATIAL_CHANNELS].permute(0, 2, 3, 1).flatten(1),  # NCHW => N(HWC)
            logits=pool @ self.classes.T,
        )


def load_inception(weights: Path) -> InceptionNetwork:
    """The network, on the CPU, with weights from a file in the format of pytorch-fid and torch-fidelity.

    A file whose name ends in a hash, as torch hub names its downloads, must have that sha256.

    Raises:
        MissingWeightsError: there is no such file.
        ValueError: the file is damaged, or holds something else.
    """
    read = read_weights(weights)
    try:
        return InceptionNetwork(read)
    except (RuntimeError, TypeError) as error:
        difference = shorten(str(error), width=500)  # the names of all tensors are in the cause
        raise ValueError(
            f"{weights} holds something else than Inception-2015-12-05. {download_advice()} {difference}"
        ) from error


def prepare_images(images: Tensor, preprocessing: Preprocessing) -> Tensor:
    """What one implementation of FID makes of grey levels 0..255, (b, 3, h, w) => (b, 3, 299, 299) float32."""
    size = (IMAGE_SIZE, IMAGE_SIZE)
    if preprocessing == "clean":  # in float64, as PIL: float32 differs by up to 4e-3 grey levels
        levels = interpolate(images.double(), size, mode="bicubic", antialias=True).clamp(0, 255).float()
    else:
        levels = interpolate_bilinear_2d_like_tensorflow1x(images.float(), size, align_corners=False)
    middle = 127.5 if preprocessing == "rf" else 128.0
    return (levels - middle) / middle


def inception_features(
    network: InceptionNetwork, images: Tensor, *, preprocessing: Preprocessing
) -> InceptionFeatures:
    """Features of one batch, on the network's device.

    Convolutions are full float32 there, also on a GPU that would round to TF32: the features of a data set, made
    once, are compared with those of samples made elsewhere.

    Args:
        network: from `load_inception`.
        images: uint8 (b, 3, h, w), or grey (b, 1, h, w), whose channel is repeated. The network needs about
            20 MB for each, whatever its size.
        preprocessing: the implementation of FID that is followed.

    Raises:
        ValueError: the images are not of that kind.
    """
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] not in (1, 3):
        raise ValueError(f"images must be uint8 (b, 1 or 3, h, w), got {images.dtype} {tuple(images.shape)}")
    on_device = images.to(network.classes.device).expand(-1, 3, -1, -1)
    cudnn = torch.backends.cudnn
    with torch.no_grad(), cudnn.flags(enabled=cudnn.enabled, deterministic=True, allow_tf32=False):
        features: InceptionFeatures = network(prepare_images(on_device, preprocessing))
    return features


def _port_with(weights: WeightsFile) -> nn.Module:
    """torch-fidelity's network with the given weights.

    It reads them from a file, with an unpickler that executes what the file says: it gets a file in memory, of
    nothing but what the restricted unpickler has read.
    """
    copy = io.BytesIO()
    torch.save(weights.state_dict, copy)
    copy.seek(0)
    port: nn.Module = FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048"], feature_extractor_weights_path=copy
    )
    return port
