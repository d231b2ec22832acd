"""Size limits hold for contents that a request brings as for files that a command names."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from lzn_testing.data.image_files import encode, noise

from lzn.inference import input_images
from lzn.inference.input_images import (
    ImageInputError,
    ImageRules,
    InputImage,
    decode_images,
    read_image_files,
)

IMAGE = encode(noise(8, 8, channels=1), "PNG")
LARGEST = {
    "MAX_FILE_BYTES": (len(IMAGE), "give image files of at most"),
    "MAX_PIXELS": (64, "declares 8x8 pixels"),
}
"""The size of the image by the name of its limit, and the message above the limit."""
RULES = ImageRules(shape=(1, 8, 8), max_images=2)
Read = Callable[[list[bytes], Path], object]


def from_request(contents: list[bytes], folder: Path) -> object:
    return decode_images([InputImage(f"row {row}", content) for row, content in enumerate(contents)], RULES)


def from_files(contents: list[bytes], folder: Path) -> object:
    files = [folder / f"{number}.png" for number in range(len(contents))]
    for file, content in zip(files, contents, strict=True):
        file.write_bytes(content)
    return read_image_files(files, RULES)


@pytest.mark.parametrize("read", [from_request, from_files])
@pytest.mark.parametrize("limit", LARGEST)
def test_a_limit_holds_from_the_first_unit_above_it(
    read: Read, limit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    largest, message = LARGEST[limit]
    monkeypatch.setattr(input_images, limit, largest)
    assert np.shape(read([IMAGE], tmp_path)) == (1, 1, 8, 8)
    monkeypatch.setattr(input_images, limit, largest - 1)
    with pytest.raises(ImageInputError, match=message):
        read([IMAGE], tmp_path)


@pytest.mark.parametrize("read", [from_request, from_files])
def test_the_number_of_images_is_limited(read: Read, tmp_path: Path) -> None:
    assert np.shape(read([IMAGE] * 2, tmp_path)) == (2, 1, 8, 8)
    with pytest.raises(ImageInputError, match="3 images are too many"):
        read([IMAGE] * 3, tmp_path)
    with pytest.raises(ImageInputError, match="no images were given"):
        read([], tmp_path)


@pytest.mark.parametrize("largest", [127, 128])
def test_the_pixels_of_all_images_of_a_request_are_limited(largest: int) -> None:
    rules = ImageRules(shape=(1, 8, 8), max_images=2, max_total_pixels=largest)
    images = [InputImage(str(number), IMAGE) for number in range(2)]
    if largest == 128:
        assert len(decode_images(images, rules)) == 2
    else:
        with pytest.raises(ImageInputError, match="have 128 pixels in all"):
            decode_images(images, rules)
