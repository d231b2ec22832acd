"""Finding the folder of CLIP's weights, and downloading it from a server that answers like the Hugging Face hub."""

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
    """An empty Hugging Face cache, and nothing in the environment."""
    monkeypatch.delenv(WEIGHTS_VARIABLE, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    return tmp_path / "hub"


def some_folder(folder: Path) -> Path:
    folder.mkdir()
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    return folder


def test_a_given_folder_goes_before_the_environment_and_that_before_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named, given = some_folder(tmp_path / "named"), some_folder(tmp_path / "given")
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(named))
    assert find_clip_weights() == named
    assert find_clip_weights(given) == given


def test_a_missing_folder_that_was_asked_for_is_not_replaced_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(some_folder(tmp_path / "named")))
    with pytest.raises(MissingWeightsError, match="given, the place that the settings named"):
        find_clip_weights(tmp_path / "given")


def test_what_is_not_there_is_downloaded_once_and_then_found_in_the_cache(cache: Path) -> None:
    with serving_model(SERVED.repository, SERVED.revision, FILES) as hub:
        folder = find_clip_weights(release=SERVED, endpoint=hub.url)
        assert folder.is_relative_to(cache)
        assert {file.name: file.read_bytes() for file in folder.iterdir()} == FILES
        num_asked = len(hub.asked)
        assert num_asked >= 2
        assert find_clip_weights(release=SERVED, endpoint=hub.url) == folder
        assert len(hub.asked) == num_asked


def test_a_download_with_another_checksum_is_refused(cache: Path) -> None:
    with (
        serving_model(RELEASE.repository, RELEASE.revision, FILES) as hub,
        pytest.raises(ValueError, match=f"is damaged: its sha256 is {SERVED.sha256}, not {RELEASE.sha256}"),
    ):
        find_clip_weights(endpoint=hub.url)


@pytest.mark.parametrize("is_offline", [True, False], ids=["offline", "a hub without the file"])
def test_what_cannot_be_downloaded_says_where_to_get_it_and_where_to_put_it(
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
