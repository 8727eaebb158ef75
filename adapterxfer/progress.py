"""Progress of long work on stderr: a bar with rate and time left on a terminal, a plain line now and then elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

_SECONDS_BETWEEN_LINES = 15.0


class Progress(Protocol):
    """What a loop tells of its work."""

    def advance(self, amount: int = 1, note: str = "") -> None:
        """Say that `amount` more units are done; `note` replaces the text beside the bar."""


class _Lines:
    def __init__(self, label: str, total: int, unit: str) -> None:
        self.label, self.total, self.unit = label, total, unit
        self.done, self.start = 0, time.monotonic()
        self.last = self.start

    def advance(self, amount: int = 1, note: str = "") -> None:
        self.done += amount
        now = time.monotonic()
        if now - self.last >= _SECONDS_BETWEEN_LINES:
            self.last = now
            self.print(note)

    def print(self, note: str) -> None:
        rate = self.done / max(time.monotonic() - self.start, 1e-9)
        left = (self.total - self.done) / max(rate, 1e-9)
        line = f"{self.label}: {self.done}/{self.total} {self.unit}, {rate:.1f}/s, {left:.0f} s left"
        sys.stderr.write(f"{line}, {note}\n" if note else f"{line}\n")
        sys.stderr.flush()


class _Bar:
    def __init__(self, bar: object, task: object) -> None:
        self.bar, self.task = bar, task

    def advance(self, amount: int = 1, note: str = "") -> None:
        self.bar.update(self.task, advance=amount, note=note)  # type: ignore[attr-defined]


@contextmanager
def progress(label: str, total: int, unit: str) -> Iterator[Progress]:
    """Show the progress of `total` units of work while the block runs."""
    if not sys.stderr.isatty():
        yield _Lines(label, total, unit)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.finished_speed or task.speed or 0:.1f} {unit}/s")

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with RichProgress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield _Bar(bar, bar.add_task(label, total=total, note=""))
