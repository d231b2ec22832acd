"""Values of 16-bit files: a depth that is unknown is refused, and a given one is used."""

import io
import struct
import zlib

import numpy as np
import pytest
from lzn_testing import PROJECT
from lzn_testing.data.image_files import encode
from PIL import Image

from lzn.data import CorruptImageError, decode_image
from lzn.data.decoding import DecodingRules

CASES = PROJECT / "tests/cases/images"
RAMP = np.linspace(0, 1, 16).reshape(4, 4)


def grey(largest: int, kind: str = "PNG") -> bytes:
    return encode(Image.fromarray((RAMP * largest).astype(np.uint16)), kind)


def png(values: np.ndarray, *, colour_type: int, transparent: bytes = b"") -> bytes:
    """Return a PNG file of 16 bits a channel; Pillow writes only grey ones."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = values.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    return b"".join([
        b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", header), chunk(b"tRNS", transparent) if transparent else b"",
        chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""),
    ])  # fmt: skip


def refusal(data: bytes, bit_depth: int | None = None) -> str:
    with pytest.raises(CorruptImageError) as raised:
        decode_image(data, num_channels=1, rules=DecodingRules(bit_depth=bit_depth))
    return str(raised.value)


@pytest.mark.parametrize(
    ("name", "depth"), [("grey12in16.png", 12), ("grey12in16.tif", 12), ("grey8in16.png", 8)]
)
def test_a_dark_16_bit_image_is_refused_with_the_depth_that_it_seems_to_have(name: str, depth: int) -> None:
    data = (CASES / name).read_bytes()
    assert f"perhaps only {depth} bits are used: set bit_depth to {depth}" in refusal(data)
    decoded = np.asarray(decode_image(data, num_channels=1, rules=DecodingRules(bit_depth=depth)))
    assert decoded.max() == 255
    as_16 = np.asarray(decode_image(data, num_channels=1, rules=DecodingRules(bit_depth=16)))
    assert as_16.max() == 255 >> (16 - depth)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("depth", [9, 10, 12, 14])
def test_a_given_depth_scales_the_values_to_8_bits(kind: str, depth: int) -> None:
    data = grey((1 << depth) - 1, kind)
    assert "bits are used" in refusal(data)
    decoded = decode_image(data, num_channels=1, rules=DecodingRules(bit_depth=depth))
    expected = (RAMP * ((1 << depth) - 1)).astype(np.uint16) >> (depth - 8)
    np.testing.assert_array_equal(np.asarray(decoded), expected)


def test_values_of_fewer_than_8_bits_are_scaled_to_255() -> None:
    decoded = decode_image(grey(15), num_channels=1, rules=DecodingRules(bit_depth=4))
    np.testing.assert_array_equal(np.asarray(decoded), np.arange(16).reshape(4, 4) * 17)


def test_values_above_the_given_depth_are_refused() -> None:
    assert "it has values up to 65535, which need more than bit_depth 12" in refusal(grey(65535), 12)


def test_full_range_and_black_images_are_read_as_before() -> None:
    np.testing.assert_array_equal(
        np.asarray(decode_image(grey(65535), num_channels=1)), (RAMP * 65535).astype(np.uint16) >> 8
    )
    assert np.asarray(decode_image(grey(0), num_channels=1)).max() == 0


@pytest.mark.parametrize("largest", [1023, 4095, 65535])
def test_a_pgm_file_states_its_largest_value(largest: int) -> None:
    values = np.array([0, largest // 2, largest], ">u2")
    data = b"P5 3 1 %d\n" % largest + values.tobytes()
    decoded = np.asarray(decode_image(data, num_channels=1))
    np.testing.assert_allclose(decoded[0], [0, 127, 255], atol=1)  # rounding


def test_transparency_of_16_bit_images_is_blended_with_white() -> None:
    values = np.array([[1000, 60000]])
    decoded = decode_image(png(values, colour_type=0, transparent=struct.pack(">H", 1000)), num_channels=1)
    assert np.asarray(decoded).tolist() == [[255, 60000 >> 8]]
    with_alpha = np.array([[[60000, 0], [60000, 65535]]])
    decoded = decode_image(png(with_alpha, colour_type=4), num_channels=1)
    assert np.asarray(decoded).tolist() == [[255, 60000 >> 8]]


def test_colour_of_16_bits_is_read_only_where_its_depth_is_clear() -> None:
    colours = np.array([[[60000, 10, 300]]])
    assert np.asarray(decode_image(png(colours, colour_type=2), num_channels=3)).tolist() == [[[234, 0, 1]]]
    dark = png(colours // 16, colour_type=2)
    assert "perhaps only 12 bits are used: save it as an 8-bit image" in refusal(dark)
    assert "bit_depth 12 is for grey images" in refusal(dark, 12)
    assert np.asarray(decode_image(dark, num_channels=3, rules=DecodingRules(bit_depth=16))).max() == 14
    transparent = png(colours, colour_type=2, transparent=struct.pack(">HHH", 1, 2, 3))
    assert "16 bits a channel and a transparent colour" in refusal(transparent)


@pytest.mark.parametrize("bit_depth", [0, 17, -1])
def test_impossible_depths_are_an_error(bit_depth: int) -> None:
    with pytest.raises(ValueError, match="bit_depth must be between 1 and 16"):
        DecodingRules(bit_depth=bit_depth)


def test_eight_bit_files_ignore_the_depth() -> None:
    image = Image.fromarray(np.arange(16, dtype=np.uint8).reshape(4, 4))
    decoded = decode_image(encode(image, "PNG"), num_channels=1, rules=DecodingRules(bit_depth=12))
    np.testing.assert_array_equal(np.asarray(decoded), np.asarray(image))
    assert Image.open(io.BytesIO(encode(image, "PNG"))).mode == "L"
