"""Writing one shard: its files complete or not there, and a record by which a later run knows that they are right."""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from lzn.data.decoding import CorruptImageError
from lzn.data.shard_files import Shard, Storage, offsets_file, shard_file
from lzn.datasets.source import ImageSource
from lzn.preparation.files import sha256_of, write_array, write_atomically
from lzn.preparation.fit import Fit
from lzn.preparation.image_forms import as_original, as_pixels, as_png

OnCorrupt = Literal["stop", "set_aside"]
Form = TypeVar("Form", bytes, NDArray[np.uint8])


class UnusableImageError(ValueError):
    """An image cannot be used, and the preparation is to stop there; the message names it and says why."""


@dataclass(frozen=True)
class SetAside:
    """An image that is left out: its number in the source, its name, and why."""

    index: int
    name: str
    reason: str


@dataclass(frozen=True)
class ShardRecord:
    """What writing a shard came to.

    Attributes:
        shard: None where all of its images are set aside.
        set_aside: images that are left out.
    """

    shard: Shard | None
    set_aside: tuple[SetAside, ...]


@dataclass(frozen=True, kw_only=True)
class ShardWriter:
    """Writes shards of one split; processes that share the work have a copy each.

    Attributes:
        source: where images come from.
        split: the beginning of the files' names.
        folder: where shards go.
        records: folder for what is known of finished shards; no part of the data set.
        fit: size and channels of the images; of storage ``original`` only the channels that it is read with.
        storage: how images are stored.
        on_corrupt: what to do about an image that cannot be used.
    """

    source: ImageSource
    split: str
    folder: Path
    records: Path
    fit: Fit
    storage: Storage
    on_corrupt: OnCorrupt

    def write(self, number: int, indices: range) -> ShardRecord:
        """Write shard ``number`` from the source's images ``indices``, unless that is done already.

        Raises:
            UnusableImageError: an image cannot be used, and ``on_corrupt`` is ``stop``.
            ValueError: the source has no image files, and ``storage`` is ``original``.
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
        shard = Shard(name, num_images, {file.name: sha256_of(file) for file in files}) if files else None
        record = ShardRecord(shard, tuple(set_aside))
        # Written last: a shard that has a record was complete.
        write_atomically(record_file, lambda stream: stream.write(json.dumps(asdict(record)).encode()))
        return record

    def _finished(self, record_file: Path) -> ShardRecord | None:
        """The record of an earlier run, if the shard's files are still what that run wrote."""
        if not record_file.is_file():
            return None
        content = json.loads(record_file.read_bytes())
        shard = None if content["shard"] is None else Shard(**content["shard"])
        if content["set_aside"] and self.on_corrupt == "stop":
            return None  # an earlier run left images out that this one is to stop at
        for name, sha256 in {} if shard is None else shard.sha256.items():
            file = self.folder / name
            if not file.is_file() or sha256_of(file) != sha256:
                return None
        return ShardRecord(shard, tuple(SetAside(**image) for image in content["set_aside"]))

    def _write_pixels(self, file: Path, indices: range, set_aside: list[SetAside]) -> list[Path]:
        images = np.empty((len(indices), *self.fit.image_shape), np.uint8)
        num_images = 0
        for pixels in self._usable(indices, as_pixels, set_aside):
            images[num_images] = pixels
            num_images += 1
        if not num_images:
            return []
        write_array(file, images[:num_images])
        return [file]

    def _write_encoded(self, file: Path, indices: range, set_aside: list[SetAside]) -> list[Path]:
        encode = as_png if self.storage == "png" else as_original
        offsets = [0]

        def write_images(stream: BinaryIO) -> None:
            for data in self._usable(indices, encode, set_aside):
                stream.write(data)
                offsets.append(offsets[-1] + len(data))

        write_atomically(file, write_images)
        if len(offsets) == 1:
            file.unlink()
            return []
        write_array(offsets_file(file), np.array(offsets, np.int64))
        return [file, offsets_file(file)]

    def _usable(
        self,
        indices: range,
        bring_into_form: Callable[[ImageSource, int, Fit], Form],
        set_aside: list[SetAside],
    ) -> Iterator[Form]:
        for index in indices:
            try:
                image = bring_into_form(self.source, index, self.fit)
            except CorruptImageError as error:
                name = self.source.name(index)
                if self.on_corrupt == "stop":
                    raise UnusableImageError(f"{self.split} image {index}, {name}: {error}") from error
                set_aside.append(SetAside(index, name, str(error)))
            else:
                yield image
