"""The use of the machine while a run is running."""

import time
from pathlib import Path

import pytest
from lzn_testing.servers.mlflow_runs import curve, new_database, only_run
from mlflow.system_metrics.metrics import gpu_monitor
from mlflow.system_metrics.metrics.base_metrics_monitor import BaseMetricsMonitor

from stages.tracking import MetricRow, RunIdentity, Tracker

RUN = RunIdentity("lzn", "rf", "0123abcd")


def test_a_run_has_the_use_of_processor_memory_disk_and_network_and_a_resumed_run_continues_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = new_database(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    began = time.time()
    for _ in range(2):
        with Tracker.open(RUN, outbox=tmp_path / "outbox", tags={}, system_metrics_every_s=0.2) as tracker:
            for step in range(5):
                tracker.log_metrics([MetricRow(step, 1_800_000_000_000, {"loss": 1.0})])
                time.sleep(0.3)
            tracker.finish()
    run = only_run(uri, "lzn")
    names = {name for name in run.data.metrics if name.startswith("system/")}
    assert {"system/cpu_utilization_percentage", "system/system_memory_usage_megabytes"} <= names
    assert any("disk" in name for name in names)
    assert any("network" in name for name in names)
    points = curve(uri, run, "system/system_memory_usage_percentage")
    steps = [step for step, _ in points]
    assert len(steps) == len(set(steps)) >= 2
    assert began - 1 <= min(steps) <= max(steps) <= time.time()
    assert not (tmp_path / "outbox" / RUN.key).exists()


class TwoGpus(BaseMetricsMonitor):  # type: ignore[misc]
    """As MLflow's monitor on a machine with two GPUs."""

    def collect_metrics(self) -> None:
        for number in range(2):
            self._metrics[f"gpu_{number}_utilization_percentage"].append(50.0 + number)

    def aggregate_metrics(self) -> dict[str, float]:
        return {name: sum(values) / len(values) for name, values in self._metrics.items()}


def test_a_run_on_gpus_has_the_use_of_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = new_database(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setattr(gpu_monitor, "GPUMonitor", TwoGpus)
    with Tracker.open(RUN, outbox=tmp_path / "outbox", tags={}, system_metrics_every_s=60) as tracker:
        tracker.finish()
    metrics = only_run(uri, "lzn").data.metrics
    assert metrics["system/gpu_0_utilization_percentage"] == 50.0
    assert metrics["system/gpu_1_utilization_percentage"] == 51.0


def test_without_a_server_the_points_wait_in_the_outbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with Tracker.open(RUN, outbox=tmp_path / "outbox", tags={}, system_metrics_every_s=0.1) as tracker:
        time.sleep(0.3)
        tracker.finish()
    assert (
        "system/cpu_utilization_percentage" in (tmp_path / "outbox" / RUN.key / "journal.jsonl").read_text()
    )
