"""Large files that several processes share: one makes a file while the others wait, each checks it whole, but once."""

import contextlib
import fcntl
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from adapterxfer.features.store import read_store, used

_Identity = tuple[int, int, int, int]
_OPEN: dict[Path, tuple[_Identity, dict[str, np.ndarray]]] = {}


def open_kept(path: Path, key: str) -> dict[str, np.ndarray] | None:
    """Return the memory-mapped arrays of a file; None where it is missing or not exactly what was written under `key`.

    The whole file is read for that, but once in a process: as long as this process has it mapped, no other file can
    get its inode, and a file that was written to has another time.
    """
    for other in [other for other, (identity, _) in _OPEN.items() if _identity(other) != identity]:
        del _OPEN[other]  # it was removed or replaced, and its mapping would hold the room on the disk
    if path not in _OPEN:
        identity = _identity(path)
        kept = read_store(path, key) if identity else None
        if identity is None or kept is None:
            return None
        _OPEN[path] = identity, kept[0]
    used(path)
    return _OPEN[path][1]


def _identity(path: Path) -> _Identity | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


@contextlib.contextmanager
def one_at_a_time(path: Path, waiting: str) -> Iterator[bool]:
    """Let one process at a time into the block, which gets whether it is alone.

    The kernel holds the lock, and lets it go when its holder dies. Where no lock can be had, such as in a folder that
    cannot be written, everyone enters.

    Args:
        path: the lock's file; it is there only while someone is in the block or waits.
        waiting: the line on stderr for those who wait.
    """
    lock = _lock(path, waiting)
    try:
        yield lock is not None
    finally:
        if lock is not None:
            with contextlib.suppress(OSError):
                path.unlink()  # first, so that who has waited for this file sees that it is gone
            os.close(lock)


def _lock(path: Path, waiting: str) -> int | None:
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        told = False
        while True:
            lock = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
            try:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    if not told:
                        sys.stderr.write(f"{waiting}\n")
                        told = True
                    fcntl.flock(lock, fcntl.LOCK_EX)
                if _is_there(path, lock):
                    return lock
                os.close(lock)  # its last holder has removed it: the lock of today is another file
            except BaseException:
                os.close(lock)
                raise
    return None


def _is_there(path: Path, lock: int) -> bool:
    """Whether the file that is locked is still the one of this name."""
    try:
        return path.stat().st_ino == os.fstat(lock).st_ino
    except FileNotFoundError:
        return False
