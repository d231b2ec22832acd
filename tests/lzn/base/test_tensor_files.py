"""Files given as checkpoints or weights are named as what they are, without PyTorch's advice to allow code."""

from pathlib import Path

import pytest
import torch
from lzn_testing import PROJECT

from lzn.base.file_kinds import HEAD_BYTES, kind_of
from lzn.base.tensor_files import load_safetensors_file, load_torch_file
from lzn.released import ReleasedCheckpoint

CASES = PROJECT / "tests/cases/checkpoints"
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 123\n"


class Foreign:
    """An object that is no tensor."""


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("html.pt", "it is a web page (HTML)"),
        ("empty.pt", "it is an empty file"),
        ("one.pt", "it is a text file"),
        ("zip.pt", "it is a zip file without tensors"),
    ],
)
@pytest.mark.parametrize("read", [load_torch_file, ReleasedCheckpoint.read])
def test_a_file_that_is_no_checkpoint_is_named_in_one_line(name: str, what: str, read: object) -> None:
    with pytest.raises(ValueError, match="is not a file of PyTorch tensors") as raised:
        read(CASES / name)  # type: ignore[operator]
    message = str(raised.value)
    assert message.startswith(f"{CASES / name} is not")
    assert what in message
    assert "\n" not in message
    assert "weights_only" not in message


def test_a_state_dict_of_a_parallel_model_is_named(tmp_path: Path) -> None:
    checkpoint = ReleasedCheckpoint.read(CASES / "ddp.pt")
    with pytest.raises(ValueError, match=r"names of a model in DistributedDataParallel such as module\.x"):
        checkpoint.tensors("encoder")
    torch.save({f"module.{number}": torch.zeros(1) for number in range(100)}, tmp_path / "flat.pt")
    with pytest.raises(
        ValueError, match=r"state dict of a model in DistributedDataParallel \(100 tensors"
    ) as raised:
        ReleasedCheckpoint.read(tmp_path / "flat.pt").tensors("encoder")
    assert len(str(raised.value)) < 400


def test_other_kinds_are_named(tmp_path: Path) -> None:
    contents = {
        "lfs": LFS,
        "gzip": b"\x1f\x8b\x08" + bytes(20),
        "text": b"plain words",
        "pickle": b"\x80\x02.",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=str(tmp_path / name)) as raised:
            load_torch_file(tmp_path / name)
        assert "weights_only" not in str(raised.value)
    with pytest.raises(ValueError, match=r"a Git LFS pointer and not the file itself \(git lfs pull\)"):
        load_torch_file(tmp_path / "lfs")
    with pytest.raises(ValueError, match="is a folder: name a file in it"):
        load_torch_file(tmp_path)
    with pytest.raises(FileNotFoundError):
        load_torch_file(tmp_path / "nowhere")


def test_other_objects_are_named_without_advice_to_allow_them(tmp_path: Path) -> None:
    torch.save({"a": Foreign()}, tmp_path / "x.pt")
    with pytest.raises(ValueError, match=r"it holds \S*Foreign, and only tensors") as raised:
        load_torch_file(tmp_path / "x.pt")
    assert "weights_only" not in str(raised.value)
    assert "add_safe_globals" not in str(raised.value)


def test_a_safetensors_file_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(LFS)
    with pytest.raises(ValueError, match=r"is not a safetensors file: it is a Git LFS pointer"):
        load_safetensors_file(tmp_path / "x.safetensors")
    (tmp_path / "x.safetensors").write_bytes(bytes(100))
    with pytest.raises(ValueError, match="is not a safetensors file"):
        load_safetensors_file(tmp_path / "x.safetensors")


def test_a_checkpoint_is_read_in_both_ways(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(2)}, tmp_path / "x.pt")
    for memory_map in (False, True):
        assert load_torch_file(tmp_path / "x.pt", memory_map=memory_map)["a"].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"", "an empty file"), (b"PK\x03\x04", "a zip file"), (b"%PDF-1.4", "a PDF file"),
        (b"<?xml version='1.0'?><svg>", "an SVG drawing"), (b"\xef\xbb\xbf<!DOCTYPE html>", "a web page (HTML)"),
        (b"\0\0\0\x18ftypheic", "a file of the kind HEIC"), (b"\0\0\0\x18ftypavif", "a file of the kind AVIF"),
        ("Wörter".encode(), "a text file"), (b"BMW is a car", "a text file"), (bytes(257) + b"ustar", "a tar file"),
    ],
)  # fmt: skip
def test_kinds_of_files_are_recognised_by_their_first_bytes(head: bytes, name: str) -> None:
    kind = kind_of(head[:HEAD_BYTES])
    assert kind is not None
    assert kind.name == name
    assert not kind.is_image


def test_unknown_bytes_are_no_kind() -> None:
    assert kind_of(b"\0\1\2\xff\xfe\xfd\xfc\xfb\xfa\xff") is None


def test_a_long_text_may_be_cut_within_a_character() -> None:
    kind = kind_of(("a" + "ä" * HEAD_BYTES).encode()[:HEAD_BYTES])
    assert kind is not None
    assert kind.name == "a text file"
