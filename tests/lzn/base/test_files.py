"""Files appear when they are complete, equal content gives equal bytes, and weights are read as they were written."""

import json
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from torch import nn

from lzn.base.files import atomic_write, load_weights, save_weights, write_json


def test_a_file_appears_at_the_end_of_the_block_in_a_new_folder(tmp_path: Path) -> None:
    file = tmp_path / "new" / "file.txt"
    with atomic_write(file) as partial:
        partial.write_text("content")
        assert not file.exists()
    assert [path.name for path in file.parent.iterdir()] == ["file.txt"]
    assert file.read_text() == "content"


def test_after_an_error_the_file_is_unchanged_and_no_other_file_is_left(tmp_path: Path) -> None:
    file = tmp_path / "file.txt"
    file.write_text("before")
    with suppress(RuntimeError), atomic_write(file) as partial:
        partial.write_text("incomplete")
        raise RuntimeError("failed")
    assert [path.name for path in tmp_path.iterdir()] == ["file.txt"]
    assert file.read_text() == "before"


def test_json_files_do_not_depend_on_the_order_of_keys(tmp_path: Path) -> None:
    write_json(tmp_path / "a" / "x.json", {"b": 1, "a": [1, 2]})
    write_json(tmp_path / "y.json", {"a": [1, 2], "b": 1})
    assert (tmp_path / "a" / "x.json").read_bytes() == (tmp_path / "y.json").read_bytes()
    assert (tmp_path / "y.json").read_text().endswith("}\n")


def test_content_that_is_not_json_leaves_the_file_unchanged(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    write_json(file, {"a": 1})
    with pytest.raises(TypeError, match="not JSON serializable"):
        write_json(file, {"a": 2, "b": object()})
    assert json.loads(file.read_text()) == {"a": 1}


def test_weights_are_read_as_they_were_written_in_any_memory_layout(tmp_path: Path) -> None:
    network, other = nn.Conv2d(3, 4, kernel_size=2), nn.Conv2d(3, 4, kernel_size=2)
    save_weights(network.to(memory_format=torch.channels_last), tmp_path / "weights.safetensors")
    assert load_weights(other, tmp_path / "weights.safetensors") is other
    assert torch.equal(other.weight, network.weight)
    assert torch.equal(other.bias, network.bias)


def test_weights_of_another_shape_raise(tmp_path: Path) -> None:
    save_weights(nn.Linear(2, 3), tmp_path / "weights.safetensors")
    with pytest.raises(RuntimeError, match="size mismatch"):
        load_weights(nn.Linear(3, 3), tmp_path / "weights.safetensors")
