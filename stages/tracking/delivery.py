"""Empties outboxes into MLflow when it answers, and bears with it when it does not."""

import os
import socket
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from filelock import Timeout
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from stages.tracking import server
from stages.tracking.entries import Metrics, RunIdentity
from stages.tracking.environment import tracking_uri
from stages.tracking.outbox import Outbox, Pending, keys_with_pending_records
from stages.tracking.run_writer import KEY_TAG, RunWriter

HOST_TAG = "lzn.host"
PROCESS_TAG = "lzn.pid"

# An attempt that failed after d seconds is not repeated for 20 d, so that a silent server slows a training by
# 5 % at most; at the end of a stage, where no later attempt follows, for d.
_PATIENCE = 20.0
_PATIENCE_AT_END = 1.0
# How long to wait for another process that is sending records of the same run.
_LOCK_TIMEOUT_S = 60.0


class Delivery:
    """Sends the records below ``root``. Trouble with the server is said on stderr once, and never raised."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._uri = tracking_uri()
        self._client: MlflowClient | None = None
        self._writers: dict[str, RunWriter] = {}
        self._failed_at = -float("inf")
        self._failure_cost_s = 0.0
        self._warned = False

    def deliver(self, key: str, *, at_end: bool = False) -> None:
        """Sends all that waits in the outbox of the run ``key``, in order, as far as the server takes it."""
        self._attempt(
            [key], lock_timeout_s=_LOCK_TIMEOUT_S, patience=_PATIENCE_AT_END if at_end else _PATIENCE
        )

    def deliver_leftovers(self, *, except_key: str) -> None:
        """Sends what other processes left behind, unless they are at it."""
        keys = [key for key in keys_with_pending_records(self._root) if key != except_key]
        self._attempt(keys, lock_timeout_s=0, patience=_PATIENCE)

    def end_abandoned_runs(self, identity: RunIdentity) -> None:
        """Marks KILLED the experiment's RUNNING runs whose process was on this machine and is gone."""
        if self._must_wait(_PATIENCE):
            return
        try:
            with server.quiet_retries():
                self._end_abandoned_runs(identity)
        except server.FAILURES as error:
            self._warn(error)

    def _end_abandoned_runs(self, identity: RunIdentity) -> None:
        client = self._connected()
        runs = client.search_runs(
            [self._writer(identity).experiment_id],
            filter_string=f"attributes.status = 'RUNNING' and tags.`{HOST_TAG}` = '{socket.gethostname()}'",
        )
        for run in runs:
            tags = run.data.tags
            if tags.get(KEY_TAG) != identity.key and not _is_alive(tags.get(PROCESS_TAG, "")):
                client.set_terminated(run.info.run_id, status="KILLED")

    def _attempt(self, keys: Iterable[str], *, lock_timeout_s: float, patience: float) -> None:
        if self._must_wait(patience):
            return
        began = time.monotonic()
        try:
            with server.quiet_retries():
                for key in keys:
                    self._deliver_run(key, lock_timeout_s=lock_timeout_s)
        except server.FAILURES as error:
            self._writers.clear()  # the run may be another one when the server is back
            self._failed_at = time.monotonic()
            self._failure_cost_s = self._failed_at - began
            self._warn(error)

    def _must_wait(self, patience: float) -> bool:
        return time.monotonic() < self._failed_at + patience * self._failure_cost_s

    def _deliver_run(self, key: str, *, lock_timeout_s: float) -> None:
        outbox = Outbox(self._root, key=key)
        try:
            outbox.lock.acquire(timeout=lock_timeout_s)
        except Timeout:
            return  # the other process sends our records with its own
        try:
            self._empty(outbox)
        finally:
            outbox.lock.release()

    def _empty(self, outbox: Outbox) -> None:
        pending = outbox.read()
        done = 0
        try:
            for group in _groups(pending):
                self._send(group, outbox)
                done += len(group)
        finally:
            if done:
                outbox.strike(pending[:done], left=pending[done:])

    def _send(self, group: Sequence[Pending], outbox: Outbox) -> None:
        writer = self._writer(group[0].identity)
        try:
            writer.send([pending.entry for pending in group], files=outbox.files)
        except MlflowException as error:
            if not server.is_refused(error):
                raise
            # One of several may be to blame, or the run was deleted and must be found anew.
            del self._writers[outbox.key]
            for pending in group:
                self._send_or_set_aside(pending, outbox)

    def _send_or_set_aside(self, pending: Pending, outbox: Outbox) -> None:
        writer = self._writer(pending.identity)
        try:
            writer.send([pending.entry], files=outbox.files)
        except MlflowException as error:
            if not server.is_refused(error):
                raise
            kept, why = outbox.set_aside(pending), server.reason(error, uri=self._uri)
            name = pending.identity.name
            print(f"MLflow refuses a record of run {name}, which is kept in {kept} ({why})", file=sys.stderr)

    def _writer(self, identity: RunIdentity) -> RunWriter:
        if identity.key not in self._writers:
            database = server.sqlite_file(self._uri)
            artifact_root = None if database is None else database.parent / "mlartifacts"
            self._writers[identity.key] = RunWriter(self._connected(), identity, artifact_root=artifact_root)
        return self._writers[identity.key]

    def _connected(self) -> MlflowClient:
        if self._client is None:
            self._client = server.connect(self._uri)
        return self._client

    def _warn(self, error: Exception) -> None:
        if self._warned:
            return
        self._warned = True
        print(
            f"MLflow at {server.printable(self._uri)} does not take the tracking data; the stage goes on. "
            f"The data are kept in {self._root} and sent when MLflow answers again. "
            f"({server.reason(error, uri=self._uri)})",
            file=sys.stderr,
        )


def process_tags() -> dict[str, str]:
    """Tags by which a later process can tell that this one is gone."""
    return {HOST_TAG: socket.gethostname(), PROCESS_TAG: str(os.getpid())}


def _is_alive(pid: str) -> bool:
    """False only when no process here has the number ``pid``; a number in use again counts as alive."""
    if not pid.isdecimal():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _groups(pending: Sequence[Pending]) -> list[list[Pending]]:
    """Neighbouring metrics together, since they fit into one request; everything else alone."""
    groups: list[list[Pending]] = []
    for record in pending:
        if groups and isinstance(record.entry, Metrics) and isinstance(groups[-1][0].entry, Metrics):
            groups[-1].append(record)
        else:
            groups.append([record])
    return groups
