"""The paper's networks (C.2, D.2, E.2), and a small classifier for metrics.

- `unet`: `VelocityUNet`, the decoder of rectified flow. `unet_config` is its configuration. It is built from
  `embeddings` (time, latent and class), `down_path`, `up_path` and `blocks` (residual, attention).
- `latent_encoder`: `LatentEncoder`, images to anchors: a down path whose feature maps all contribute.
- `resnet`: `ResNetEncoder`, the encoder of case study 2.
- `classifier`: `ImageClassifier`, whose features replace Inception's for small grey images.
- Used by all: `initialisation`, `resampling`, `shape_checks`, `sample_dropout` (masks keyed by sample),
  `recomputation` (activation checkpointing), `own_precision` (float32 layers under autocast).

Letters: ``b`` images in the batch, ``q`` latent dimension, ``c`` channels of a feature map (in blocks) or number of
classes (in conditioning), ``h`` and ``w`` height and width. Images are (b, channels, h, w), in [-1, 1]. *Level* 0 of a
U-Net has the image's resolution; each further level has half the resolution of the one before.
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
