"""Finding the folder of CLIP's weights, and its download from a server with the interface of the Hugging Face hub."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import constants
from lzn_testing.servers.model_hub import serving_model

from lzn.metrics.clip_weights import (
    RELEASE,
    WEIGHTS_VARIABLE,
    MissingWeightsError,
    find_clip_weights,
)

FILES = {"config.json": b"{}", "pytorch_model.bin": b"weights"}
SERVED = replace(RELEASE, sha256=hashlib.sha256(FILES["pytorch_model.bin"]).hexdigest())


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty Hugging Face cache, without the environment variable."""
    monkeypatch.delenv(WEIGHTS_VARIABLE, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    return tmp_path / "hub"


def some_folder(folder: Path) -> Path:
    folder.mkdir()
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    return folder


def test_a_given_folder_precedes_the_environment_variable_which_precedes_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named, given = some_folder(tmp_path / "named"), some_folder(tmp_path / "given")
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(named))
    assert find_clip_weights() == named
    assert find_clip_weights(given) == given


def test_a_given_folder_that_is_missing_is_an_error_although_another_folder_exists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(some_folder(tmp_path / "named")))
    with pytest.raises(MissingWeightsError, match="given, which is set by the settings"):
        find_clip_weights(tmp_path / "given")


def test_missing_weights_are_downloaded_once_and_then_found_in_the_cache(cache: Path) -> None:
    with serving_model(SERVED.repository, SERVED.revision, FILES) as hub:
        folder = find_clip_weights(release=SERVED, endpoint=hub.url)
        assert folder.is_relative_to(cache)
        assert {file.name: file.read_bytes() for file in folder.iterdir()} == FILES
        num_requests = len(hub.asked)
        assert num_requests >= 2
        assert find_clip_weights(release=SERVED, endpoint=hub.url) == folder
        assert len(hub.asked) == num_requests


def test_a_download_with_another_checksum_is_an_error(cache: Path) -> None:
    with (
        serving_model(RELEASE.repository, RELEASE.revision, FILES) as hub,
        pytest.raises(ValueError, match=f"is damaged: its sha256 is {SERVED.sha256}, not {RELEASE.sha256}"),
    ):
        find_clip_weights(endpoint=hub.url)


@pytest.mark.parametrize("is_offline", [True, False], ids=["offline", "a hub without the file"])
def test_the_error_for_a_failed_download_says_where_to_get_the_weights_and_where_to_put_them(
    is_offline: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", is_offline)
    with (
        serving_model(RELEASE.repository, RELEASE.revision, {}) as hub,
        pytest.raises(
            MissingWeightsError, match=rf"(?s)failed.*Download.*huggingface\.co.*{WEIGHTS_VARIABLE}"
        ),
    ):
        find_clip_weights(endpoint=hub.url)
