"""Of several processes that start the same work, one does it at a time."""

import threading
import time
from pathlib import Path

import pytest
from filelock import FileLock

from stages.runtime.exclusive_work import exclusive_work


def test_a_second_process_waits_for_the_first_and_says_so_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "work/rf.lock"
    file.parent.mkdir()
    is_held, finished = threading.Event(), threading.Event()

    def work() -> None:
        with FileLock(file):
            is_held.set()
            time.sleep(1.0)
            finished.set()

    first = threading.Thread(target=work)
    first.start()
    is_held.wait()
    with exclusive_work(file, "train rf, seed 0"):
        assert finished.is_set()
    first.join()
    message = "train rf, seed 0: another process does the same work; waiting for it\n"
    assert capsys.readouterr().err == message


def test_the_lock_is_released_after_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError), exclusive_work(tmp_path / "rf.lock", "train rf"):
        _ = 1 / 0
    with exclusive_work(tmp_path / "rf.lock", "train rf"):
        pass
    assert capsys.readouterr().err == ""
