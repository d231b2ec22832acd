"""Finding and reading the file of weights; what the network makes of them is in test_inception.py."""

import hashlib
import pickle
import subprocess
import sys
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
    """An empty cache of torch hub, and nothing in the environment."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv(WEIGHTS_VARIABLE, raising=False)
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def some_file(path: Path) -> Path:
    path.write_bytes(b"weights")
    return path


@pytest.mark.parametrize("name", [PYTORCH_FID_NAME, TORCH_FIDELITY_NAME])
def test_a_file_in_the_cache_of_torch_hub_is_found_under_both_its_names(cache: Path, name: str):
    file = some_file(cache / name)
    assert find_inception_weights() == file


def test_the_environment_goes_before_the_cache_and_a_given_path_before_both(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    cached, named, given = (
        some_file(path) for path in (cache / PYTORCH_FID_NAME, tmp_path / "named.pth", tmp_path / "given.pth")
    )
    assert find_inception_weights() == cached
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(named))
    assert find_inception_weights() == named
    assert find_inception_weights(given) == given


def test_a_missing_file_that_was_asked_for_is_not_replaced_by_another(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    some_file(cache / PYTORCH_FID_NAME)
    with pytest.raises(MissingWeightsError, match=r"given\.pth"):
        find_inception_weights(tmp_path / "given.pth")
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(tmp_path / "named.pth"))
    with pytest.raises(MissingWeightsError, match=rf"named\.pth, the place that {WEIGHTS_VARIABLE} named"):
        find_inception_weights()


NOWHERE = replace(RELEASE, url="http://127.0.0.1:9/weights.pth")  # the port "discard", where nothing answers


def test_without_weights_the_error_says_what_to_download_from_where_and_where_to_put_it(cache: Path):
    with pytest.raises(MissingWeightsError, match=r"Inception-2015-12-05.*failed") as caught:
        find_inception_weights(release=NOWHERE)
    for word in (RELEASE.url, str(cache), WEIGHTS_VARIABLE):
        assert word in str(caught.value)
    assert list(cache.iterdir()) == []


def test_what_is_not_there_is_downloaded_once_into_the_cache_of_torch_hub(cache: Path):
    content = b"weights"
    with serving(content) as server:
        served = replace(RELEASE, url=server.url, sha256=hashlib.sha256(content).hexdigest())
        assert find_inception_weights(release=served) == cache / PYTORCH_FID_NAME
        assert find_inception_weights(release=served).read_bytes() == content
        assert len(server.asked) == 1


def test_a_download_with_another_checksum_or_cut_short_is_refused_and_not_kept(cache: Path):
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
def test_weights_are_read_with_the_hash_of_their_file(tmp_path: Path, zip_format: bool):
    file = tmp_path / "weights.pth"
    state_dict = torch.nn.Linear(3, 2).state_dict()
    torch.save(state_dict, file, _use_new_zipfile_serialization=zip_format)
    read = read_weights(file)
    assert read.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert read.state_dict.keys() == state_dict.keys()
    assert torch.equal(read.state_dict["weight"], state_dict["weight"])


def test_a_file_named_after_another_hash_is_called_damaged(tmp_path: Path):
    torch.save({"weight": torch.zeros(3)}, tmp_path / "weights.pth")
    sha256 = read_weights(tmp_path / "weights.pth").sha256
    named_rightly = (tmp_path / "weights.pth").rename(tmp_path / f"weights-{sha256[:8]}.pth")
    assert read_weights(named_rightly).sha256 == sha256
    with pytest.raises(ValueError, match=f"damaged: .* starts with 6726825d, but it is {sha256}; delete it"):
        read_weights(named_rightly.rename(tmp_path / PYTORCH_FID_NAME))


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")  # how TorchScript files are made
@pytest.mark.filterwarnings("ignore:.*TorchScript archive:UserWarning")  # said before the error
def test_files_that_hold_no_weights_are_refused_with_advice(tmp_path: Path):
    whole = tmp_path / "whole.pth"
    torch.save({"weight": torch.zeros(1000)}, whole)
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "script.pth")
    (tmp_path / "truncated.pth").write_bytes(whole.read_bytes()[:2000])
    (tmp_path / "page.pth").write_text("<!DOCTYPE html><title>404 Not Found</title>")
    (tmp_path / "empty.pth").touch()
    for name in ("script", "truncated", "page", "empty"):
        with pytest.raises(ValueError, match=f"{name}.pth is not a file of PyTorch weights. Download"):
            read_weights(tmp_path / f"{name}.pth")


class MakesFolder:
    """Unpickled freely, it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, ...]:
        return Path.mkdir, (self.folder,)


def test_code_in_a_file_of_weights_is_not_executed(tmp_path: Path):
    file, folder = tmp_path / "weights.pth", tmp_path / "made"
    torch.save({"weight": MakesFolder(folder)}, file)
    with pytest.raises(ValueError, match="not a file of PyTorch weights"):
        read_weights(file)
    assert not folder.exists()
    pickle.loads(pickle.dumps(MakesFolder(folder)))
    assert folder.exists()  # so the file would have been harmful


def test_a_missing_file_cannot_be_read(tmp_path: Path):
    with pytest.raises(MissingWeightsError, match="Download"):
        read_weights(tmp_path / "absent.pth")


def test_neither_the_metrics_nor_finding_weights_import_what_is_slow_to_import():
    program = (
        "import sys, lzn.metrics, lzn.metrics.inception_weights, lzn.metrics.clip;"
        "sys.exit(any(name in sys.modules for name in ('torch_fidelity', 'transformers', 'huggingface_hub')))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
