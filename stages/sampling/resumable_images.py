"""Images that are drawn batch by batch into a file, which goes on growing where a killed process left it."""

import shutil
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

IMAGES = "images.npy"
COUNTER = "num_finished"


class ResumableImages:
    """A uint8 array (n, c, h, w) in a folder of unfinished work, of which the first ``num_finished`` are there.

    A batch counts once it is on disk. The folder must belong to this one array: name it by a hash of all that decides
    the images.
    """

    def __init__(self, folder: Path, images: "np.memmap[Any, np.dtype[np.uint8]]", num_finished: int) -> None:
        self._folder = folder
        self._images = images
        self.num_finished = num_finished

    @classmethod
    def open(cls, folder: Path, shape: tuple[int, int, int, int]) -> Self:
        """The array of this shape in ``folder``, begun or new."""
        folder.mkdir(parents=True, exist_ok=True)
        counter = folder / COUNTER
        num_finished = int(counter.read_text()) if counter.exists() else 0
        images = np.lib.format.open_memmap(
            folder / IMAGES, mode="r+" if num_finished else "w+", dtype=np.uint8, shape=shape
        )
        return cls(folder, images, num_finished)

    def append(self, batch: NDArray[np.uint8]) -> None:
        """Add the next images (b, c, h, w)."""
        stop = self.num_finished + len(batch)
        self._images[self.num_finished : stop] = batch
        self._images.flush()
        partial = self._folder / f"{COUNTER}.partial"
        partial.write_text(str(stop))
        partial.replace(self._folder / COUNTER)
        self.num_finished = stop

    def deliver(self, target: Path) -> NDArray[np.uint8]:
        """Move the finished file into ``target``, remove the folder, and return the images, memory-mapped."""
        assert self.num_finished == len(self._images)
        target.mkdir(parents=True, exist_ok=True)
        shutil.move(self._folder / IMAGES, target / IMAGES)
        shutil.rmtree(self._folder)
        images: NDArray[np.uint8] = np.load(target / IMAGES, mmap_mode="r")
        return images
