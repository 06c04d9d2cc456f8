"""One run at a time in an output folder: a lock file that holds the process id of its owner.

The kernel's file lock decides who owns the folder, so a crashed or killed run never blocks the next one; the process
id in the file is what the message shows. On file systems without file locks the process id decides.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.errors import InputFileError

_UNSUPPORTED = {errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK, errno.EOPNOTSUPP}


@contextlib.contextmanager
def folder_lock(path: Path) -> Iterator[None]:
    """Hold the lock file `path` while the block runs.

    Args:
        path: The lock file; its folder must exist.

    Yields:
        Nothing.

    Raises:
        InputFileError: Another process that still runs holds it, or it cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise InputFileError(
            f"lock file {path}", got=error.strerror, expected="a writable folder", remedy="choose another --out"
        ) from error
    try:
        _acquire(descriptor, path)
        owner = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(owner).encode(), 0)
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                path.unlink()
    finally:
        os.close(descriptor)


@dataclass(frozen=True)
class LockState:
    """A lock file: whether its owner still runs, and who that is.

    Args:
        held: False for a file that a killed run left; it blocks nobody.
        pid: Process id of the owner, 0 if unknown.
        host: Its machine.
        since: When it took the lock, local time there.
    """

    held: bool
    pid: int
    host: str
    since: str


def lock_state(path: Path) -> LockState | None:
    """Look at a lock file without taking it.

    Args:
        path: The lock file.

    Returns:
        Its state; None where there is no file.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        owner = _owner(descriptor)
        pid, host = int(owner.get("pid", 0)), str(owner.get("host", ""))
        held = _held_by_another(descriptor) if host != socket.gethostname() or _alive(pid) else False
        return LockState(held, pid, host, str(owner.get("since", "")))
    finally:
        os.close(descriptor)


def _held_by_another(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    return False


def _acquire(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _held(path, _owner(descriptor)) from None
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        owner = _owner(descriptor)
        if owner and (owner.get("host") != socket.gethostname() or _alive(int(owner.get("pid", 0)))):
            raise _held(path, owner) from None
    _refuse_replaced(descriptor, path)


def _refuse_replaced(descriptor: int, path: Path) -> None:
    """Refuse when the previous owner unlinked the file between our open and our lock: another run may hold its successor."""
    try:
        same = os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        same = False
    if not same:
        raise _held(path, {})


def _owner(descriptor: int) -> dict[str, Any]:
    try:
        owner = json.loads(os.pread(descriptor, 4096, 0) or b"{}")
    except ValueError:
        return {}
    return owner if isinstance(owner, dict) else {}


def _alive(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _held(path: Path, owner: dict[str, Any]) -> InputFileError:
    who = f"process {owner.get('pid', '?')} on {owner.get('host', '?')} since {owner.get('since', '?')}"
    return InputFileError(
        f"output folder {path.parent.parent} is in use",
        got=f"locked by {who}",
        expected="one run at a time in an output folder",
        remedy=f"wait for it, choose another --out, or (only if no such process runs) delete {path}",
    )
