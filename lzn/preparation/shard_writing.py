"""Write one shard atomically, with a record by which a later run recognises a finished shard."""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from lzn.base.files import atomic_write, file_sha256, write_array, write_text
from lzn.data.decoding import CorruptImageError
from lzn.data.shard_files import Shard, Storage, offsets_file, shard_file
from lzn.datasets.source import ImageSource
from lzn.preparation.fit import Fit
from lzn.preparation.image_forms import as_original, as_pixels, as_png

OnCorrupt = Literal["stop", "set_aside"]
Form = TypeVar("Form", bytes, NDArray[np.uint8])


class UnusableImageError(ValueError):
    """An image cannot be used, and the preparation stops. The message names the image and the reason."""


@dataclass(frozen=True)
class SetAside:
    """An image that is left out: its number in the source, its name, and the reason."""

    index: int
    name: str
    reason: str


@dataclass(frozen=True)
class ShardRecord:
    """The result of writing one shard.

    Attributes:
        shard: the shard; None if all of its images are left out.
        set_aside: the images that are left out.
    """

    shard: Shard | None
    set_aside: tuple[SetAside, ...]


@dataclass(frozen=True, kw_only=True)
class ShardWriter:
    """Writes the shards of one split. Each worker process has its own copy.

    Attributes:
        source: source of the images.
        split: name of the split, and prefix of the file names.
        folder: folder of the shards.
        records: folder of the records of finished shards; not part of the data set.
        fit: size and channels of the images; with storage ``original`` only its channels are used, for decoding.
        storage: how images are stored.
        on_corrupt: what to do with an image that cannot be used.
    """

    source: ImageSource
    split: str
    folder: Path
    records: Path
    fit: Fit
    storage: Storage
    on_corrupt: OnCorrupt

    def write(self, number: int, indices: range) -> ShardRecord:
        """Write shard ``number`` from the source's images ``indices``, unless a finished one exists.

        Raises:
            UnusableImageError: an image cannot be used, and ``on_corrupt`` is ``stop``.
            ValueError: the source does not hold image files, and ``storage`` is ``original``.
            OSError: the shard cannot be written.
        """
        name = f"{self.split}_{number:05d}"
        record_file = self.records / f"{name}.json"
        finished = self._finished(record_file)
        if finished is not None:
            return finished
        set_aside: list[SetAside] = []
        write_images = self._write_pixels if self.storage == "pixels" else self._write_encoded
        files = write_images(shard_file(self.folder, name, self.storage), indices, set_aside)
        num_images = len(indices) - len(set_aside)
        shard = Shard(name, num_images, {file.name: file_sha256(file) for file in files}) if files else None
        record = ShardRecord(shard, tuple(set_aside))
        # The record is written last, so a shard with a record is complete.
        write_text(record_file, json.dumps(asdict(record)))
        return record

    def _finished(self, record_file: Path) -> ShardRecord | None:
        """Return the record of an earlier run if the shard's files still have their hashes, or else None."""
        if not record_file.is_file():
            return None
        content = json.loads(record_file.read_bytes())
        shard = None if content["shard"] is None else Shard(**content["shard"])
        if content["set_aside"] and self.on_corrupt == "stop":
            return None  # the earlier run left out images that are an error in this run
        for name, sha256 in {} if shard is None else shard.sha256.items():
            file = self.folder / name
            if not file.is_file() or file_sha256(file) != sha256:
                return None
        return ShardRecord(shard, tuple(SetAside(**image) for image in content["set_aside"]))

    def _write_pixels(self, file: Path, indices: range, set_aside: list[SetAside]) -> list[Path]:
        images = np.empty((len(indices), *self.fit.image_shape), np.uint8)
        num_images = 0
        for pixels in self._usable_images(indices, as_pixels, set_aside):
            images[num_images] = pixels
            num_images += 1
        if not num_images:
            return []
        write_array(file, images[:num_images])
        return [file]

    def _write_encoded(self, file: Path, indices: range, set_aside: list[SetAside]) -> list[Path]:
        encode = as_png if self.storage == "png" else as_original
        offsets = [0]
        with atomic_write(file) as partial, partial.open("wb") as stream:
            for data in self._usable_images(indices, encode, set_aside):
                stream.write(data)
                offsets.append(offsets[-1] + len(data))
        if len(offsets) == 1:
            file.unlink()
            return []
        write_array(offsets_file(file), np.array(offsets, np.int64))
        return [file, offsets_file(file)]

    def _usable_images(
        self,
        indices: range,
        convert: Callable[[ImageSource, int, Fit], Form],
        set_aside: list[SetAside],
    ) -> Iterator[Form]:
        for index in indices:
            try:
                image = convert(self.source, index, self.fit)
            except CorruptImageError as error:
                name = self.source.name(index)
                if self.on_corrupt == "stop":
                    raise UnusableImageError(f"{self.split} image {index}, {name}: {error}") from error
                set_aside.append(SetAside(index, name, str(error)))
            else:
                yield image
