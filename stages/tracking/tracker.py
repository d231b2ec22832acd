"""Logs a stage's parameters, metrics and files to MLflow: first to the outbox on disk, then to the server."""

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lzn.base.nested import flatten
from stages.runtime.project_root import in_project
from stages.tracking.environment import experiment_tags, set_client_defaults
from stages.tracking.identity import RunIdentity, check_artifact, check_names
from stages.tracking.outbox import Outbox
from stages.tracking.records import (
    Artifact,
    DatasetInput,
    Datasets,
    End,
    ExperimentTags,
    MetricRow,
    Metrics,
    Model,
    Params,
    Record,
    Scalar,
    Start,
    Summary,
    Tags,
    UsedModels,
)
from stages.tracking.system_metrics import SystemMetrics
from stages.tracking.table_json import table_as_json

DEFAULT_OUTBOX = ".mlflow-outbox"
"""The folder of outboxes, in the project's root."""

# The limit of one request.
_SEND_AT_POINTS = 1000


class Tracker:
    """Context manager around a stage's work, created by ``open`` or ``join``; for one thread.

    Everything is sent at once, except metrics: they are sent every ``send_every_s`` seconds or 1000 values, so that
    they can be logged at every step. The end of the block sends the rest. An unavailable server is reported on stderr
    once; unsent records stay in ``outbox`` until a later tracker is opened with it.

    Raises:
        OSError: the outbox cannot be written.
    """

    def __init__(
        self,
        identity: RunIdentity,
        *,
        outbox: Path | None,
        tags: Mapping[str, str],
        owns_status: bool,
        send_every_s: float,
        system_metrics_every_s: float | None = None,
    ) -> None:
        check_names(tags)
        set_client_defaults()
        from stages.tracking.delivery import Delivery, process_tags  # noqa: PLC0415 - imports MLflow

        self._identity = identity
        outbox = in_project(DEFAULT_OUTBOX) if outbox is None else outbox
        self._outbox = Outbox(outbox, key=identity.key)
        self._delivery = Delivery(outbox)
        self._owns_status = owns_status
        self._send_every_s = send_every_s
        self._status: str | None = None
        self._summary_ms = 0
        own_tags = {**tags, **experiment_tags(), **process_tags()} if owns_status else dict(tags)
        self._record(Start(time_ms=_now_ms(), tags=own_tags, owns_status=owns_status))
        self._send()
        self._delivery.deliver_leftovers(except_key=identity.key)
        if owns_status:
            self._delivery.end_abandoned_runs(identity)
        self._system_metrics = (
            None
            if system_metrics_every_s is None
            else SystemMetrics(self._record, interval_s=system_metrics_every_s)
        )

    @classmethod
    def open(
        cls,
        identity: RunIdentity,
        *,
        outbox: Path | None = None,
        tags: Mapping[str, str],
        send_every_s: float = 5.0,
        system_metrics_every_s: float | None = None,
    ) -> Self:
        """Continue the run of this key, or create it; for the stage whose status is the run's status (training).

        The status is RUNNING inside the block. After it: FINISHED if ``finish`` was called; KILLED after ``kill``,
        after neither, or after KeyboardInterrupt; FAILED after any other exception. RUNNING runs of the same experiment
        whose process on this machine no longer exists become KILLED. With ``system_metrics_every_s``, the use of the
        machine is measured until the end of the block.
        """
        return cls(
            identity,
            outbox=outbox,
            tags=tags,
            owns_status=True,
            send_every_s=send_every_s,
            system_metrics_every_s=system_metrics_every_s,
        )

    @classmethod
    def join(
        cls,
        identity: RunIdentity,
        *,
        outbox: Path | None = None,
        tags: Mapping[str, str],
        send_every_s: float = 5.0,
    ) -> Self:
        """Add to the run of another stage without changing its status; a missing run is created as FINISHED."""
        return cls(identity, outbox=outbox, tags=tags, owns_status=False, send_every_s=send_every_s)

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Log parameters; nested ones by dotted names (``optimizer.lr``). MLflow keeps the first value of each."""
        flat = flatten(params)
        check_names(flat)
        self._record(Params({name: str(value) for name, value in flat.items()}))
        self._send()

    def log_metrics(self, rows: Sequence[MetricRow]) -> None:
        """Log points of curves. The first value at a step is kept, so a resumed training may log steps again."""
        for row in rows:
            check_names(row.values)
        points = [
            (name, float(value), row.timestamp_ms, row.step)
            for row in rows
            for name, value in row.values.items()
        ]
        if points:
            self._record(Metrics(points))
        self._unsent_points += len(points)
        if self._unsent_points >= _SEND_AT_POINTS or time.monotonic() >= self._send_at:
            self._send()

    def log_summary(
        self,
        values: Mapping[str, float],
        *,
        curves: Sequence[tuple[str, float, int]] = (),
        model: str = "",
        dataset: DatasetInput | None = None,
    ) -> None:
        """Log final numbers. The newest value is valid; the same value again changes nothing.

        Args:
            values: numbers by name, at step 0.
            curves: numbers at other steps: name, value, step.
            model: the key of the model that they measure; they become numbers of this model too.
            dataset: the data on which they are measured.
        """
        check_names({**values, **{name: value for name, value, _ in curves}})
        # Of two values with the same time in milliseconds MLflow takes the larger one as the newest.
        self._summary_ms = max(_now_ms(), self._summary_ms + 1)
        self._record(
            Summary(
                {name: float(value) for name, value in values.items()},
                time_ms=self._summary_ms,
                curves=[(name, float(value), step) for name, value, step in curves],
                model=model,
                dataset=[] if dataset is None else [dataset.name, dataset.digest],
            )
        )
        self._send()

    def log_datasets(self, datasets: Sequence[DatasetInput]) -> None:
        """Log which data the run reads."""
        self._record(Datasets([asdict(dataset) for dataset in datasets]))
        self._send()

    def log_model(
        self,
        key: str,
        name: str,
        *,
        step: int,
        tags: Mapping[str, str],
        params: Mapping[str, str],
        folder: Path | None = None,
    ) -> None:
        """Log a model that the run made: ``folder`` is in MLflow's format; None for a model known by its tags only."""
        model = Model(key, name, step=step, file="", tags=dict(tags), params=dict(params))
        if folder is None:
            self._record(model)
        else:
            self._outbox.append_file(
                self._identity,
                "model",
                write=lambda copy: shutil.copytree(folder, copy),
                record_of=lambda file: replace(model, file=file),
            )
        self._send()

    def log_used_models(self, keys: Sequence[str]) -> None:
        """Log which models the run reads, by their keys."""
        self._record(UsedModels(list(keys)))
        self._send()

    def log_file(self, path: Path, artifact: str) -> None:
        """Store the file ``path`` as ``artifact`` (``samples/grid.png``); it replaces an earlier one."""
        check_artifact(artifact)
        self._append_artifact(artifact, lambda copy: shutil.copyfile(path, copy), is_table=False)

    def log_table(self, columns: Mapping[str, Sequence[Scalar]], artifact: str) -> None:
        """Store a table for ``mlflow.load_table``; it replaces an earlier one. NaN becomes null.

        Raises:
            ValueError: ``artifact`` does not end in ``.json``, or the columns have different lengths.
        """
        check_artifact(artifact)
        text = table_as_json(columns, artifact)
        self._append_artifact(artifact, lambda copy: copy.write_text(text, encoding="utf-8"), is_table=True)

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags; a later value replaces an earlier one."""
        check_names(tags)
        self._record(Tags(dict(tags)))
        self._send()

    def set_experiment_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags of the run's experiment; a later value replaces an earlier one."""
        check_names(tags)
        self._record(ExperimentTags(dict(tags)))
        self._send()

    def finish(self) -> None:
        """Declare the work complete: the status after the block is FINISHED."""
        self._status = "FINISHED"

    def kill(self) -> None:
        """Declare the stage stopped: the status after the block is KILLED, whatever the exception."""
        self._status = "KILLED"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._system_metrics is not None:
            self._system_metrics.stop()
        if self._owns_status:
            self._record(End(status=self._final_status(error), time_ms=_now_ms()))
        self._send(at_end=True)

    def _final_status(self, error: BaseException | None) -> str:
        if self._status == "KILLED" or isinstance(error, KeyboardInterrupt):
            return "KILLED"
        if error is not None:
            return "FAILED"
        return self._status or "KILLED"

    def _append_artifact(self, artifact: str, write: Callable[[Path], object], *, is_table: bool) -> None:
        self._outbox.append_file(
            self._identity,
            artifact,
            write=write,
            record_of=lambda file: Artifact(file=file, artifact=artifact, is_table=is_table),
        )
        self._send()

    def _record(self, record: Record) -> None:
        self._outbox.append(self._identity, record)

    def _send(self, *, at_end: bool = False) -> None:
        self._delivery.deliver(self._identity.key, at_end=at_end)
        self._unsent_points = 0
        self._send_at = time.monotonic() + self._send_every_s


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
