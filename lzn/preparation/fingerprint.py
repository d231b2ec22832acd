"""A fingerprint of a source of images, computed without reading all images."""

import hashlib

import numpy as np

from lzn.datasets.source import ImageSource

NUM_SAMPLES = 16


def source_fingerprint(source: ImageSource) -> str:
    """Hash the labels, the names, and the contents of `NUM_SAMPLES` images at equal distances.

    The fingerprint identifies the source of an interrupted preparation. The complete content of a data set is
    identified by the hash in ``dataset.json``.
    """
    digest = hashlib.sha256(np.ascontiguousarray(source.labels).tobytes())
    for index in range(len(source)):
        digest.update(f"{source.name(index)}\n".encode("utf-8", "surrogateescape"))
    for index in (
        np.unique(np.linspace(0, len(source) - 1, NUM_SAMPLES, dtype=np.int64)) if len(source) else []
    ):
        digest.update(_content(source, int(index)))
    return digest.hexdigest()


def _content(source: ImageSource, index: int) -> bytes:
    try:
        content = source.read(index)
    except OSError as error:
        return f"cannot be read: {type(error).__name__}".encode()
    if isinstance(content, bytes):
        return hashlib.sha256(content).digest()
    return hashlib.sha256(f"{content.shape}".encode() + np.ascontiguousarray(content).tobytes()).digest()
