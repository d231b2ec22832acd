"""Small files in the formats of the real data sets: encoded images, tar, LMDB, pickles, ImageNet's development kit."""

import io
import struct
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import lmdb
import numpy as np
import scipy.io
from numpy.typing import NDArray
from PIL import Image


def random_pixels(seed: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return independent random grey levels."""
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def encoded_image(seed: int, file_format: str = "JPEG") -> bytes:
    """Return an image file of 12 x 10 random pixels."""
    return encode(Image.fromarray(random_pixels(seed, (10, 12, 3))), file_format)


def encoded_photo(seed: int, *, width: int, height: int, file_format: str = "JPEG") -> bytes:
    """Return an image file with smooth random colours, which compresses as photographs do."""
    colours = Image.fromarray(random_pixels(seed, (4, 4, 3)))
    return encode(colours.resize((width, height), Image.Resampling.BICUBIC), file_format)


def encode(image: Image.Image, file_format: str) -> bytes:
    """Return the bytes of an image file."""
    buffer = io.BytesIO()
    image.save(buffer, file_format)
    return buffer.getvalue()


def write_files(root: Path, files: Mapping[str, bytes]) -> None:
    """Write each content under its name, which may have folders."""
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)


def write_images(root: Path, names: Sequence[str]) -> dict[str, bytes]:
    """Write another random image under each name, in the format of its suffix."""
    formats = {".png": "PNG", ".webp": "WEBP"}
    files = {
        name: encoded_image(seed, formats.get(Path(name).suffix, "JPEG"))
        for seed, name in enumerate(sorted(names))
    }
    write_files(root, files)
    return files


def tar_of(files: Mapping[str, bytes], mode: str = "w") -> bytes:
    """Return a tar archive of the files in their order; mode ``w:gz`` compresses it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:  # type: ignore[call-overload]
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def write_lmdb(folder: Path, values: Mapping[str, bytes]) -> None:
    """Write a new LMDB database with these values by key."""
    folder.mkdir(parents=True)
    with lmdb.open(str(folder), map_size=1 << 24) as database, database.begin(write=True) as transaction:
        for key, value in values.items():
            transaction.put(key.encode(), value)


def python2_cifar_pickle(data: NDArray[np.uint8], labels: Sequence[int]) -> bytes:
    """Return the pickle that Python 2's cPickle and NumPy write for a batch of CIFAR10 (protocol 2)."""
    array = b"".join(
        [
            b"cnumpy.core.multiarray\n_reconstruct\n",  # _reconstruct(ndarray, (0,), 'b')
            b"cnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01",  # its state: version 1, ...
            struct.pack("<cIcI", b"J", data.shape[0], b"J", data.shape[1]) + b"\x86",  # ... shape, ...
            b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb",
            b"\x89T" + struct.pack("<I", data.size) + data.tobytes() + b"tb",  # ... C order, bytes
        ]
    )
    label_list = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    names = b"](" + b"".join(_python2_string(b"img_%d.png" % index) for index in range(len(labels))) + b"e"
    items = [
        _python2_string(b"batch_label") + _python2_string(b"training batch 1 of 5"),
        _python2_string(b"labels") + label_list,
        _python2_string(b"data") + array,
        _python2_string(b"filenames") + names,
    ]
    return b"\x80\x02}(" + b"".join(items) + b"u."


def _python2_string(text: bytes) -> bytes:
    return b"U" + bytes([len(text)]) + text


def imagenet_devkit(wnid_of_number: Mapping[int, str], validation_numbers: Sequence[int]) -> bytes:
    """Return the development kit's archive: classes with numbers, one group of classes, and the ground truth."""
    fields = [
        "ILSVRC2012_ID",
        "WNID",
        "words",
        "gloss",
        "num_children",
        "children",
        "wordnet_height",
        "num_train_images",
    ]
    rows: list[tuple[object, ...]] = [
        (number, wnid, "a word", "a gloss", 0, [], 0, 3) for number, wnid in wnid_of_number.items()
    ]
    rows.append((len(rows) + 1, "n00001740", "entity", "a group", len(rows), list(wnid_of_number), 1, 0))
    synsets = np.empty((len(rows), 1), dtype=[(field, object) for field in fields])
    for index, row in enumerate(rows):
        synsets[index, 0] = row
    meta = io.BytesIO()
    scipy.io.savemat(meta, {"synsets": synsets})
    truth = "".join(f"{number}\n" for number in validation_numbers)
    return tar_of(
        {
            "ILSVRC2012_devkit_t12/readme.txt": b"...",
            "ILSVRC2012_devkit_t12/data/meta.mat": meta.getvalue(),
            "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt": truth.encode(),
        },
        "w:gz",
    )
