"""The run folder: `OUT.partial` while the work goes on, renamed to `OUT` when all of it is there."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapterxfer.errors import RunError, UserError
from adapterxfer.files import read_json, write_json
from adapterxfer.tasks import Task, load_task


@dataclass(frozen=True)
class Run:
    """A finished run. `folder` holds run.json, metrics.json, module/, head/, predictions/ and log.jsonl."""

    folder: Path

    @property
    def record(self) -> dict[str, Any]:
        """What run.json says: recipe, versions, digests, composition, timings."""
        record: dict[str, Any] = read_json(self.folder / "run.json")
        return record

    @property
    def metrics(self) -> dict[str, Any]:
        """What metrics.json says: the scores per language, and their average."""
        metrics: dict[str, Any] = read_json(self.folder / "metrics.json")
        return metrics

    def __str__(self) -> str:
        return str(self.folder)


def open_run(where: "Run | str | Path") -> Run:
    """Return the finished run at `where`.

    Raises:
        UserError: when there is none, or it is unfinished.
    """
    if isinstance(where, Run):
        return where
    folder = Path(where).expanduser()
    if not (folder / "run.json").is_file():
        if partial_folder(folder).is_dir():
            raise UserError(f"{folder} is an unfinished run; repeat its command with --resume.")
        raise UserError(f"{folder} is not a run folder: there is no run.json in it.")
    return Run(folder)


def run_task(run: Run) -> Task:
    """Return the declaration of a run's task: the catalogue's by name, a user's own by its path, or the run's copy."""
    own = run.record["task"]
    if own["path"] is None:
        return load_task(own["name"])
    return load_task(own["path"] if Path(own["path"]).is_file() else str(run.folder / "task.yaml"))


def partial_folder(folder: Path) -> Path:
    """Return the name a run has until it is finished."""
    return folder.with_name(folder.name + ".partial")


@contextmanager
def run_folder(folder: Path, identity: dict[str, Any], resume: bool) -> Iterator[Path]:
    """Give the folder to work in; when the block ends well it becomes `folder` in one step.

    When the block fails, what is there stays for `--resume`. Only one process works in it at a time.

    Args:
        folder: the run folder that is to be.
        identity: what must be equal for a resumed run, as JSON; a difference is named.
        resume: go on with what an earlier process left.

    Raises:
        UserError: when the folder exists, an unfinished run is there without `resume`, or it differs.
    """
    partial = partial_folder(folder)
    if folder.exists():
        raise UserError(f"{folder} exists already; choose another --out or remove it.")
    started = partial / "identity.json"
    if started.is_file():
        if not resume:
            raise UserError(f"{partial} holds an unfinished run; go on with --resume, or remove it to start anew.")
        _check_same(read_json(started), identity, partial)
    try:
        partial.mkdir(parents=True, exist_ok=True)
        lock = os.open(partial / ".lock", os.O_CREAT | os.O_RDWR)
    except OSError as error:
        raise RunError(f"{partial} could not be made: {error.strerror or error}.") from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UserError(f"another process is working on {partial}.") from None
        write_json(started, identity)
        yield partial
        for name in (".lock", "identity.json", "checkpoint.safetensors", "restarts.json"):
            (partial / name).unlink(missing_ok=True)
        try:
            partial.rename(folder)
        except OSError as error:
            raise RunError(f"{partial} could not be renamed to {folder}: {error.strerror or error}.") from error
    finally:
        os.close(lock)


def _check_same(before: dict[str, Any], now: dict[str, Any], partial: Path) -> None:
    for key in sorted(set(before) | set(now)):
        if before.get(key) != now.get(key):
            raise UserError(
                f"{partial} was started with {key}={before.get(key)!r}, not {now.get(key)!r}; "
                "resume with its own options, or remove it to start anew."
            )
