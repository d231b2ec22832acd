"""The paper's networks (C.2, D.2, E.2): velocity U-Net, latent encoders, and a small classifier for metrics.

Letters used in this package: ``b`` images in the batch, ``q`` latent dimension, ``c`` channels of a feature
map (in blocks) or number of classes (in conditioning), ``h`` and ``w`` its height and width. Images are (b,
channels, h, w), in [-1, 1]. *Level* 0 of a U-Net has the image's resolution, and each further level half of
the one before.
"""

from lzn.networks.classifier import ImageClassifier
from lzn.networks.latent_encoder import LatentEncoder
from lzn.networks.recomputation import checkpoint_activations
from lzn.networks.resnet import ResNetEncoder
from lzn.networks.sample_dropout import DropoutKeys, SampleDropout, keyed_dropout
from lzn.networks.unet import VelocityUNet
from lzn.networks.unet_config import UNetConfig

__all__ = [
    "DropoutKeys",
    "ImageClassifier",
    "LatentEncoder",
    "ResNetEncoder",
    "SampleDropout",
    "UNetConfig",
    "VelocityUNet",
    "checkpoint_activations",
    "keyed_dropout",
]
