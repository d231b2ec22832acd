"""Views whose values show how they were made. They are in a module so that loading processes can unpickle them."""

import os
import time
from dataclasses import dataclass

import numpy as np
import PIL.Image
import torch
from torch import Tensor


@dataclass(frozen=True)
class NoisyCopies:
    """Pixels plus random grey levels, modulo 256: the result depends on the image and the generator."""

    num_views: int = 2

    def __call__(self, image: PIL.Image.Image, generator: torch.Generator) -> Tensor:
        pixels = torch.tensor(np.array(image))
        return pixels[None] + torch.randint(0, 256, pixels.shape, generator=generator, dtype=torch.uint8)


@dataclass(frozen=True)
class ProcessFacts:
    """In place of an image: the process's id as 8 bytes, and torch's number of threads."""

    num_views: int = 1

    def __call__(self, image: PIL.Image.Image, generator: torch.Generator) -> Tensor:
        facts = [*os.getpid().to_bytes(8, "little"), torch.get_num_threads()]
        return torch.tensor(facts, dtype=torch.uint8)[None, None]


@dataclass(frozen=True)
class FailsOn:
    """Raise ValueError for the image whose first pixel has this level."""

    level: int
    num_views: int = 1

    def __call__(self, image: PIL.Image.Image, generator: torch.Generator) -> Tensor:
        pixels = torch.tensor(np.array(image))
        if int(pixels[0, 0]) == self.level:
            raise ValueError("no view of this image")
        return pixels[None]


@dataclass(frozen=True)
class SleepsOn:
    """Like `ProcessFacts`, after five minutes for the image whose first pixel has this level."""

    level: int
    num_views: int = 1

    def __call__(self, image: PIL.Image.Image, generator: torch.Generator) -> Tensor:
        if int(np.array(image)[0, 0]) == self.level:
            time.sleep(300)
        return ProcessFacts()(image, generator)
