"""Finding, downloading and reading the weights file of Inception."""

import hashlib
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from lzn_testing.servers.file_server import serving

from lzn.metrics.inception_weights import (
    RELEASE,
    WEIGHTS_VARIABLE,
    MissingWeightsError,
    find_inception_weights,
    read_weights,
)

PYTORCH_FID_NAME = "pt_inception-2015-12-05-6726825d.pth"
TORCH_FIDELITY_NAME = "weights-inception-2015-12-05-6726825d.pth"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of torch hub, without the environment variable."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv(WEIGHTS_VARIABLE, raising=False)
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def some_file(path: Path) -> Path:
    path.write_bytes(b"weights")
    return path


@pytest.mark.parametrize("name", [PYTORCH_FID_NAME, TORCH_FIDELITY_NAME])
def test_a_file_in_the_cache_of_torch_hub_is_found_by_both_names(cache: Path, name: str):
    file = some_file(cache / name)
    assert find_inception_weights() == file


def test_a_given_path_precedes_the_environment_variable_which_precedes_the_cache(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    cached, named, given = (
        some_file(path) for path in (cache / PYTORCH_FID_NAME, tmp_path / "named.pth", tmp_path / "given.pth")
    )
    assert find_inception_weights() == cached
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(named))
    assert find_inception_weights() == named
    assert find_inception_weights(given) == given


def test_a_given_file_that_is_missing_is_an_error_although_another_file_exists(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    some_file(cache / PYTORCH_FID_NAME)
    with pytest.raises(MissingWeightsError, match=r"given\.pth"):
        find_inception_weights(tmp_path / "given.pth")
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(tmp_path / "named.pth"))
    with pytest.raises(MissingWeightsError, match=rf"named\.pth, which is set by {WEIGHTS_VARIABLE}"):
        find_inception_weights()


NOWHERE = replace(
    RELEASE, url="http://127.0.0.1:9/weights.pth"
)  # the port "discard", on which no server listens


def test_the_error_for_missing_weights_says_what_to_download_and_where_to_put_it(cache: Path):
    with pytest.raises(MissingWeightsError, match=r"Inception-2015-12-05.*failed") as caught:
        find_inception_weights(release=NOWHERE)
    for word in (RELEASE.url, str(cache), WEIGHTS_VARIABLE):
        assert word in str(caught.value)
    assert list(cache.iterdir()) == []


def test_missing_weights_are_downloaded_once_into_the_cache_of_torch_hub(cache: Path):
    content = b"weights"
    with serving(content) as server:
        served = replace(RELEASE, url=server.url, sha256=hashlib.sha256(content).hexdigest())
        assert find_inception_weights(release=served) == cache / PYTORCH_FID_NAME
        assert find_inception_weights(release=served).read_bytes() == content
        assert len(server.asked) == 1


def test_a_download_with_another_checksum_or_truncated_is_an_error_and_not_kept(cache: Path):
    with serving(b"weights") as server:
        release = replace(RELEASE, url=server.url)
        with pytest.raises(MissingWeightsError, match=r"failed .*hash"):
            find_inception_weights(release=release)
        server.stop_after = 3
        whole = replace(release, sha256=hashlib.sha256(b"weights").hexdigest())
        with pytest.raises(MissingWeightsError, match="failed"):
            find_inception_weights(release=whole)
        with pytest.raises(MissingWeightsError, match="404"):
            find_inception_weights(release=replace(release, url=f"{server.url}/missing"))
    assert list(cache.iterdir()) == []


def test_a_home_directory_is_expanded(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    file = some_file(tmp_path / "weights.pth")
    assert find_inception_weights(Path("~/weights.pth")) == file


@pytest.mark.parametrize("zip_format", [True, False], ids=["zip", "before PyTorch 1.6"])
def test_weights_and_the_hash_of_their_file_are_read(tmp_path: Path, zip_format: bool):
    file = tmp_path / "weights.pth"
    state_dict = torch.nn.Linear(3, 2).state_dict()
    torch.save(state_dict, file, _use_new_zipfile_serialization=zip_format)
    read = read_weights(file)
    assert read.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert read.state_dict.keys() == state_dict.keys()
    assert torch.equal(read.state_dict["weight"], state_dict["weight"])


def test_a_file_whose_name_contains_another_hash_is_an_error(tmp_path: Path):
    torch.save({"weight": torch.zeros(3)}, tmp_path / "weights.pth")
    sha256 = read_weights(tmp_path / "weights.pth").sha256
    named_rightly = (tmp_path / "weights.pth").rename(tmp_path / f"weights-{sha256[:8]}.pth")
    assert read_weights(named_rightly).sha256 == sha256
    with pytest.raises(
        ValueError, match=f"damaged: .* must start with 6726825d .*, but is {sha256}; delete it"
    ):
        read_weights(named_rightly.rename(tmp_path / PYTORCH_FID_NAME))


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")  # making a TorchScript file
@pytest.mark.filterwarnings("ignore:.*TorchScript archive:UserWarning")  # a warning before the error
def test_the_error_for_a_file_without_weights_says_what_to_download(tmp_path: Path):
    whole = tmp_path / "whole.pth"
    torch.save({"weight": torch.zeros(1000)}, whole)
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "script.pth")
    (tmp_path / "truncated.pth").write_bytes(whole.read_bytes()[:2000])
    (tmp_path / "page.pth").write_text("<!DOCTYPE html><title>404 Not Found</title>")
    (tmp_path / "empty.pth").touch()
    for name in ("script", "truncated", "page", "empty"):
        with pytest.raises(ValueError, match=f"{name}.pth is not a .*file.* Download"):
            read_weights(tmp_path / f"{name}.pth")


class MakesFolder:
    """An object whose unrestricted unpickling makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, ...]:
        return Path.mkdir, (self.folder,)


def test_code_in_a_weights_file_is_not_executed(tmp_path: Path):
    file, folder = tmp_path / "weights.pth", tmp_path / "made"
    torch.save({"weight": MakesFolder(folder)}, file)
    with pytest.raises(ValueError, match="not a file of PyTorch tensors"):
        read_weights(file)
    assert not folder.exists()
    pickle.loads(pickle.dumps(MakesFolder(folder)))
    assert folder.exists()  # unrestricted unpickling executes the code


def test_the_error_for_reading_a_missing_file_says_what_to_download(tmp_path: Path):
    with pytest.raises(MissingWeightsError, match="Download"):
        read_weights(tmp_path / "absent.pth")
