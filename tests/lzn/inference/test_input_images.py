"""Images from users: which are accepted, and which are refused with which message."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from lzn_testing.data.image_files import encode, noise
from PIL import Image

from lzn.inference.fitting import Fitting
from lzn.inference.input_images import (
    MAX_FILE_BYTES,
    MAX_PIXELS,
    ImageInputError,
    ImageRules,
    InputImage,
    decode_images,
    read_image_files,
)

GREY = ImageRules(shape=(1, 8, 8), max_images=4)
RGB = ImageRules(shape=(3, 8, 8), max_images=4)
GREY_FITTED = ImageRules(shape=(1, 8, 8), max_images=4, fitting=Fitting.CROP)
RGB_FITTED = ImageRules(shape=(3, 8, 8), max_images=4, fitting=Fitting.PAD)
DIGIT = noise(8, 8, channels=1)


def refusal(content: bytes, rules: ImageRules = GREY) -> str:
    with pytest.raises(ImageInputError) as caught:
        decode_images([InputImage("mine.png", content)], rules)
    return str(caught.value)


def png(side: int, *, bits: int, colour_type: int, rows: bytes) -> bytes:
    """A PNG file whose header declares side x side pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, bits, colour_type, 0, 0, 0)
    chunks = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"".join([b"\x89PNG\r\n\x1a\n", *chunks])


def test_an_image_in_the_models_format_is_not_changed() -> None:
    colour = noise(8, 8)
    (grey,) = decode_images([InputImage("a", encode(DIGIT, "PNG"))], GREY)
    np.testing.assert_array_equal(grey, np.asarray(DIGIT)[None])
    (taken,) = decode_images([InputImage("a", encode(colour, "PNG"))], RGB)
    np.testing.assert_array_equal(taken, np.asarray(colour).transpose(2, 0, 1))


def test_images_keep_their_order() -> None:
    pictures = [noise(8, 8, channels=1, seed=seed) for seed in range(3)]
    taken = decode_images([InputImage("a", encode(picture, "BMP")) for picture in pictures], GREY)
    np.testing.assert_array_equal(taken, np.stack([np.asarray(picture)[None] for picture in pictures]))


@pytest.mark.parametrize("content", [b"hello", b"<svg/>", b"%!PS-Adobe-3.0 EPSF-3.0", b"\x89PNG\r\n\x1a\n"])
def test_a_file_that_is_no_image_is_refused_with_the_known_formats(content: bytes) -> None:
    message = refusal(content)
    assert message.startswith("mine.png ")
    assert "PNG" in message


def test_an_empty_file_is_refused() -> None:
    assert refusal(b"") == "mine.png is empty"


def test_a_truncated_file_is_refused() -> None:
    content = encode(noise(8, 8, channels=1), "PNG")
    assert "its header is damaged" in refusal(content[:30])
    assert "truncated" in refusal(content[:-40])


def test_a_file_with_damaged_pixels_is_refused() -> None:
    content = bytearray(encode(DIGIT, "PNG"))
    content[50] ^= 0xFF
    assert refusal(bytes(content)).startswith("mine.png is damaged or truncated")
    assert refusal(bytes(content), GREY_FITTED).startswith("mine.png cannot be used: cannot be decoded")


@pytest.mark.parametrize("rules", [GREY, GREY_FITTED])
@pytest.mark.parametrize("side", [8000, 12_000, 100_000])
def test_a_small_file_that_declares_huge_dimensions_is_refused_before_it_is_decoded(
    side: int, rules: ImageRules
) -> None:
    content = png(side, bits=8, colour_type=0, rows=bytes(100_000))
    assert len(content) < 1000
    assert side**2 > MAX_PIXELS
    message = refusal(content, rules)  # the decoder's message about missing data would be another
    assert message.startswith("mine.png declares")
    assert f"at most {MAX_PIXELS // 10**6} million" in message


def test_a_valid_image_with_too_many_pixels_is_refused() -> None:
    content = encode(Image.new("1", (8000, 8000)), "PNG")
    assert len(content) < 20_000
    assert "8000x8000 pixels" in refusal(content, GREY_FITTED)


def test_a_file_with_too_many_bytes_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "large.png"
    with file.open("wb") as stream:
        stream.truncate(MAX_FILE_BYTES + 1)  # a sparse file
    with pytest.raises(ImageInputError, match=r"large\.png has .* bytes: give image files of at most 64 MiB"):
        read_image_files([file], GREY)


def with_alpha(size: int = 8) -> Image.Image:
    image = noise(size, size)
    image.putalpha(128)
    return image


def rotated() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encode(DIGIT, "PNG", exif=exif)


DIFFERENT = {
    "wrong size": (encode(noise(9, 8, channels=1), "PNG"), GREY, "has 9x8 pixels"),
    "colour for grey": (encode(noise(8, 8), "PNG"), GREY, "is RGB"),
    "grey for colour": (encode(DIGIT, "PNG"), RGB, "is grey"),
    "alpha": (encode(with_alpha(), "PNG"), RGB, "has transparency"),
    "palette": (encode(noise(8, 8).quantize(16), "PNG"), RGB, "has a palette"),
    "CMYK": (encode(noise(8, 8).convert("CMYK"), "JPEG"), RGB, "is CMYK"),
    "one bit": (encode(DIGIT.convert("1"), "PNG"), GREY, "black and white"),
    "16 bits": (encode(Image.fromarray(np.full((8, 8), 40_000, np.uint16)), "PNG"), GREY, "has 16 bits"),
    "rotated": (rotated(), GREY, "is stored rotated (EXIF orientation 6)"),
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_the_message_names_the_difference_the_models_format_and_both_conversions(case: str) -> None:
    content, rules, difference = DIFFERENT[case]
    message = refusal(content, rules)
    assert message.startswith("mine.png ")
    assert difference in message
    assert f"the model takes {rules.description}" in message
    assert "fit crop" in message
    assert "fit pad" in message


@pytest.mark.parametrize("case", DIFFERENT)
def test_images_in_another_format_can_be_fitted(case: str) -> None:
    content, rules, _ = DIFFERENT[case]
    fitted = GREY_FITTED if rules is GREY else RGB_FITTED
    (taken,) = decode_images([InputImage("a", content)], fitted)
    assert taken.shape == rules.shape


def test_16_bit_colour_is_refused_although_pillow_opens_it_as_8_bit() -> None:
    rows = b"".join(b"\0" + bytes(8 * 6) for _ in range(8))
    content = png(8, bits=16, colour_type=2, rows=rows)
    assert Image.open(io.BytesIO(content)).mode == "RGB"
    assert "has 16 bits a channel" in refusal(content, RGB)


def test_fitting_rotates_an_image_upright() -> None:
    (taken,) = decode_images([InputImage("a", rotated())], GREY_FITTED)
    np.testing.assert_array_equal(taken[0], np.asarray(DIGIT.transpose(Image.Transpose.ROTATE_270)))


def test_crop_cuts_the_sides_and_pad_adds_black() -> None:
    wide = encode(Image.new("L", (32, 8), 255), "PNG")
    (cropped,) = decode_images([InputImage("a", wide)], GREY_FITTED)
    assert (cropped == 255).all()
    pad = ImageRules(shape=(1, 8, 8), max_images=1, fitting=Fitting.PAD)
    (padded,) = decode_images([InputImage("a", wide)], pad)
    assert (padded[0, 3:5] == 255).all()
    assert (padded[0, :3] == 0).all()


@pytest.mark.parametrize("rules", [RGB, RGB_FITTED])
@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_an_animation_is_refused(kind: str, rules: ImageRules) -> None:
    frames = [noise(8, 8, seed=seed) for seed in range(3)]
    content = encode(frames[0], kind, save_all=True, append_images=frames[1:])
    assert "is an animation of 3 frames: save one frame" in refusal(content, rules)


def test_an_image_with_an_extreme_aspect_ratio_is_not_fitted() -> None:
    assert "one side is more than 100 times the other" in refusal(
        encode(Image.new("L", (1, 101)), "PNG"), GREY_FITTED
    )


def test_no_images_and_too_many_are_refused() -> None:
    with pytest.raises(ImageInputError, match="no images were given"):
        decode_images([], GREY)
    with pytest.raises(ImageInputError, match="5 images are too many for one request: give at most 4"):
        decode_images([InputImage("a", encode(DIGIT, "PNG"))] * 5, GREY)


def test_paths_that_are_no_files_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ImageInputError, match=r"missing\.png does not exist"):
        read_image_files([tmp_path / "missing.png"], GREY)
    with pytest.raises(ImageInputError, match=r"is a folder: name the images in it"):
        read_image_files([tmp_path], GREY)
    with pytest.raises(ImageInputError, match="is not a regular file"):
        read_image_files([Path("/dev/zero")], GREY)


def test_the_message_names_the_wrong_file_of_several(tmp_path: Path) -> None:
    DIGIT.save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"no image")
    with pytest.raises(ImageInputError, match=r"bad\.png is not an image"):
        read_image_files([tmp_path / "good.png", tmp_path / "bad.png"], GREY)
