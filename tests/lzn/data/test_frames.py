"""Files of several frames, pages or pictures: one rule for ``prepare`` and for requests."""

import numpy as np
import pytest
from lzn_testing import PROJECT
from lzn_testing.data.image_files import ListSource, encode
from PIL import Image

from lzn.data import CorruptImageError, decode_image
from lzn.data.decoding import DecodingRules
from lzn.inference.errors import UserError
from lzn.inference.fitting import Fitting
from lzn.inference.input_images import ImageRules, InputImage, decode_images
from lzn.preparation import Fit
from lzn.preparation.image_forms import as_pixels

CASES = PROJECT / "tests/cases/images"
FIRST = DecodingRules(first_frame=True)


def colours(kind: str) -> bytes:
    """Return a file with a red and a blue picture."""
    first, second = Image.new("RGB", (16, 16), "red"), Image.new("RGB", (16, 16), "blue")
    return encode(first, kind, save_all=True, append_images=[second])


def prepared(data: bytes, rules: DecodingRules) -> np.ndarray:
    """Return the image that ``prepare`` stores."""
    fit = Fit(kind="crop", size=16, num_channels=3, decoding=rules)
    return as_pixels(ListSource.of([data]), 0, fit)


def requested(data: bytes, rules: DecodingRules) -> np.ndarray:
    """Return the image that a request reads."""
    image_rules = ImageRules(shape=(3, 16, 16), fitting=Fitting.CROP, max_images=1, decoding=rules)
    return decode_images([InputImage("mine", data)], image_rules)[0]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("GIF", "is an animation of 2 frames"),
        ("WEBP", "is an animation of 2 frames"),
        ("PNG", "is an animation of 2 frames"),
        ("TIFF", "is a file of 2 pages"),
    ],
)
def test_several_frames_are_refused_unless_the_first_is_chosen(kind: str, message: str) -> None:
    data = colours(kind)
    with pytest.raises(CorruptImageError, match=message):
        prepared(data, DecodingRules())
    with pytest.raises(UserError, match=message):
        requested(data, DecodingRules())
    # Lossy formats change a constant image by one or two levels.
    np.testing.assert_allclose(prepared(data, FIRST)[:, 8, 8].astype(int), [255, 0, 0], atol=3)
    np.testing.assert_array_equal(requested(data, FIRST), prepared(data, FIRST))


@pytest.mark.parametrize("rules", [DecodingRules(), FIRST])
def test_the_main_picture_of_a_phones_jpeg_is_read(rules: DecodingRules) -> None:
    for data in (colours("MPO"), (CASES / "phone_mpo.jpg").read_bytes()):
        np.testing.assert_array_equal(requested(data, rules), prepared(data, rules))
    np.testing.assert_allclose(prepared(colours("MPO"), rules)[:, 8, 8].astype(int), [255, 0, 0], atol=3)


@pytest.mark.parametrize("name", ["anim.gif", "anim.webp"])
def test_the_animations_of_the_cases_are_refused(name: str) -> None:
    with pytest.raises(CorruptImageError, match="is an animation of 3 frames"):
        decode_image((CASES / name).read_bytes(), num_channels=3)


def test_a_file_of_one_frame_in_a_format_of_animations_is_an_image() -> None:
    for kind in ("GIF", "WEBP", "TIFF", "PNG"):
        data = encode(Image.new("RGB", (16, 16), "red"), kind)
        assert prepared(data, DecodingRules()).shape == (3, 16, 16)
