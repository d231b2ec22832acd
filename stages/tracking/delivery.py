"""Sends the records of outboxes to MLflow; while the server is unavailable they stay and are sent later."""

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
from stages.tracking.environment import tracking_uri
from stages.tracking.experiments import KEY_TAG
from stages.tracking.identity import RunIdentity
from stages.tracking.outbox import Outbox, Pending, keys_with_pending_records
from stages.tracking.records import Metrics
from stages.tracking.run_writer import RunWriter

HOST_TAG = "lzn.host"
PROCESS_TAG = "lzn.pid"

# After an attempt that failed in d seconds, the next one is made 20 d later, so that a server that does not respond
# slows a training by 5 % at most; at the end of a stage, which has no later attempt, d later.
_RETRY_PAUSE = 20.0
_RETRY_PAUSE_AT_END = 1.0
# How long to wait for another process that sends records of the same run.
_LOCK_TIMEOUT_S = 60.0


class Delivery:
    """Sends the records below ``root``. Failures of the server are reported on stderr once and never raised."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._uri = tracking_uri()
        self._client: MlflowClient | None = None
        self._writers: dict[str, RunWriter] = {}
        self._failed_at = -float("inf")
        self._failure_cost_s = 0.0
        self._warned = False

    def deliver(self, key: str, *, at_end: bool = False) -> None:
        """Send the records in the outbox of the run ``key`` in order, until the server fails."""
        pause = _RETRY_PAUSE_AT_END if at_end else _RETRY_PAUSE
        self._attempt([key], lock_timeout_s=_LOCK_TIMEOUT_S, pause=pause)

    def deliver_leftovers(self, *, except_key: str) -> None:
        """Send the records that other processes left in their outboxes, except where one is sending now."""
        keys = [key for key in keys_with_pending_records(self._root) if key != except_key]
        self._attempt(keys, lock_timeout_s=0, pause=_RETRY_PAUSE)

    def end_abandoned_runs(self, identity: RunIdentity) -> None:
        """Set the status KILLED for RUNNING runs of the experiment whose process on this machine no longer exists."""
        if self._must_wait(_RETRY_PAUSE):
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

    def _attempt(self, keys: Iterable[str], *, lock_timeout_s: float, pause: float) -> None:
        if self._must_wait(pause):
            return
        began = time.monotonic()
        try:
            with server.quiet_retries():
                for key in keys:
                    self._deliver_run(key, lock_timeout_s=lock_timeout_s)
        except server.FAILURES as error:
            self._writers.clear()  # when the server is back, the run may have another id
            self._failed_at = time.monotonic()
            self._failure_cost_s = self._failed_at - began
            self._warn(error)

    def _must_wait(self, pause: float) -> bool:
        return time.monotonic() < self._failed_at + pause * self._failure_cost_s

    def _deliver_run(self, key: str, *, lock_timeout_s: float) -> None:
        outbox = Outbox(self._root, key=key)
        try:
            outbox.lock.acquire(timeout=lock_timeout_s)
        except Timeout:
            return  # the other process sends the records of this one too
        try:
            self._send_all(outbox)
        finally:
            outbox.lock.release()

    def _send_all(self, outbox: Outbox) -> None:
        pending = outbox.read()
        done = 0
        try:
            for group in _groups(pending):
                self._send(group, outbox)
                done += len(group)
        finally:
            if done:
                outbox.remove(pending[:done], left=pending[done:])

    def _send(self, group: Sequence[Pending], outbox: Outbox) -> None:
        writer = self._writer(group[0].identity)
        try:
            writer.send([pending.record for pending in group], files=outbox.files)
        except MlflowException as error:
            if not server.is_refused(error):
                raise
            # One record of the group is invalid, or the run was deleted: find the run again, send each record alone.
            del self._writers[outbox.key]
            for pending in group:
                self._send_or_keep_refused(pending, outbox)

    def _send_or_keep_refused(self, pending: Pending, outbox: Outbox) -> None:
        writer = self._writer(pending.identity)
        try:
            writer.send([pending.record], files=outbox.files)
        except MlflowException as error:
            if not server.is_refused(error):
                raise
            why = server.reason(error, uri=self._uri)
            kept = outbox.keep_refused(pending, reason=why)
            name = pending.identity.name
            print(f"MLflow refuses a record of run {name}; it is kept in {kept} ({why})", file=sys.stderr)

    def _writer(self, identity: RunIdentity) -> RunWriter:
        if identity.key not in self._writers:
            artifact_root = server.artifact_root(self._uri)
            self._writers[identity.key] = RunWriter(
                self._connected(), identity, artifact_root=artifact_root, outbox_root=self._root
            )
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
            f"MLflow at {server.printable(self._uri)} does not accept tracking data; the stage continues. "
            f"The data are kept in {self._root} and sent when MLflow is available again. "
            f"({server.reason(error, uri=self._uri)})",
            file=sys.stderr,
        )


def process_tags() -> dict[str, str]:
    """Return tags from which a later process can see whether this one still exists."""
    return {HOST_TAG: socket.gethostname(), PROCESS_TAG: str(os.getpid())}


def _is_alive(pid: str) -> bool:
    """Return False only if no process on this machine has the number ``pid``."""
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
    """Group consecutive metrics, which are sent in one request; other records are groups of one."""
    groups: list[list[Pending]] = []
    for one in pending:
        if groups and isinstance(one.record, Metrics) and isinstance(groups[-1][0].record, Metrics):
            groups[-1].append(one)
        else:
            groups.append([one])
    return groups
