"""Measures the use of processor, memory, disk, network and GPUs while a run is running, by MLflow's own monitors.

MLflow's own thread asks the server before it measures, and ends when the server fails. The thread here hands its points
to the outbox, as everything else that a stage logs.
"""

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

from stages.tracking.records import Metrics

PREFIX = "system/"
"""How MLflow's user interface recognises metrics of its page "System metrics"."""


class SystemMetrics:
    """A thread that measures every ``interval_s`` seconds and calls ``append`` with the points.

    The step of a point is the time in seconds since the epoch, so that a resumed run continues the curve.
    """

    def __init__(self, append: Callable[[Metrics], object], *, interval_s: float) -> None:
        self._append = append
        self._interval_s = interval_s
        self._monitors = _monitors()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Measure once more, and end the thread."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._interval_s):
            self._measure()
        self._measure()

    def _measure(self) -> None:
        now = time.time()
        points = []
        for monitor in self._monitors:
            monitor.collect_metrics()
            values = monitor.aggregate_metrics()
            points += [
                (f"{PREFIX}{name}", float(value), int(now * 1000), int(now)) for name, value in values.items()
            ]
            monitor.clear_metrics()
        try:
            self._append(Metrics(points))
        except OSError:  # a full disk; the stage itself reports it, because it writes there too
            self._stop.set()


def _monitors() -> list[Any]:
    """Return MLflow's monitors; that of GPUs needs a GPU and the package nvidia-ml-py."""
    from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor  # noqa: PLC0415 - imports MLflow
    from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor  # noqa: PLC0415
    from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor  # noqa: PLC0415
    from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor  # noqa: PLC0415

    monitors: list[Any] = [CPUMonitor(), DiskMonitor(), NetworkMonitor()]  # type: ignore[no-untyped-call]
    with contextlib.suppress(ImportError, RuntimeError):  # without the package, or without GPU
        monitors.append(GPUMonitor())  # type: ignore[no-untyped-call]
    return monitors
