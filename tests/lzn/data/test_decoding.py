"""Decoding of image files to 8-bit grey or colour, the errors, and the evaluation transform."""

import struct
import zlib

import numpy as np
import pytest
import torch
from lzn_testing.data.image_files import encode, noise
from PIL import Image
from torchvision.transforms import v2

from lzn.data import CorruptImageError, ResizeAndCrop, decode_image
from lzn.data.decoding import array_from_image, image_from_array

PHOTO = noise(20, 30)


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("BMP", {}), ("TIFF", {}), ("PPM", {})])
def test_a_lossless_file_decodes_to_its_pixels(kind: str, options: dict[str, object]) -> None:
    decoded = decode_image(encode(PHOTO, kind, **options), num_channels=3)
    np.testing.assert_array_equal(np.asarray(decoded), np.asarray(PHOTO))


def test_a_lossless_webp_decodes_to_its_pixels() -> None:
    decoded = decode_image(encode(PHOTO, "WEBP", lossless=True), num_channels=3)
    np.testing.assert_array_equal(np.asarray(decoded), np.asarray(PHOTO))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
@pytest.mark.parametrize(("num_channels", "expected"), [(1, "L"), (3, "RGB")])
def test_every_png_mode_becomes_grey_or_colour(mode: str, num_channels: int, expected: str) -> None:
    image = Image.new(mode, (4, 5)) if mode == "I;16" else noise(4, 5).convert(mode)
    decoded = decode_image(encode(image, "PNG"), num_channels=num_channels)
    assert (decoded.mode, decoded.size) == (expected, (4, 5))


def test_a_cmyk_jpeg_keeps_its_colours() -> None:
    orange = Image.new("RGB", (16, 16), (255, 128, 0))
    decoded = decode_image(encode(orange.convert("CMYK"), "JPEG", quality=95), num_channels=3)
    # JPEG changes a constant image by one or two levels.
    np.testing.assert_allclose(np.asarray(decoded)[8, 8].astype(int), [255, 128, 0], atol=3)


def test_16_bit_grey_levels_are_scaled_not_clipped() -> None:
    levels = np.array([[0, 256, 32768, 65535]], np.uint16)
    decoded = decode_image(encode(Image.fromarray(levels), "PNG"), num_channels=1)
    assert np.asarray(decoded).tolist() == [[0, 1, 128, 255]]


@pytest.mark.parametrize(
    ("image", "options"),
    [
        (Image.new("RGBA", (2, 2), (10, 20, 30, 0)), {}),
        (Image.new("LA", (2, 2), (10, 0)), {}),
        (Image.new("RGB", (2, 2), (10, 20, 30)), {"transparency": (10, 20, 30)}),
    ],
)
def test_transparent_pixels_become_white_whatever_their_colour(
    image: Image.Image, options: dict[str, object]
) -> None:
    decoded = decode_image(encode(image, "PNG", **options), num_channels=3)
    assert np.asarray(decoded).min() == 255


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_orientation_is_applied(orientation: int) -> None:
    # How each value of the tag stores the upright image, by the EXIF standard.
    upright = np.arange(6, dtype=np.uint8).reshape(2, 3)
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright, 1),
        7: upright.T[::-1, ::-1],
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(Image.fromarray(np.ascontiguousarray(stored)), "PNG", exif=exif)
    np.testing.assert_array_equal(np.asarray(decode_image(data, num_channels=1)), upright)


def test_an_image_with_damaged_exif_data_is_decoded() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for length in range(6, len(exif.tobytes())):
        data = encode(PHOTO, "PNG", exif=exif.tobytes()[:length])
        assert decode_image(data, num_channels=3).size in (PHOTO.size, PHOTO.size[::-1])


def _png_header(width: int, height: int) -> bytes:
    """A PNG file with a given size in its header and 100 bytes of data."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checked = kind + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(100)))
        + chunk(b"IEND", b"")
    )


JPEG = encode(noise(64, 64), "JPEG")
PNG = encode(noise(64, 64), "PNG")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not an image"),
        (b"<html>Not Found</html>", "not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
        (JPEG[: len(JPEG) // 2], "truncated"),
        (JPEG[:100], "cannot be decoded|not an image"),
        (PNG[: len(PNG) // 2], "cannot be decoded"),
        (PNG[:1000] + bytes(100) + PNG[1100:], "cannot be decoded"),
        (
            _png_header(10_000, 10_000),
            "too many pixels",
        ),  # above the limit of Pillow's warning, not of its error
        (_png_header(60_000, 60_000), "too many pixels"),
        (encode(Image.new("F", (4, 4)), "TIFF"), "32 bits"),
    ],
    ids=[
        "empty",
        "html",
        "eps",
        "half jpeg",
        "jpeg start",
        "half png",
        "damaged png",
        "bomb",
        "huge bomb",
        "float",
    ],
)
def test_the_error_of_an_unusable_image_names_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(CorruptImageError, match=reason):
        decode_image(data, num_channels=3)


def test_a_file_with_random_bytes_after_its_header_is_decoded_or_raises_corrupt_image_error() -> None:
    generator = np.random.default_rng(0)
    for data in (JPEG, PNG, encode(PHOTO, "GIF"), encode(PHOTO, "TIFF"), encode(PHOTO, "WEBP")):
        for _ in range(60):
            damaged = bytearray(data)
            for place in generator.integers(8, len(data), 10):
                damaged[place] = generator.integers(256)
            try:
                decoded = decode_image(bytes(damaged), num_channels=3)
            except CorruptImageError:
                continue
            assert decoded.mode == "RGB"


def test_other_numbers_of_channels_are_an_error() -> None:
    with pytest.raises(ValueError, match="num_channels must be 1 \\(grey\\) or 3 \\(colour\\), got 4"):
        decode_image(PNG, num_channels=4)


@pytest.mark.parametrize("channels", [1, 3])
def test_an_array_converted_to_an_image_and_back_is_the_same(channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (channels, 5, 7), dtype=np.uint8)
    image = image_from_array(pixels)
    assert image.size == (7, 5)
    np.testing.assert_array_equal(array_from_image(image), pixels)


@pytest.mark.parametrize("pixels", [np.zeros((5, 7), np.uint8), np.zeros((3, 5, 7), np.float32)])
def test_an_array_that_is_not_uint8_with_channels_first_is_an_error(pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="pixels must be uint8"):
        image_from_array(pixels)


@pytest.mark.parametrize("size", [(500, 375), (375, 500), (256, 256), (100, 331), (301, 300), (224, 97)])
def test_the_evaluation_transform_is_the_same_as_with_torchvision(size: tuple[int, int]) -> None:
    image = noise(*size)
    theirs = v2.CenterCrop(224)(v2.Resize(256)(image))  # on Pillow images: bilinear, antialiased
    ours = ResizeAndCrop(shorter_side=256, size=224)(image)
    assert ours.shape == (3, 224, 224)
    assert torch.equal(torch.from_numpy(ours), v2.functional.pil_to_tensor(theirs))


def test_a_crop_larger_than_the_resized_image_is_an_error() -> None:
    with pytest.raises(ValueError, match="size must lie in \\[1, shorter_side=100\\], got 224"):
        ResizeAndCrop(shorter_side=100, size=224)
