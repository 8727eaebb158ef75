"""Arrays in one file, memory-mapped when read. A file that is not exactly what was written is never believed.

Layout: 8 bytes that name the format; 32 bytes, BLAKE2b of everything after them; 8 bytes, the header's length; the
header (JSON: the key, the meta data, and type, shape and place of each array); the arrays, each at a multiple of 64.
"""

import contextlib
import errno
import hashlib
import json
import mmap
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from adapterxfer.files import writing

_FORMAT = b"AXFEAT\x00\x01"
_DIGEST = slice(8, 40)
_LENGTH = slice(40, 48)
_TYPES = ("bool", "uint8", "uint16", "int32", "int64", "float16", "float32")
_ALIGNED = 64
_ABANDONED = 24 * 3600  # seconds after which a temporary file is some dead process's

Layout = Mapping[str, tuple[str, tuple[int, ...]]]  # name -> type and shape of each array of a file


def write_store(path: Path, key: str, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> None:
    """Write arrays and JSON meta data in one step, so that a reader sees all of it or nothing.

    Raises:
        RunError: when the disk refuses the write.
        TypeError: for an array of another type than bool, uint8, uint16, int32, int64, float16 or float32.
    """
    with storing(path, key, {name: (array.dtype.name, array.shape) for name, array in arrays.items()}, meta) as append:
        for array in arrays.values():
            append(array)


@contextlib.contextmanager
def storing(path: Path, key: str, layout: Layout, meta: Mapping[str, Any]) -> Iterator[Callable[[np.ndarray], None]]:
    """Write arrays piece by piece, for those that no memory would hold; when the block ends well they become the file.

    The block gets a function that appends: the arrays stand one after the other in the order of `layout`, and a piece
    belongs to one of them. The disk is asked for all the room at the start, so that it refuses before the work.

    Args:
        path: the file that is to be.
        key: what the file is read by.
        layout: name -> type and shape of each array.
        meta: JSON values.

    Raises:
        RunError: when the disk refuses the write.
        TypeError: for an array of a type that is not kept (see `write_store`).
        ValueError: when the pieces are not exactly what `layout` says.
    """
    places: dict[str, tuple[str, tuple[int, ...], int]] = {}
    size = 0
    for name, (dtype, shape) in layout.items():
        if dtype not in _TYPES:
            raise TypeError(f"{name} is of type {dtype}")
        places[name] = (dtype, shape, size)
        length = np.dtype(dtype).itemsize * int(np.prod(shape, dtype=np.int64))
        size += length + -length % _ALIGNED
    header = json.dumps({"key": key, "meta": meta, "arrays": places}, ensure_ascii=False).encode("utf-8")
    header += b" " * (-(_LENGTH.stop + len(header)) % _ALIGNED)
    with writing(path) as temporary, temporary.open("r+b") as stream:
        _reserve(stream, _LENGTH.stop + len(header) + size)
        stream.write(_FORMAT + bytes(32))
        pieces = _Pieces(stream, layout, [len(header).to_bytes(8, "little"), header])
        yield pieces.append
        pieces.finish()
        stream.seek(_DIGEST.start)
        stream.write(pieces.digest.digest())


def _reserve(stream: IO[bytes], size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(stream.fileno(), 0, size)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):  # a file system that cannot tell
                raise


class _Pieces:
    """Arrays on their way into a file, digested as they pass."""

    def __init__(self, stream: IO[bytes], layout: Layout, start: list[bytes]) -> None:
        self.digest = hashlib.blake2b(digest_size=32)
        self._stream = stream
        sizes = [(name, dtype, int(np.prod(shape, dtype=np.int64))) for name, (dtype, shape) in layout.items()]
        self._waiting = [one for one in sizes if one[2]][::-1]
        self._count = 0  # items of the first waiting array that are there
        for part in start:
            self._write(part)

    def append(self, values: np.ndarray) -> None:
        """Append to the array that is not full yet, or begin the next."""
        if not values.size:
            return
        name, dtype, size = self._waiting[-1] if self._waiting else ("nothing", "", 0)
        self._count += values.size
        if values.dtype.name != dtype or self._count > size:
            raise ValueError(f"{values.size} items of type {values.dtype.name} do not belong to {name}")
        self._write(np.ascontiguousarray(values).reshape(-1).view(np.uint8))
        if self._count == size:
            self._write(bytes(-size * values.itemsize % _ALIGNED))
            self._waiting.pop()
            self._count = 0

    def finish(self) -> None:
        """See that nothing is missing."""
        if self._waiting:
            raise ValueError(f"{self._waiting[-1][0]} has {self._count} of its {self._waiting[-1][2]} items")

    def _write(self, part: Any) -> None:
        self.digest.update(part)
        self._stream.write(part)


def read_store(path: Path, key: str) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
    """Return the arrays (read-only, memory-mapped) and the meta data; None where the file is missing or not to be used.

    It is not to be used where a single bit differs from what was written, or where it was written under another key.
    The whole file is read for that, at about a gigabyte a second.
    """
    with contextlib.suppress(OSError, ValueError):  # ValueError: an empty file cannot be mapped
        with Path(path).open("rb") as stream:
            content = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        with memoryview(content) as view:
            sound = view[:8] == _FORMAT and view[_DIGEST] == hashlib.blake2b(view[40:], digest_size=32).digest()
            start = _LENGTH.stop + int.from_bytes(view[_LENGTH], "little")
            header = json.loads(bytes(view[_LENGTH.stop : start])) if sound else {}
        if header.get("key") == key:
            return {name: _mapped(content, start, *place) for name, place in header["arrays"].items()}, header["meta"]
    return None


def _mapped(content: mmap.mmap, start: int, dtype: str, shape: list[int], offset: int) -> np.ndarray:
    count = int(np.prod(shape, dtype=np.int64))
    return np.frombuffer(content, dtype, count, start + offset if count else 0).reshape(shape)


def used(path: Path) -> None:
    """Note that a file is used now, for `make_room`; when it was written stays as it is."""
    with contextlib.suppress(OSError):
        os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))


def make_room(folder: Path, suffix: str, limit: int, newest: Path | None = None) -> None:
    """Remove what was used longest ago until the limit holds, and what dead processes left behind.

    Args:
        folder: where the files are.
        suffix: how the names of those that count end.
        limit: bytes that they may take together.
        newest: a file that stays in any case.

    Raises:
        OSError: when the folder cannot be read.
    """
    kept: list[tuple[float, int, Path]] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):  # another process may have removed it
                status = entry.stat()
                if entry.name.endswith(suffix):
                    kept.append((max(status.st_atime, status.st_mtime), status.st_size, Path(entry.path)))
                elif entry.name.endswith(".tmp") and time.time() - status.st_mtime > _ABANDONED:
                    Path(entry.path).unlink()
    total = sum(size for _, size, _ in kept)
    for _, size, path in sorted(kept):
        if total <= limit:
            return
        if path != newest:
            with contextlib.suppress(OSError):
                path.unlink()
                total -= size
