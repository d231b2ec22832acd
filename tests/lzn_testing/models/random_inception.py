"""Inception with random weights."""

import torch
from torch import nn
from torchvision.models import Inception3


def random_inception() -> nn.Module:
    """Build Inception with features of scale 1 and batch norms that are not the identity."""
    network = Inception3(num_classes=1008, aux_logits=False, init_weights=False)
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
        if isinstance(module, nn.BatchNorm2d):
            for values in (module.running_var, module.weight):
                nn.init.uniform_(values, 0.7, 1.3, generator=generator)
            for values in (module.running_mean, module.bias):
                nn.init.normal_(values, 0, 0.2, generator=generator)
    nn.init.normal_(network.fc.weight, 0, 0.1, generator=generator)
    nn.init.normal_(network.fc.bias, 0, 1, generator=generator)
    return network
