"""Downloads from a local server: complete, continued, changed and failed ones; files are named by their hash."""

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from lzn_testing.servers.file_server import FileServer, serving

from pipelines.local.prefect_server import free_port
from stages.training.downloads import DownloadError, download

CONTENT = bytes(range(256)) * 5000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
OTHER_SHA256 = hashlib.sha256(b"other").hexdigest()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving(CONTENT) as running:
        yield running


def test_a_file_is_named_by_its_hash_and_downloaded_once(tmp_path: Path, server: FileServer) -> None:
    for _ in range(2):
        file = download(server.url, sha256=SHA256, folder=tmp_path / "downloads")
    assert file == tmp_path / "downloads" / SHA256
    assert file.read_bytes() == CONTENT
    assert server.asked == [None]


def test_a_damaged_file_is_downloaded_again(tmp_path: Path, server: FileServer) -> None:
    (tmp_path / SHA256).write_bytes(CONTENT[:-1])
    assert download(server.url, sha256=SHA256, folder=tmp_path).read_bytes() == CONTENT


def test_an_interrupted_download_is_an_error_and_the_next_one_continues_it(
    tmp_path: Path, server: FileServer
) -> None:
    server.stop_after = 400_000
    with pytest.raises(
        DownloadError, match=rf"400000 of {len(CONTENT)} bytes.*after the 400000 bytes that are kept"
    ):
        download(server.url, sha256=SHA256, folder=tmp_path)
    assert not (tmp_path / SHA256).exists()
    server.stop_after = None
    assert download(server.url, sha256=SHA256, folder=tmp_path).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=400000-"]


def test_without_range_requests_a_download_starts_again(tmp_path: Path, server: FileServer) -> None:
    (tmp_path / f"{SHA256}.part").write_bytes(CONTENT[:1000])
    server.knows_ranges = False
    assert download(server.url, sha256=SHA256, folder=tmp_path).read_bytes() == CONTENT


def test_a_complete_part_is_used(tmp_path: Path, server: FileServer) -> None:
    (tmp_path / f"{SHA256}.part").write_bytes(CONTENT)
    assert download(server.url, sha256=SHA256, folder=tmp_path).read_bytes() == CONTENT


def test_a_part_of_another_file_is_discarded(tmp_path: Path, server: FileServer) -> None:
    (tmp_path / f"{SHA256}.part").write_bytes(b"x" * 1000)
    assert download(server.url, sha256=SHA256, folder=tmp_path).read_bytes() == CONTENT
    assert server.asked == ["bytes=1000-", None]


def test_a_file_with_another_hash_is_an_error_and_is_kept_under_its_hash(
    tmp_path: Path, server: FileServer
) -> None:
    with pytest.raises(DownloadError, match=f"has sha256 {SHA256}, not {OTHER_SHA256}"):
        download(server.url, sha256=OTHER_SHA256, folder=tmp_path)
    assert download(server.url, sha256=SHA256, folder=tmp_path).read_bytes() == CONTENT
    assert server.asked == [None]


def test_the_error_names_a_file_that_the_server_does_not_have(tmp_path: Path, server: FileServer) -> None:
    url = f"{server.url}/missing"
    with pytest.raises(DownloadError, match=f"{url} could not be downloaded: 404 Not Found.*give its path"):
        download(url, sha256=SHA256, folder=tmp_path)


def test_the_error_names_a_server_that_does_not_respond(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}/file.pt"
    with pytest.raises(DownloadError, match=rf"{url} could not be downloaded: .*refused"):
        download(url, sha256=SHA256, folder=tmp_path)


def test_two_threads_download_the_same_file_once(tmp_path: Path, server: FileServer) -> None:
    threads = [
        threading.Thread(target=download, args=(server.url,), kwargs={"sha256": SHA256, "folder": tmp_path})
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / SHA256).read_bytes() == CONTENT
    assert server.asked == [None]
