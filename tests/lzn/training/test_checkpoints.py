"""Checkpoints on disk: atomic, verified, the newest good one is used, and a full disk damages none."""

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from lzn_testing.data.damaged_files import flip_a_bit, remove_the_digest, truncate

from lzn.training import CheckpointFolder


def state(number: int) -> dict[str, Any]:
    """Return a state of 80 kB, more than a file's buffer, so that a full disk is found while tensors are written."""
    generator = torch.Generator().manual_seed(number)
    return {
        "weights": {"a": torch.randn(20000, generator=generator)},
        "random_state": generator.get_state(),
        "progress": {
            "step": number,
            "sums": {"loss": 0.1 * number},
            "curve": [{"step": 1, "values": {"x": 1.5}}],
        },
    }


def assert_same(loaded: dict[str, Any] | None, number: int) -> None:
    assert loaded is not None
    assert loaded["progress"] == state(number)["progress"]
    assert torch.equal(loaded["weights"]["a"], state(number)["weights"]["a"])
    assert torch.equal(loaded["random_state"], state(number)["random_state"])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def folder_with(path: Path, *numbers: int) -> CheckpointFolder:
    folder = CheckpointFolder(path)
    for number in numbers:
        folder.save(number, state(number))
    return folder


def test_the_newest_checkpoint_is_loaded(tmp_path: Path) -> None:
    assert_same(folder_with(tmp_path, 5, 10).load_newest(), 10)


def test_an_empty_or_missing_folder_has_no_checkpoint(tmp_path: Path) -> None:
    assert CheckpointFolder(tmp_path).load_newest() is None
    assert CheckpointFolder(tmp_path / "new").load_newest() is None


def test_the_folder_and_its_parents_are_made(tmp_path: Path) -> None:
    assert_same(folder_with(tmp_path / "a" / "b", 1).load_newest(), 1)


def test_the_newest_checkpoint_is_that_of_the_highest_step(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path)
    for number in (1_000_000, 999_999):
        folder.save(number, state(number))
    assert_same(folder.load_newest(), 1_000_000)


@pytest.mark.parametrize("keep", [1, 3])
def test_only_the_last_checkpoints_are_kept_each_with_its_digest(tmp_path: Path, keep: int) -> None:
    folder = CheckpointFolder(tmp_path, keep=keep)
    for number in range(1, 6):
        folder.save(number, state(number))
    kept = [f"step_{number:09d}" for number in range(6 - keep, 6)]
    assert names(tmp_path) == sorted(f"{name}.{suffix}" for name in kept for suffix in ("pt", "sha256"))


def test_checkpoints_of_later_steps_are_kept_and_can_be_left_out(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, 20, 30, 5, 10, 15)
    kept = [f"step_{number:09d}.pt" for number in (10, 15, 20, 30)]
    assert [file.name for file in sorted(tmp_path.glob("*.pt"))] == kept
    assert_same(folder.load_newest(up_to=19), 15)
    assert folder.load_newest(up_to=9) is None


def test_the_note_of_the_newest_good_checkpoint_is_read_with_its_step(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path, make_note=lambda step: {"commit": f"c{step}"})
    assert folder.newest_note() is None
    for number in (5, 10):
        folder.save(number, state(number))
    note = folder.newest_note()
    assert note is not None
    assert (note.step, note.content) == (10, {"commit": "c10"})
    truncate(tmp_path / "step_000000010.pt")
    note = folder.newest_note()
    assert note is not None
    assert note.content == {"commit": "c5"}


def test_the_same_step_may_be_saved_again(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, 5)
    folder.save(5, state(6))
    assert_same(folder.load_newest(), 6)


def test_keeping_no_checkpoint_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="keep must be at least 1, got 0"):
        CheckpointFolder(tmp_path, keep=0)


def damage_the_digest(file: Path) -> None:
    file.with_suffix(".sha256").write_bytes(b"\xff\xfe" * 32)


@pytest.mark.parametrize("damage", [truncate, flip_a_bit, remove_the_digest, damage_the_digest, Path.unlink])
def test_the_checkpoint_before_a_damaged_one_is_used_with_a_warning(tmp_path: Path, damage: Any) -> None:
    folder = folder_with(tmp_path, 5, 10)
    newest = tmp_path / "step_000000010.pt"
    damage(newest)
    if newest.exists():
        with pytest.warns(UserWarning, match=r"step_000000010.pt is damaged; the one before is used"):
            loaded = folder.load_newest()
    else:
        loaded = folder.load_newest()
    assert_same(loaded, 5)


def test_each_damaged_checkpoint_is_named_in_a_warning_and_none_is_loaded(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, 5, 10)
    for file in tmp_path.glob("*.pt"):
        truncate(file)
    with pytest.warns(UserWarning, match="damaged") as warned:
        assert folder.load_newest() is None
    assert [str(warning.message).split()[1] for warning in warned] == [
        str(tmp_path / "step_000000010.pt"),
        str(tmp_path / "step_000000005.pt"),
    ]


def test_a_damaged_checkpoint_is_replaced_by_a_new_one_of_its_step(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, 5, 10)
    truncate(tmp_path / "step_000000010.pt")
    folder.save(10, state(10))
    assert_same(folder.load_newest(), 10)


def test_the_error_for_a_full_disk_says_what_to_do_and_older_checkpoints_remain(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, 5, 10)
    (tmp_path / "step_000000015.partial").symlink_to("/dev/full")  # every write fails with ENOSPC
    before = {name: (tmp_path / name).read_bytes() for name in names(tmp_path) if "partial" not in name}
    with pytest.raises(
        OSError, match=r"step_000000015.pt: No space left on device; free disk space.* resumes"
    ) as raised:
        folder.save(15, state(15))
    assert raised.value.filename == str(tmp_path)
    assert {name: (tmp_path / name).read_bytes() for name in names(tmp_path)} == before
    assert_same(folder.load_newest(), 10)
    folder.save(15, state(15))  # the disk has space again
    assert_same(folder.load_newest(), 15)


def test_the_error_names_a_file_at_the_path_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("")
    with pytest.raises(OSError, match=r"cannot write checkpoint step_000000001.pt: .*checkpoints'"):
        folder_with(tmp_path / "checkpoints", 1)


def test_a_half_written_file_of_a_killed_process_is_not_loaded_and_the_next_save_removes_it(
    tmp_path: Path,
) -> None:
    folder = folder_with(tmp_path, 5)
    whole = (tmp_path / "step_000000005.pt").read_bytes()
    (tmp_path / "step_000000007.partial").write_bytes(whole[: len(whole) // 2])
    assert_same(folder.load_newest(), 5)
    folder.save(10, state(10))
    assert not list(tmp_path.glob("*.partial"))


def test_a_checkpoint_is_loaded_by_its_step_and_a_missing_one_is_an_error(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, 5, 10)
    assert_same(folder.load(5), 5)
    with pytest.raises(FileNotFoundError, match=r"step_000000007\.pt"):
        folder.load(7)


def test_a_checkpoint_with_other_objects_than_tensors_and_plain_values_is_an_error(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path)
    folder.save(1, {"path": Path("x")})  # a pickled object, with the right digest
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        folder.load_newest()
