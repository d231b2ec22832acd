"""Worker processes that load batches: how many there are, when they end, and which signals they ignore."""

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from lzn_testing import PROJECT
from lzn_testing.data.numbered_images import NUM_IMAGES, numbered_set
from lzn_testing.models.sample_views import ProcessFacts, SleepsOn

from lzn.data import LoadedBatch, batch_indices, load_batches


def facts_of(batch: LoadedBatch) -> list[tuple[int, int]]:
    """Return the process id and the number of threads of the loader of each image."""
    return [
        (int.from_bytes(bytes(facts[:8].tolist()), "little"), int(facts[8]))
        for facts in batch.images.flatten(1)
    ]


def has_ended_within_a_minute(process_id: int) -> bool:
    for _ in range(600):
        if not Path(f"/proc/{process_id}").exists():
            return True
        time.sleep(0.1)
    return False


def test_workers_have_one_thread_and_last_for_the_whole_run() -> None:
    # 23 images in batches of 5 are 4 steps per epoch, so 12 steps are three epochs.
    batches = load_batches(
        numbered_set(), batch_size=5, seed=0, first_step=0, num_steps=12, num_workers=2, views=ProcessFacts()
    )
    facts = [fact for batch in batches for fact in facts_of(batch)]
    process_ids = {process_id for process_id, _ in facts}
    assert {num_threads for _, num_threads in facts} == {1}
    assert len(process_ids) == 2
    assert os.getpid() not in process_ids
    for process_id in process_ids:
        assert has_ended_within_a_minute(process_id)


def test_closing_ends_the_workers_and_zero_workers_start_no_process() -> None:
    settings: dict[str, Any] = {"batch_size": 5, "seed": 0, "first_step": 0, "num_steps": 1000}
    with closing(load_batches(numbered_set(), num_workers=1, views=ProcessFacts(), **settings)) as batches:
        process_ids = {process_id for process_id, _ in facts_of(next(batches))}
    for process_id in process_ids:
        assert has_ended_within_a_minute(process_id)
    with closing(load_batches(numbered_set(), views=ProcessFacts(), **settings)) as batches:
        assert {process_id for process_id, _ in facts_of(next(batches))} == {os.getpid()}


def test_a_busy_worker_ends_when_the_parent_closes_the_generator() -> None:
    settings: dict[str, Any] = {"batch_size": 1, "seed": 0}
    (second,) = batch_indices(1, num_samples=NUM_IMAGES, **settings).tolist()
    batches = load_batches(
        numbered_set(), first_step=0, num_steps=20, num_workers=1, views=SleepsOn(second), **settings
    )
    ((process_id, _),) = facts_of(next(batches))
    batches.close()
    assert has_ended_within_a_minute(process_id)


SCRIPT = """
import signal, sys
import numpy as np
from lzn.data import ImageSet, load_batches
from lzn_testing.models.sample_views import ProcessFacts

if __name__ == "__main__":
    received = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, frame: received.append(number))
    data = ImageSet(np.zeros((8, 1, 4, 4), np.uint8), np.zeros(8, np.int64))
    batches = load_batches(
        data, batch_size=4, seed=0, first_step=0, num_steps=10**6, num_workers=2, views=ProcessFacts()
    )
    print("starting", flush=True)
    for number, batch in enumerate(batches):
        if len(received) == 3 and number > 50:
            break
    print(len({tuple(facts.flatten().tolist()) for facts in batch.images}), flush=True)
    batches.close()
"""


@pytest.mark.slow
@pytest.mark.parametrize("wait", ["starting", "running"])
def test_a_signal_to_the_process_group_ends_no_worker(tmp_path: Path, wait: str) -> None:
    """Ctrl-C and schedulers signal every process; the parent can need more batches before it stops."""
    script = tmp_path / "watcher.py"
    script.write_text(SCRIPT)
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": f"{PROJECT}:{PROJECT / 'tests'}", "OMP_NUM_THREADS": "1"},
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "starting\n"
        # Workers import torch for seconds, so the first signals reach them before they run our code.
        time.sleep(0.5 if wait == "starting" else 8.0)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.killpg(process.pid, number)
        assert process.stdout.readline() == "2\n"
    assert process.returncode == 0
