"""The smallest models of the studies, with no layer near zero."""

import torch
from torch import Tensor, nn

from lzn.flow.label_anchors import LabelAnchors
from lzn.networks import LatentEncoder, ResNetEncoder, UNetConfig, VelocityUNet
from lzn.studies import GenerativeModel, JointModel, RepresentationModel
from lzn.training import Batch
from lzn_testing.random_numbers import seeded

NUM_CLASSES = 3
LATENT_DIM = 8
TINY_8 = UNetConfig(
    image_size=8,
    image_channels=1,
    base_channels=8,
    channel_multipliers=(1,),
    blocks_per_level=1,
    attention_resolutions=(),
)


def perturbed(module: nn.Module) -> nn.Module:
    """Add noise to every parameter: new last layers are near zero, which hides the layers before them."""
    generator = seeded(11)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.1)
    return module


def tiny_decoder(*, latent_dim: int = 0, num_classes: int = 0) -> VelocityUNet:
    torch.manual_seed(0)
    decoder = VelocityUNet(TINY_8, latent_dim=latent_dim, num_classes=num_classes)
    perturbed(decoder)
    return decoder


def tiny_encoder() -> LatentEncoder:
    torch.manual_seed(1)
    encoder = LatentEncoder(TINY_8, latent_dim=LATENT_DIM, block_channels=2, block_units=8)
    perturbed(encoder)
    return encoder


def tiny_generative(*, latents: bool, num_classes: int = 0) -> GenerativeModel:
    decoder = tiny_decoder(latent_dim=LATENT_DIM if latents else 0, num_classes=num_classes)
    return GenerativeModel(decoder, tiny_encoder() if latents else None)


def tiny_joint(*, generate: bool = True) -> JointModel:
    torch.manual_seed(2)
    label_anchors = LabelAnchors(NUM_CLASSES, LATENT_DIM)
    decoder = tiny_decoder(latent_dim=LATENT_DIM, num_classes=NUM_CLASSES) if generate else None
    return JointModel(tiny_encoder(), label_anchors, decoder)


def tiny_representation() -> RepresentationModel:
    torch.manual_seed(3)
    encoder = ResNetEncoder(
        depth=14, head_dim=LATENT_DIM, head_layers=1, base_channels=4, stem="small", image_channels=1
    )
    perturbed(encoder)
    return RepresentationModel(encoder)


def random_batch(labels: tuple[int, ...] = (0, 2, 2, 1, 2, 2)) -> Batch:
    """Return random images with these labels, whose default frequencies are not equal."""
    generator = seeded(4)
    images: Tensor = torch.rand(len(labels), 1, 8, 8, generator=generator) * 2 - 1
    return Batch(images, torch.tensor(labels))
