"""An image file that is written batch by batch; after a kill, writing resumes after the last batch."""

import shutil
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from lzn.base.files import move_file, write_text

IMAGES = "images.npy"
COUNTER = "num_finished"


class ResumableImages:
    """A uint8 array (n, c, h, w) in a folder of unfinished work, with the number of finished images.

    A batch is finished when it is on disk. The folder must belong to this one array: name it by a hash of everything
    that determines the images.
    """

    def __init__(self, folder: Path, images: "np.memmap[Any, np.dtype[np.uint8]]", num_finished: int) -> None:
        self._folder = folder
        self._images = images
        self.num_finished = num_finished

    @classmethod
    def open(cls, folder: Path, shape: tuple[int, int, int, int]) -> Self:
        """Open the array in ``folder``, or create it with this shape."""
        folder.mkdir(parents=True, exist_ok=True)
        counter = folder / COUNTER
        num_finished = int(counter.read_text()) if counter.exists() else 0
        images = np.lib.format.open_memmap(
            folder / IMAGES, mode="r+" if num_finished else "w+", dtype=np.uint8, shape=shape
        )
        return cls(folder, images, num_finished)

    def append(self, batch: NDArray[np.uint8]) -> None:
        """Write the next images (b, c, h, w)."""
        stop = self.num_finished + len(batch)
        self._images[self.num_finished : stop] = batch
        self._images.flush()
        write_text(self._folder / COUNTER, str(stop))
        self.num_finished = stop

    def move_to(self, target: Path) -> None:
        """Move the finished file to ``target``, and delete the folder of unfinished work."""
        assert self.num_finished == len(self._images)
        move_file(self._folder / IMAGES, target)
        shutil.rmtree(self._folder)
