"""The folder of this machine's work, in which no other user can place files: its commits are run."""

import os
import stat
from pathlib import Path
from typing import Final

from pipelines.cluster.worker.settings import SettingsError

_MODE: Final = 0o700
_UID_MAP: Final = Path("/proc/self/uid_map")
_OVERFLOW_UID: Final = Path("/proc/sys/kernel/overflowuid")


def make_private(folder: Path) -> None:
    """Make the folder with mode 0700 if it does not exist, and check that only this user and root can write to it.

    Folders above it may be writable by others only with the sticky bit, as /tmp is. A group with the number of the
    user is the user's own.

    Raises:
        SettingsError: another user owns the folder, or others can write to it or to a folder above it.
        OSError: the folder cannot be made.
    """
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=_MODE, exist_ok=True)  # an umask only removes rights
    real = folder.resolve()
    status = real.stat()
    if status.st_uid != os.geteuid():
        raise SettingsError(
            f"LZN_WORK {folder} belongs to user {status.st_uid}, and this process is user {os.geteuid()}: "
            "name another folder"
        )
    if _others_write(status):
        raise SettingsError(f"LZN_WORK {folder} can be changed by other users: chmod 700 {folder}")
    trusted = _trusted_owners()
    for parent in real.parents:
        status = parent.stat()
        if status.st_uid not in trusted:
            raise SettingsError(
                f"LZN_WORK {folder} is below {parent}, which belongs to user {status.st_uid}: name another folder"
            )
        if _others_write(status) and not status.st_mode & stat.S_ISVTX:
            raise SettingsError(
                f"LZN_WORK {folder} is below {parent}, in which other users can replace it: name another folder, or "
                f"chmod go-w {parent}"
            )


def _trusted_owners() -> set[int]:
    """Return root and this user. In a user namespace, all users outside, root too, have one number, which is added."""
    trusted = {0, os.geteuid()}
    identity = ["0", "0", "4294967295"]
    if _UID_MAP.exists() and _UID_MAP.read_text().split() != identity:
        trusted.add(int(_OVERFLOW_UID.read_text()))
    return trusted


def _others_write(status: os.stat_result) -> bool:
    own_group = status.st_gid == status.st_uid or status.st_gid == os.geteuid()
    group_writes = bool(status.st_mode & stat.S_IWGRP) and not own_group
    return group_writes or bool(status.st_mode & stat.S_IWOTH)
