"""The queue of requests for GPUs: whoever came first is served first. One process, no time: a wait calls a function."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pipelines.cluster.worker import gpus
from pipelines.cluster.worker.gpus import GpuWaitStoppedError, leased_gpus
from pipelines.processes.signals import StopEvents

TWO = ("0", "1")


@pytest.fixture
def at_first_wait(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Set what happens while the first waiting request waits; later waits are the real ones, which a stop ends."""

    def install(action: Callable[[], object]) -> None:
        real = gpus._wait

        def wait(stop: StopEvents) -> None:
            monkeypatch.setattr(gpus, "_wait", real)
            action()

        monkeypatch.setattr(gpus, "_wait", wait)

    return install


def would_wait(folder: Path, count: int, available: Sequence[str]) -> bool:
    """Return whether a request made now has to wait."""
    stop = StopEvents()
    stop.requested.set()
    try:
        with leased_gpus(count, folder, available, stop=stop):
            return False
    except GpuWaitStoppedError:
        return True


@pytest.mark.parametrize("order", [TWO, TWO[::-1]], ids="-".join)
def test_a_later_request_for_one_free_gpu_does_not_overtake_one_for_both(
    tmp_path: Path, at_first_wait: Callable[[Callable[[], object]], None], order: Sequence[str]
) -> None:
    """In whichever order both name the GPUs, GPU 1 is free while the request for two waits for GPU 0."""
    first = leased_gpus(1, tmp_path, TWO)
    assert first.__enter__().gpus == ("0",)
    waited: list[bool] = []

    def later_request() -> None:
        waited.append(would_wait(tmp_path, 1, order))
        first.__exit__(None, None, None)

    at_first_wait(later_request)
    with leased_gpus(2, tmp_path, TWO) as lease:
        assert set(lease.gpus) == set(TWO)
    assert waited == [True]
    assert not would_wait(tmp_path, 2, order)


def test_the_queue_is_free_as_soon_as_a_request_has_its_gpus(tmp_path: Path) -> None:
    with leased_gpus(1, tmp_path, TWO), leased_gpus(1, tmp_path, TWO) as second:
        assert second.gpus == ("1",)
        assert would_wait(tmp_path, 1, TWO)


def test_a_request_that_cannot_have_all_gpus_holds_none_while_it_waits(
    tmp_path: Path, at_first_wait: Callable[[Callable[[], object]], None]
) -> None:
    first = leased_gpus(1, tmp_path, TWO)
    first.__enter__()
    waited: list[bool] = []

    def request_of_another_queue() -> None:
        waited.append(would_wait(tmp_path, 1, ("1", "2")))
        first.__exit__(None, None, None)

    at_first_wait(request_of_another_queue)
    with leased_gpus(2, tmp_path, TWO):
        pass
    assert waited == [False]
