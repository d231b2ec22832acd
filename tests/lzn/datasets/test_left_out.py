"""What is left out of a user's folder is counted, and a class never disappears."""

import os
from collections import Counter
from pathlib import Path

import pytest

from lzn.datasets import MissingDataError, RawDataSet, open_folder
from lzn.datasets.image_files import HIDDEN, UNFINISHED, scan_images
from lzn.datasets.left_out import LeftOut, as_table
from lzn.datasets.names import printable
from rehearsal.file_formats import encoded_image, write_files, write_images

JPEG_2000 = b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(50)


def opened(root: Path) -> RawDataSet:
    return open_folder(root, test_fraction=0, seed=0)


def test_files_that_are_no_images_are_counted_by_folder_ending_and_reason(tmp_path: Path) -> None:
    write_images(tmp_path, ["a/1.jpg", "b/2.jpg"])
    others = {
        "a/3.jp2": JPEG_2000, "a/4.jp2": JPEG_2000, "b/5.JP2": JPEG_2000, "b/6.jpg.part": encoded_image(6),
        "notes.txt": b"some words", "b/.hidden.jpg": encoded_image(7), "b/list": b"\0\1\2\xff\xff\xff",
    }  # fmt: skip
    write_files(tmp_path, others)
    assert opened(tmp_path).left_out == {
        LeftOut("a", ".jp2", "a JPEG 2000 image; not a supported image"): 2,
        LeftOut("b", ".jp2", "a JPEG 2000 image; not a supported image"): 1,
        LeftOut("b", ".part", UNFINISHED): 1,
        LeftOut("", ".txt", "a text file; not a supported image"): 1,
        LeftOut("b", ".jpg", HIDDEN): 1,
        LeftOut("b", "", "not an image"): 1,
    }


def test_the_table_has_a_line_for_each_reason() -> None:
    counts = {LeftOut("cats", ".jp2", "not supported"): 12, LeftOut("", "", "not an image"): 3}
    assert as_table(counts).splitlines() == [
        "files  folder  ending  reason",
        "    3  .       none    not an image",
        "   12  cats    .jp2    not supported",
    ]


def test_images_are_recognised_by_content_where_the_ending_says_nothing(tmp_path: Path) -> None:
    files = {"a": encoded_image(0, "JPEG"), "b.dat": encoded_image(1, "PNG"), "c.x": encoded_image(2, "WEBP")}
    files |= {
        "d.gif": encoded_image(3, "GIF"),
        "e.pbm": encoded_image(4, "PPM"),
        "f": encoded_image(5, "BMP"),
    }
    files |= {"g": encoded_image(6, "TIFF"), "h": b"BMW is a car", "i": b"P5 or not"}
    write_files(tmp_path, files)
    found = scan_images(tmp_path)
    assert found.paths == ["a", "b.dat", "c.x", "d.gif", "e.pbm", "f", "g"]
    assert sum(found.left_out.values()) == 2


@pytest.mark.parametrize(
    "folder", ["@eaDir", "$RECYCLE.BIN", "lost+found", "System Volume Information", "#recycle", "__MACOSX"]
)
def test_folders_of_systems_are_no_classes_and_their_images_are_not_read(tmp_path: Path, folder: str) -> None:
    names = ["tea/1.jpg", "coffee/2.jpg"]
    write_images(tmp_path, [*names, f"{folder}/3.jpg", f"tea/{folder}/4.jpg"])
    data = opened(tmp_path)
    assert data.class_names == ("coffee", "tea")
    assert len(data.train) == 2
    assert data.left_out == Counter({LeftOut("", "", HIDDEN): 1, LeftOut("tea", "", HIDDEN): 1}) or (
        folder == "$RECYCLE.BIN" and sum(data.left_out.values()) == 2
    )


def test_a_class_without_usable_files_is_an_error_that_says_why(tmp_path: Path) -> None:
    write_images(tmp_path, ["cat/1.jpg"])
    write_files(tmp_path, {"dog/2.jp2": JPEG_2000})
    with pytest.raises(ValueError, match=r"(?s)there are no images in dog; .*\.jp2 +a JPEG 2000 image"):
        opened(tmp_path)
    (tmp_path / "dog/2.jp2").unlink()
    with pytest.raises(ValueError, match="there are no images in dog"):
        opened(tmp_path)


@pytest.mark.parametrize(
    "folders",
    [
        ("Train", "Test"), ("training", "validation"), ("TRAIN", "val", "extra"), ("train_set", "test-set"),
        ("test", "val"), ("Training",), ("trainData", "holdout"),
    ],
)  # fmt: skip
def test_names_of_splits_are_recognised_in_any_case(tmp_path: Path, folders: tuple[str, ...]) -> None:
    write_images(tmp_path, [f"{folder}/{name}/1.jpg" for folder in folders for name in ("tea", "coffee")])
    with pytest.raises(ValueError, match="which are splits and not classes; set root to one of them"):
        opened(tmp_path)


def test_a_class_can_have_the_name_of_a_split(tmp_path: Path) -> None:
    write_images(tmp_path, ["train/1.jpg", "bus/2.jpg", "car/3.jpg"])
    assert opened(tmp_path).class_names == ("bus", "car", "train")


def test_the_error_for_a_folder_without_images_lists_what_is_there(tmp_path: Path) -> None:
    write_files(tmp_path, {"a/1.jp2": JPEG_2000, "a/2.jp2": JPEG_2000})
    with pytest.raises(MissingDataError, match=r"(?s)are left out:\n.*2  a +\.jp2"):
        opened(tmp_path)


def test_names_are_one_line_of_text_from_which_they_can_be_told_apart() -> None:
    names = [b"a\nb", b"a\\nb", "a\u2028b".encode(), b"\xff", b"\\xff", "é".encode(), b"a\tb"]
    shown = [printable(name) for name in names]
    assert shown == ["a\\nb", "a\\\\nb", "a\\u2028b", "\\xff", "\\\\xff", "é", "a\\tb"]
    assert len(set(shown)) == len(names)


def test_class_names_that_are_not_utf_8_are_escaped(tmp_path: Path) -> None:
    write_images(tmp_path, [f"{os.fsdecode(bytes([name]) * 2)}/1.jpg" for name in (0x61, 0xFF)])
    assert opened(tmp_path).class_names == ("aa", "\\xff\\xff")
