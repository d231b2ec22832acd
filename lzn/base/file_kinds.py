"""The kind of a file by its first bytes, for messages and for files whose ending says nothing or something wrong."""

import re
from dataclasses import dataclass

HEAD_BYTES = 512
"""As many of a file's first bytes as `kind_of` needs."""


@dataclass(frozen=True)
class FileKind:
    """What a file is.

    Attributes:
        name: the name for messages, with an article where it needs one.
        is_image: whether it is an image of a format that `lzn.data.decoding` reads.
    """

    name: str
    is_image: bool = False


EMPTY = FileKind("an empty file")
_MAGIC = (
    (b"\xff\xd8\xff", FileKind("a JPEG image", True)),
    (b"\x89PNG\r\n\x1a\n", FileKind("a PNG image", True)),
    (b"GIF87a", FileKind("a GIF image", True)),
    (b"GIF89a", FileKind("a GIF image", True)),
    (b"II*\0", FileKind("a TIFF image", True)),
    (b"MM\0*", FileKind("a TIFF image", True)),
    (b"\0\0\0\x0cjP  \r\n\x87\n", FileKind("a JPEG 2000 image")),
    (b"\xff\x4f\xff\x51", FileKind("a JPEG 2000 image")),
    (b"\xff\x0a", FileKind("a JPEG XL image")),
    (b"8BPS", FileKind("a Photoshop file")),
    (b"\0\0\x01\0", FileKind("an icon file")),
    (b"%PDF", FileKind("a PDF file")),
    (b"version https://git-lfs.github.com/spec/", FileKind("a Git LFS pointer and not the file itself (git lfs pull)")),
    (b"PK\x03\x04", FileKind("a zip file")),
    (b"PK\x05\x06", FileKind("an empty zip file")),
    (b"\x1f\x8b", FileKind("a gzip file")),
    (b"7z\xbc\xaf'\x1c", FileKind("a 7z file")),
    (b"Rar!", FileKind("a RAR file")),
    (b"\x89HDF\r\n\x1a\n", FileKind("an HDF5 file")),
    (b"\x93NUMPY", FileKind("a NumPy array")),
    (b"\x80\x02", FileKind("a Python pickle")),
    (b"\x80\x03", FileKind("a Python pickle")),
    (b"\x80\x04", FileKind("a Python pickle")),
    (b"\x80\x05", FileKind("a Python pickle")),
)  # fmt: skip
_MARKUP = (
    (b"<!doctype html", "a web page (HTML)"),
    (b"<html", "a web page (HTML)"),
    (b"<svg", "an SVG drawing"),
)


def kind_of(head: bytes) -> FileKind | None:
    """Return the kind of a file with these first bytes; None if it is none of the known kinds.

    Args:
        head: the first `HEAD_BYTES` bytes, or all bytes of a shorter file.
    """
    if not head:
        return EMPTY
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    return _container_or_bitmap(head) or _kind_of_text(head)


def _container_or_bitmap(head: bytes) -> FileKind | None:
    """Recognise kinds whose mark is not at the start, or is too short to be enough."""
    known = (
        (head[:4] == b"RIFF" and head[8:12] == b"WEBP", FileKind("a WebP image", True)),
        # The letters "BM" can begin a text too; bytes 6 to 9 of a bitmap are zero.
        (head[:2] == b"BM" and head[6:10] == bytes(4), FileKind("a BMP image", True)),
        (_is_netpbm(head), FileKind("a PPM image", True)),
        (head[4:8] == b"ftyp", FileKind(f"a file of the kind {_brand(head)}")),
        (head[257:262] == b"ustar", FileKind("a tar file")),
    )
    return next((kind for is_kind, kind in known if is_kind), None)


def _is_netpbm(head: bytes) -> bool:
    """Return whether the file begins as PBM, PGM or PPM do: ``P1`` to ``P6``, comments, and the width."""
    return re.match(rb"P[1-6]\s+(#[^\n]*\n\s*)*[0-9]", head) is not None


def _brand(head: bytes) -> str:
    brand = head[8:12]
    if brand in (b"avif", b"avis"):
        return "AVIF"
    return "HEIC" if brand in (b"heic", b"heix", b"hevc", b"mif1", b"msf1") else "MP4 (video)"


def _kind_of_text(head: bytes) -> FileKind | None:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for start, name in _MARKUP:
        if text.startswith(start):
            return FileKind(name)
    if text.startswith(b"<?xml"):
        return FileKind("an SVG drawing" if b"<svg" in text else "an XML file")
    if text.startswith(b"<"):
        return FileKind(
            "a web page (HTML)" if b"<html" in text or b"<body" in text or b"<head" in text else "markup"
        )
    try:
        decoded = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # not only a character that the cut splits
            return None
        decoded = head[: error.start].decode("utf-8")
    is_text = all(character.isprintable() or character.isspace() for character in decoded)
    return FileKind("a text file") if is_text else None
