"""Images that people hand in: what is taken, and what is refused with which advice."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from lzn_testing.data.image_files import encode, noise
from PIL import Image

from lzn.inference.fitting import Fitting
from lzn.inference.given_images import (
    MAX_FILE_BYTES,
    MAX_PIXELS,
    GivenImage,
    ImageInputError,
    ImageRules,
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
        decode_images([GivenImage("mine.png", content)], rules)
    return str(caught.value)


def huge_png(side: int) -> bytes:
    """A small PNG file whose header declares side x side pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(100_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def test_an_image_of_the_right_kind_is_taken_as_it_is() -> None:
    colour = noise(8, 8)
    (grey,) = decode_images([GivenImage("a", encode(DIGIT, "PNG"))], GREY)
    np.testing.assert_array_equal(grey, np.asarray(DIGIT)[None])
    (taken,) = decode_images([GivenImage("a", encode(colour, "PNG"))], RGB)
    np.testing.assert_array_equal(taken, np.asarray(colour).transpose(2, 0, 1))


def test_images_keep_their_order() -> None:
    pictures = [noise(8, 8, channels=1, seed=seed) for seed in range(3)]
    taken = decode_images([GivenImage("a", encode(picture, "BMP")) for picture in pictures], GREY)
    np.testing.assert_array_equal(taken, np.stack([np.asarray(picture)[None] for picture in pictures]))


@pytest.mark.parametrize("content", [b"hello", b"<svg/>", b"%!PS-Adobe-3.0 EPSF-3.0", b"\x89PNG\r\n\x1a\n"])
def test_what_is_not_an_image_is_named_with_the_formats_that_are_read(content: bytes) -> None:
    message = refusal(content)
    assert message.startswith("mine.png ")
    assert "PNG" in message


def test_an_empty_file_is_said_to_be_empty() -> None:
    assert refusal(b"") == "mine.png is empty"


def test_a_file_that_is_cut_off_is_refused() -> None:
    content = encode(noise(8, 8, channels=1), "PNG")
    assert "its header is damaged" in refusal(content[:30])
    assert "truncated" in refusal(content[:-40])


def test_a_file_with_damaged_pixels_is_refused() -> None:
    content = bytearray(encode(DIGIT, "PNG"))
    content[50] ^= 0xFF
    assert refusal(bytes(content)).startswith("mine.png is damaged or cut off")
    assert refusal(bytes(content), GREY_FITTED).startswith("mine.png cannot be used: cannot be decoded")


@pytest.mark.parametrize("rules", [GREY, GREY_FITTED])
@pytest.mark.parametrize("side", [8000, 12_000, 100_000])
def test_a_small_file_that_declares_huge_dimensions_is_refused_before_it_is_decoded(
    side: int, rules: ImageRules
) -> None:
    content = huge_png(side)
    assert len(content) < 1000
    assert side**2 > MAX_PIXELS
    message = refusal(content, rules)  # decoding it would fail for want of data, with another message
    assert message.startswith("mine.png declares")
    assert f"at most {MAX_PIXELS // 10**6} million" in message


def test_a_valid_picture_that_unpacks_to_too_much_is_refused() -> None:
    content = encode(Image.new("1", (8000, 8000)), "PNG")
    assert len(content) < 20_000
    assert "8000x8000 pixels" in refusal(content, GREY_FITTED)


def test_a_file_of_too_many_bytes_is_refused_unread(tmp_path: Path) -> None:
    file = tmp_path / "large.png"
    with file.open("wb") as stream:
        stream.truncate(MAX_FILE_BYTES + 1)  # sparse: takes no room
    with pytest.raises(ImageInputError, match=r"large\.png has .* bytes: give image files of at most 64 MiB"):
        read_image_files([file], GREY)


def with_alpha(size: int = 8) -> Image.Image:
    image = noise(size, size)
    image.putalpha(128)
    return image


def turned() -> bytes:
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
    "16 bits": (encode(Image.fromarray(np.full((8, 8), 999, np.uint16)), "PNG"), GREY, "has 16 bits"),
    "turned": (turned(), GREY, "is stored turned (EXIF orientation 6)"),
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_a_difference_is_named_with_what_the_model_takes_and_both_ways_to_convert(case: str) -> None:
    content, rules, difference = DIFFERENT[case]
    message = refusal(content, rules)
    assert message.startswith("mine.png ")
    assert difference in message
    assert f"the model takes {rules.wanted}" in message
    assert "fit crop" in message
    assert "fit pad" in message


@pytest.mark.parametrize("case", DIFFERENT)
def test_what_is_refused_as_it_is_can_be_fitted(case: str) -> None:
    content, rules, _ = DIFFERENT[case]
    fitted = GREY_FITTED if rules is GREY else RGB_FITTED
    (taken,) = decode_images([GivenImage("a", content)], fitted)
    assert taken.shape == rules.shape


def test_16_bit_colour_is_seen_although_pillow_opens_it_as_8_bit() -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes(8 * 6) for _ in range(8))
    header = struct.pack(">IIBBBBB", 8, 8, 16, 2, 0, 0, 0)
    content = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
    assert Image.open(io.BytesIO(content)).mode == "RGB"
    assert "has 16 bits a channel" in refusal(content, RGB)


def test_fitting_turns_an_image_upright() -> None:
    (taken,) = decode_images([GivenImage("a", turned())], GREY_FITTED)
    np.testing.assert_array_equal(taken[0], np.asarray(DIGIT.transpose(Image.Transpose.ROTATE_270)))


def test_crop_and_pad_differ_as_they_say() -> None:
    wide = encode(Image.new("L", (32, 8), 255), "PNG")
    (cropped,) = decode_images([GivenImage("a", wide)], GREY_FITTED)
    assert (cropped == 255).all()
    pad = ImageRules(shape=(1, 8, 8), max_images=1, fitting=Fitting.PAD)
    (padded,) = decode_images([GivenImage("a", wide)], pad)
    assert (padded[0, 3:5] == 255).all()
    assert (padded[0, :3] == 0).all()


@pytest.mark.parametrize("rules", [RGB, RGB_FITTED])
@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_an_animation_is_never_taken_for_its_first_frame(kind: str, rules: ImageRules) -> None:
    frames = [noise(8, 8, seed=seed) for seed in range(3)]
    content = encode(frames[0], kind, save_all=True, append_images=frames[1:])
    assert "is an animation of 3 frames: save the frame that is meant" in refusal(content, rules)


def test_a_strip_cannot_be_fitted() -> None:
    assert "a side is more than 100 times the other" in refusal(
        encode(Image.new("L", (1, 101)), "PNG"), GREY_FITTED
    )


def test_no_images_and_too_many_are_refused() -> None:
    with pytest.raises(ImageInputError, match="no images were given"):
        decode_images([], GREY)
    with pytest.raises(ImageInputError, match="5 images are too many for one request: give at most 4"):
        decode_images([GivenImage("a", encode(DIGIT, "PNG"))] * 5, GREY)


def test_files_that_are_none_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ImageInputError, match=r"missing\.png: there is no such file"):
        read_image_files([tmp_path / "missing.png"], GREY)
    with pytest.raises(ImageInputError, match=r"is a folder: name the images in it"):
        read_image_files([tmp_path], GREY)
    with pytest.raises(ImageInputError, match="no regular file"):
        read_image_files([Path("/dev/zero")], GREY)


def test_the_file_at_fault_among_several_is_named(tmp_path: Path) -> None:
    DIGIT.save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"no image")
    with pytest.raises(ImageInputError, match=r"bad\.png is not an image"):
        read_image_files([tmp_path / "good.png", tmp_path / "bad.png"], GREY)
