"""Finding image files: order, links, hidden files, and other files."""

import os
from pathlib import Path

import pytest

from lzn.datasets import find_images
from lzn.datasets.image_files import source_of_classes
from rehearsal.file_formats import write_files, write_images


def test_images_are_found_at_any_depth_and_sorted_by_path(tmp_path: Path) -> None:
    names = ["b/c/d/1.png", "b/10.jpg", "b/2.jpg", "a.webp", "B.JPEG"]
    write_images(tmp_path, names)
    assert find_images(tmp_path) == ["B.JPEG", "a.webp", "b/10.jpg", "b/2.jpg", "b/c/d/1.png"]


def test_the_order_does_not_depend_on_the_order_of_creation(tmp_path: Path) -> None:
    names = [f"{folder}/{index}.jpg" for folder in "ab" for index in range(20)]
    write_images(tmp_path / "one", names)
    for name in reversed(names):
        write_files(tmp_path / "two", {name: b"x"})
    assert find_images(tmp_path / "one") == find_images(tmp_path / "two") == sorted(names)


def test_hidden_files_and_other_files_are_left_out(tmp_path: Path) -> None:
    write_images(tmp_path, ["1.jpg"])
    others = [
        ".hidden.jpg",
        "._1.jpg",
        ".git/1.jpg",
        "__MACOSX/1.jpg",
        "notes.txt",
        "Thumbs.db",
        "jpg",
        "1.jpg.part",
    ]
    write_files(tmp_path, dict.fromkeys(others, b"x"))
    (tmp_path / "folder.jpg").mkdir()
    assert find_images(tmp_path) == ["1.jpg"]


def test_a_loop_of_links_ends_and_no_image_is_listed_twice(tmp_path: Path) -> None:
    write_images(tmp_path, ["a/1.jpg", "b/2.jpg"])
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "across").symlink_to("../b")
    (tmp_path / "b" / "across").symlink_to("../a")
    (tmp_path / "self").symlink_to("self")  # a link to itself is neither a file nor a folder
    assert find_images(tmp_path) == ["a/1.jpg", "b/2.jpg"]


def test_links_to_images_and_folders_elsewhere_are_followed(tmp_path: Path) -> None:
    write_images(tmp_path / "elsewhere", ["x/1.jpg", "2.jpg"])
    root = tmp_path / "root"
    root.mkdir()
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    (root / "2.jpg").symlink_to(tmp_path / "elsewhere" / "2.jpg")
    assert find_images(root) == ["2.jpg", "linked/2.jpg", "linked/x/1.jpg"]


def test_the_error_names_an_image_that_is_a_broken_link(tmp_path: Path) -> None:
    (tmp_path / "lost.jpg").symlink_to(tmp_path / "nowhere.jpg")
    with pytest.raises(FileNotFoundError, match=r"lost\.jpg is a broken link"):
        find_images(tmp_path)


def test_a_pipe_with_an_image_suffix_is_left_out(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    assert find_images(tmp_path) == []


def test_images_are_ordered_by_class(tmp_path: Path) -> None:
    write_images(tmp_path, ["cat/1.jpg", "cat/2.jpg", "cat-2/1.jpg", "dog/1.jpg"])
    source = source_of_classes(tmp_path, ["cat", "cat-2"])
    assert [source.name(index) for index in range(3)] == [
        str(tmp_path / name) for name in ("cat/1.jpg", "cat/2.jpg", "cat-2/1.jpg")
    ]
    assert source.labels.tolist() == [0, 0, 1]


def test_a_class_without_images_is_an_error(tmp_path: Path) -> None:
    write_images(tmp_path, ["cat/1.jpg"])
    (tmp_path / "dog").mkdir()
    with pytest.raises(ValueError, match="dog contains no images"):
        source_of_classes(tmp_path, ["cat", "dog"])
