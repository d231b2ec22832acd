"""DVC's run-cache in the remote: the outputs of a stage for its command, code, parameters and inputs.

An entry is the stage's part of dvc.lock. Its key is the hash of everything that determines the outputs. It is written
after the outputs, so they exist if the entry exists. DVC copies the whole run-cache at each pull and push; this module
reads and writes single entries, so the time does not depend on their number.
"""

import contextlib
import errno
import posixpath
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
from botocore.exceptions import BotoCoreError, NoCredentialsError
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.schema import COMPILED_LOCK_FILE_STAGE_SCHEMA
from dvc.stage.serialize import to_single_stage_lockfile
from dvc.utils import dict_sha256
from dvc.utils.serialize import YAMLFileCorruptedError, dumps_yaml, parse_yaml
from dvc_data.hashfile.meta import Meta
from voluptuous import Invalid

Entry = Mapping[str, Any]
"""A stage's part of dvc.lock: cmd, deps and outs with their hashes, values of params."""
_DISK_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_NOT_HASHED = [Meta.PARAM_SIZE, Meta.PARAM_NFILES]


class RemoteError(RuntimeError):
    """The remote is unavailable, refuses the credentials (`is_refusal`), or cannot be written."""

    def __init__(self, message: str, *, is_refusal: bool = False) -> None:
        super().__init__(message)
        self.is_refusal = is_refusal


class DiskError(RuntimeError):
    """The disk of this machine is full or read-only."""


class RunCache:
    """The run-cache in the default remote of a repository.

    All methods raise RemoteError if the remote cannot be used.
    """

    def __init__(self, repo: Repo) -> None:
        self._local = repo.cache.legacy.path
        self._odb = repo.cloud.get_remote_odb(hash_name="md5-dos2unix")

    def find(self, key: str) -> Entry | None:
        """Return the entry of a key, or None if there is no intact one. Of several, all machines choose the same."""
        with remote_errors():
            for path in sorted(self._files(key)):
                if (entry := self._read(path)) is not None:
                    return entry
        return None

    def publish(self, key: str, entry: Entry) -> None:
        """Write an entry. Its outputs must be in the remote already."""
        path = posixpath.join(self._folder(key), content_hash(entry))
        with remote_errors():
            self._odb.fs.makedirs(self._folder(key), exist_ok=True)
            self._odb.fs.pipe_file(path, dumps_yaml(dict(entry)).encode())

    def delete(self, key: str) -> None:
        """Delete all entries of a key, so that its stage runs again."""
        with remote_errors():
            for path in self._files(key):
                self._odb.fs.remove(path)

    def delete_local(self, key: str) -> None:
        """Delete all entries of a key on this machine, from which DVC would restore the outputs of a stage."""
        shutil.rmtree(Path(self._local) / "runs" / key[:2] / key, ignore_errors=True)

    def _files(self, key: str) -> list[str]:
        folder = self._folder(key)
        self._odb.fs.fs.invalidate_cache()  # cached listings: another machine may have written
        return list(self._odb.fs.find(folder)) if self._odb.fs.exists(folder) else []

    def _folder(self, key: str) -> str:
        return str(self._odb.fs.join(self._odb.path, "runs", key[:2], key))

    def _read(self, path: str) -> Entry | None:
        """Read an entry. Return None if its content does not have the hash in its name."""
        try:
            content: Entry = COMPILED_LOCK_FILE_STAGE_SCHEMA(parse_yaml(self._odb.fs.cat_file(path), path))
        except (FileNotFoundError, YAMLFileCorruptedError, Invalid, UnicodeDecodeError):
            return None
        return content if content_hash(content) == posixpath.basename(path) else None


@contextlib.contextmanager
def remote_errors() -> Iterator[None]:
    """Convert errors of storage libraries to RemoteError, or to DiskError if the local disk is the cause."""
    try:
        yield
    except (NoCredentialsError, PermissionError) as error:
        message = f"the DVC remote refuses the credentials (AWS_ACCESS_KEY_ID and its secret for S3): {error}"
        raise RemoteError(message, is_refusal=True) from error
    except (OSError, DvcException, BotoCoreError, aiohttp.ClientError) as error:
        if (cause := _disk_error_behind(error)) is not None:
            raise DiskError(f"{cause.strerror}: {cause.filename or 'on this machine'}") from error
        raise RemoteError(f"the DVC remote cannot be used: {type(error).__name__}: {error}") from error


def _disk_error_behind(error: BaseException | None) -> OSError | None:
    """Return the error of the local disk that caused `error`, or None."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _DISK_ERRNOS:
            return error
        error = error.__cause__ or error.__context__
    return None


def content_hash(entry: Entry) -> str:
    """Return the hash of an entry without file sizes; DVC uses it as the file name."""
    digest: str = dict_sha256(entry, exclude=_NOT_HASHED)
    return digest


def key_of(stage: Any) -> str:
    """Return DVC's key of a stage: the hash of its command, dependencies' hashes, parameters and output paths.

    The hashes of the dependencies must be set. The same as in `dvc.stage.cache`, but the files need not exist here.
    """
    return key_of_entry(to_single_stage_lockfile(stage))


def key_of_entry(entry: Entry) -> str:
    """Return the key of an entry."""
    return content_hash({**entry, "outs": [out["path"] for out in entry.get("outs", [])]})
