"""Tar archives read in place, nested archives included; errors for damaged and dangerous archives."""

import io
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from lzn_testing.data.data_layouts import contents

from lzn.datasets import TarSource
from lzn.datasets.tar_archive import index_tar, read_gzipped_members, read_member
from rehearsal.file_formats import encoded_image, tar_of

LONG_NAME = "folder/" + "very_long_" * 20 + ".jpg"  # longer than the 100 bytes of a basic header


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "archive.tar"


def test_members_are_listed_by_name_and_read_byte_for_byte(archive: Path) -> None:
    files = {
        "b.jpg": encoded_image(0),
        LONG_NAME: encoded_image(1),
        "./a.jpg": encoded_image(2),
        "empty.jpg": b"",
    }
    archive.write_bytes(tar_of(files))
    members = index_tar(archive)
    assert [member.name for member in members] == ["a.jpg", "b.jpg", "empty.jpg", LONG_NAME]
    assert read_member(archive, members[0]) == files["./a.jpg"]
    assert read_member(archive, members[3]) == files[LONG_NAME]
    assert read_member(archive, members[2]) == b""


def test_an_archive_in_an_archive_is_read_in_place(archive: Path) -> None:
    inner = {"2.jpg": encoded_image(0), LONG_NAME: encoded_image(1)}
    archive.write_bytes(tar_of({"x.tar": tar_of({"other.jpg": b"other"}), "y.tar": tar_of(inner)}))
    of_y = index_tar(archive, index_tar(archive)[1])
    assert [read_member(archive, member) for member in of_y] == list(inner.values())


@pytest.mark.parametrize("tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_all_tar_formats_are_read(archive: Path, tar_format: int) -> None:
    with tarfile.open(archive, "w", format=tar_format) as tar:
        entry = tarfile.TarInfo("ü/1.jpg")
        entry.size = 3
        tar.addfile(entry, io.BytesIO(b"abc"))
    (member,) = index_tar(archive)
    assert (member.name, read_member(archive, member)) == ("ü/1.jpg", b"abc")


def test_a_pickled_tar_source_reads_and_names_its_members(archive: Path) -> None:
    files = {"1.jpg": encoded_image(0), "2.jpg": encoded_image(1)}
    archive.write_bytes(tar_of(files))
    source = pickle.loads(pickle.dumps(TarSource(archive, index_tar(archive), [3, 4])))
    assert contents(source) == list(files.values())
    assert source.labels.tolist() == [3, 4]
    assert source.name(1) == f"{archive}: 2.jpg"


def test_folders_in_an_archive_are_ignored(archive: Path) -> None:
    with tarfile.open(archive, "w") as tar:
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
    assert index_tar(archive) == []


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_an_error(archive: Path, kind: bytes) -> None:
    with tarfile.open(archive, "w") as tar:
        entry = tarfile.TarInfo("1.jpg")
        entry.type, entry.linkname = kind, "/etc/passwd"
        tar.addfile(entry)
    with pytest.raises(ValueError, match=r"'1\.jpg' is a link, a device or a sparse file"):
        index_tar(archive)


@pytest.mark.parametrize("name", ["/etc/1.jpg", "../1.jpg", "a/../../1.jpg"])
def test_paths_outside_the_archive_are_an_error(archive: Path, name: str) -> None:
    archive.write_bytes(tar_of({name: b"x"}))
    with pytest.raises(ValueError, match="is outside the archive"):
        index_tar(archive)


def test_a_member_that_occurs_twice_is_an_error(archive: Path) -> None:
    first, second = tar_of({"1.jpg": b"a"}), tar_of({"1.jpg": b"b"})
    archive.write_bytes(first[:1024] + second)
    with pytest.raises(ValueError, match=r"contains 1\.jpg twice"):
        index_tar(archive)


def cut_in_a_member(content: bytes) -> bytes:
    return content[: 512 + 100]


def cut_between_members(content: bytes) -> bytes:
    return content[:1024]


def cut_in_a_header(content: bytes) -> bytes:
    return content[:1100]


def overwrite_the_second_header(content: bytes) -> bytes:
    return content[:1024] + b"\xff" * 512 + content[1536:]


def compress(content: bytes) -> bytes:
    return tar_of({"1.jpg": content}, "w:gz")


@pytest.mark.parametrize(
    "damage", [cut_in_a_member, cut_between_members, cut_in_a_header, overwrite_the_second_header, compress]
)
def test_a_damaged_archive_is_an_error_and_loses_no_image_silently(
    archive: Path, damage: Callable[[bytes], bytes]
) -> None:
    intact = tar_of({"1.jpg": b"a" * 300, "2.jpg": b"b" * 300, "3.jpg": b"c"})
    archive.write_bytes(damage(intact))
    with pytest.raises(ValueError, match=r"archive\.tar is damaged.*download it again"):
        index_tar(archive)
    archive.write_bytes(tar_of({"0.tar": tar_of({"0.jpg": b"d"}), "1.tar": damage(intact)}))
    with pytest.raises(ValueError, match=r"archive\.tar: 1\.tar is damaged"):
        index_tar(archive, index_tar(archive)[1])


def test_an_archive_truncated_after_indexing_is_an_os_error(archive: Path) -> None:
    archive.write_bytes(tar_of({"1.jpg": b"a" * 300}))
    (member,) = index_tar(archive)
    archive.write_bytes(archive.read_bytes()[:600])
    with pytest.raises(OSError, match=r"1\.jpg: the file ends after 88 of 300 bytes"):
        read_member(archive, member)


def test_named_members_of_a_gzipped_archive_are_read(tmp_path: Path) -> None:
    file = tmp_path / "archive.tar.gz"
    file.write_bytes(tar_of({"./a/1": b"one", "a/2": b"two", "a/3": b"three"}, "w:gz"))
    assert read_gzipped_members(file, ["a/1", "a/3", "a/4"]) == {"a/1": b"one", "a/3": b"three"}


@pytest.mark.parametrize(
    "damage", [lambda c: c[:-20], lambda c: b"junk", lambda c: c[:40] + bytes(40) + c[80:]]
)
def test_a_damaged_gzipped_archive_is_an_error(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    file = tmp_path / "archive.tar.gz"
    noise = bytes(range(256)) * 40
    file.write_bytes(damage(tar_of({"a": noise}, "w:gz")))
    with pytest.raises(ValueError, match="damaged or truncated"):
        read_gzipped_members(file, ["a"])
