"""Examples and rows kept on disk between processes, found again by the digest of everything they were made from.

A kept file is read only if it is exactly what was written (see store.py); else it is made anew. Several processes may
share the folder: files are written under another name and moved into place, and two that make one file write the same
bytes. A file that is mapped by one process may be removed by another. A folder that cannot be written costs nothing but
the time saved.
"""

import contextlib
import functools
import hashlib
import os
import sys
import unicodedata
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from adapterxfer.errors import RunError, UserError
from adapterxfer.features.kept_examples import pack, undisturbed, unpack
from adapterxfer.features.kept_rows import from_arrays, to_arrays
from adapterxfer.features.kinds import kind_of
from adapterxfer.features.rows import FeatureSettings, Rows
from adapterxfer.features.store import make_room, read_store, used, write_store
from adapterxfer.files import sha256_file, sha256_json
from adapterxfer.tasks.examples import Entity, Example
from adapterxfer.tasks.schema import Task

E = TypeVar("E", bound=Example)
LIMIT = "ADAPTERXFER_CACHE_GB"
_DEFAULT_GB = 10.0
_SUFFIX = ".kept"


class FeatureCache:
    """A folder of kept examples and rows.

    Args:
        folder: where the files are; it is made when the first is written.
        limit: bytes that the files may take together; those used longest ago go first. 0 keeps nothing.
    """

    def __init__(self, folder: Path, limit: int | None = None) -> None:
        self.folder = Path(folder)
        self.limit = limit_of_environment() if limit is None else limit
        self._latest: tuple[Sequence[Any], list[str]] = ((), [])  # examples, and their digests

    def examples(
        self, identity: Mapping[str, Any], files: Sequence[Path], load: Callable[[], Sequence[E]]
    ) -> tuple[E, ...]:
        """Return the examples that `load()` gives, from the folder if they are there.

        Args:
            identity: JSON values that, with the content of the files, decide what `load()` gives: the task's digest,
                the split, the language.
            files: the files that `load()` reads.
            load: reads the examples, all of one class.

        Raises:
            UserError: as `load()` does; nothing is kept then.
        """
        if self.limit <= 0 or not all(file.is_file() for file in files):
            return tuple(load())
        key = self._key("examples", dict(identity), [sha256_file(file) for file in files])
        kept = self._fetch(key)
        if kept is not None:
            document = kept[0]["document"].tobytes()
            examples = tuple(unpack(document))
        else:
            with undisturbed():
                examples = tuple(load())
            document = pack(examples)
            self._keep(key, {"document": np.frombuffer(document, np.uint8)}, {})
        if examples:
            self._latest = (examples, [hashlib.sha256(document).hexdigest()])
        return examples

    def rows(self, task: Task, examples: Sequence[Example | Entity], tokenizer: Any, settings: FeatureSettings) -> Rows:
        """Return what `kind_of(task).encode(...)` gives, from the folder if it is there (then memory-mapped).

        Raises:
            UserError: as encoding does; nothing is kept then.
        """
        if self.limit <= 0:
            return kind_of(task).encode(task, examples, tokenizer, settings)
        digests = self._digests(examples)
        order = [type(example).__name__ for example in examples] if len(digests) > 1 else []
        key = self._key(
            "rows",
            {
                "kind": task.kind,
                "labels": task.labels,
                "open": task.open_labels,
                "settings": asdict(settings),
                "order": sha256_json(order),
            },
            [tokenizer_digest(tokenizer), *digests],
        )
        kept = self._fetch(key)
        if kept is not None:
            return from_arrays(*kept)
        with undisturbed():
            rows = kind_of(task).encode(task, examples, tokenizer, settings)
        self._keep(key, *to_arrays(rows))
        return rows

    def _digests(self, examples: Sequence[Example | Entity]) -> list[str]:
        """Return the digest of the examples of each class; those that `examples()` gave last have theirs already."""
        if examples is self._latest[0]:  # a tuple, which nobody can have changed
            return self._latest[1]
        parts = [pack([e for e in examples if type(e) is kind]) for kind in dict.fromkeys(map(type, examples))]
        return [hashlib.sha256(part).hexdigest() for part in parts]

    def _key(self, what: str, identity: dict[str, Any], digests: list[str]) -> str:
        return sha256_json([what, identity, digests, code_digest()])

    def _fetch(self, key: str) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
        path = self.folder / f"{key}{_SUFFIX}"
        kept = read_store(path, key)
        if kept is not None:
            used(path)
        return kept

    def _keep(self, key: str, arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> None:
        path = self.folder / f"{key}{_SUFFIX}"
        if sum(array.nbytes for array in arrays.values()) > self.limit:
            return
        with contextlib.suppress(RunError, OSError):
            write_store(path, key, arrays, meta)
            make_room(self.folder, _SUFFIX, self.limit, newest=path)


def limit_of_environment(variable: str = LIMIT, default: float = _DEFAULT_GB) -> int:
    """Return the bytes that kept files may take: the gigabytes of an environment variable, 0 keeps none.

    Args:
        variable: its name; ADAPTERXFER_CACHE_GB bounds the features.
        default: gigabytes, where it is not set.

    Raises:
        UserError: when it is not a number of gigabytes.
    """
    given = os.environ.get(variable, "")
    try:
        number = float(given) if given.strip() else default
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e9:
        raise UserError(f"{variable} is {given!r}; it must be a number of gigabytes, 0 or more.")
    return int(number * 1e9)


@functools.cache
def code_digest(*folders: str) -> str:
    """Return the digest of code in the package, and of the versions it depends on.

    Without `folders` that is the code that reads and encodes, and the catalogue.

    The files themselves stand in it, so that no one has to remember to raise a number when a reader changes.
    """
    package = Path(__file__).parent.parent
    parts = [package / part for part in folders or ("tasks", "features")]
    sources = sorted(path for part in parts for path in part.rglob("*") if path.suffix in (".py", ".yaml"))
    digests = {str(path.relative_to(package)): sha256_file(path) for path in sources}
    versions = [version("adapterxfer"), version("tokenizers"), np.__version__, sys.version, unicodedata.unidata_version]
    return sha256_json([digests, versions])


_TOKENIZERS: "weakref.WeakKeyDictionary[Any, tuple[int, str]]" = weakref.WeakKeyDictionary()


def tokenizer_digest(tokenizer: Any) -> str:
    """Return the digest of everything that decides what a fast tokenizer gives.

    It is kept by the tokenizer object and the number of its added tokens: spelling a tokenizer out takes a tenth of a
    second.
    """
    backend = tokenizer.backend_tokenizer
    added = len(backend.get_added_tokens_decoder())
    kept = _TOKENIZERS.get(tokenizer)
    if kept is not None and kept[0] == added:
        return kept[1]
    backend.no_truncation()
    backend.no_padding()
    special = [tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.unk_token_id]
    digest = hashlib.sha256(backend.to_str().encode("utf-8") + repr(special).encode()).hexdigest()
    _TOKENIZERS[tokenizer] = (added, digest)
    return digest
