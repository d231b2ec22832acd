"""Inception with random weights, and its file."""

from pathlib import Path
from typing import Any

import torch
from torch import nn
from torchvision.models import Inception3


def random_inception() -> nn.Module:
    """Build Inception with features of scale 1 and batch norms that are not the identity."""
    network: Any = Inception3(num_classes=1008, aux_logits=False, init_weights=False)
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
        if isinstance(module, nn.BatchNorm2d):
            norm: Any = module
            for values in (norm.running_var, norm.weight):
                nn.init.uniform_(values, 0.7, 1.3, generator=generator)
            for values in (norm.running_mean, norm.bias):
                nn.init.normal_(values, 0, 0.2, generator=generator)
    nn.init.normal_(network.fc.weight, 0, 0.1, generator=generator)
    nn.init.normal_(network.fc.bias, 0, 1, generator=generator)
    built: nn.Module = network
    return built


def write_random_inception(file: Path) -> Path:
    """Write the weights as pytorch-fid does; the number of their bytes is that of the released file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(random_inception().state_dict(), file)
    return file
