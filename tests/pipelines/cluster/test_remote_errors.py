"""What is retried when the remote cannot be used, and what is not."""

import contextlib
import errno
import threading

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError
from s3fs.errors import translate_boto_error

from pipelines.cluster.remote.files import retry_remote
from pipelines.cluster.remote.run_cache import DiskError, RemoteError, remote_errors
from pipelines.processes.signals import StopEvents


class NoPause(threading.Event):
    """An event that nobody sets, and whose waits end at once."""

    def wait(self, timeout: float | None = None) -> bool:
        return self.is_set()


def s3_error(code: str) -> BaseException:
    """Return the error that DVC's file system raises for an answer of S3."""
    error: BaseException = translate_boto_error(
        ClientError({"Error": {"Code": code, "Message": code}}, "GetObject")
    )
    return error


def calls_until_the_end(*errors: BaseException, seconds: float = 900.0, stopped: bool = False) -> int:
    """Return how often an operation is called that raises these errors, then succeeds."""
    waiting, stop = list(errors), StopEvents()
    stop.requested = NoPause()
    if stopped:
        stop.requested.set()
    calls = 0

    def operation() -> None:
        nonlocal calls
        calls += 1
        with remote_errors():
            if waiting:
                raise waiting.pop(0)

    with contextlib.suppress(RemoteError):
        retry_remote(operation, seconds=seconds, stop=stop, log=lambda line: None)
    return calls


@pytest.mark.parametrize(
    "error",
    [
        NoCredentialsError(),
        s3_error("InvalidAccessKeyId"),
        s3_error("SignatureDoesNotMatch"),
        s3_error("AccessDenied"),
        s3_error("403"),
    ],
    ids=repr,
)
def test_a_wrong_key_is_not_retried(error: BaseException) -> None:
    assert calls_until_the_end(error) == 1


@pytest.mark.parametrize(
    "error",
    [
        EndpointConnectionError(endpoint_url="http://s3"),
        ConnectionRefusedError(),
        s3_error("SlowDown"),
        s3_error("503"),
    ],
    ids=repr,
)
def test_an_unavailable_remote_is_retried_until_it_answers(error: BaseException) -> None:
    assert calls_until_the_end(error, error, error) == 4


def test_retries_end_with_their_time_or_a_stop() -> None:
    error = ConnectionRefusedError()
    assert calls_until_the_end(error, error, seconds=0.0) == 1
    assert calls_until_the_end(error, error, stopped=True) == 1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_a_full_disk_of_this_machine_is_no_error_of_the_remote(number: int) -> None:
    error = ConnectionError("transfer failed")
    error.__cause__ = OSError(number, "no room", "/cache")
    with pytest.raises(DiskError, match="/cache"), remote_errors():
        raise error
