"""Whether a training learns: a loss that stays where guessing is, or runs away, is seen early."""

import math
from collections.abc import Sequence

import numpy as np

from adapterxfer.features.rows import Rows
from adapterxfer.features.tagging import IGNORED
from adapterxfer.modules.heads import Head

_FEWEST_UPDATES = 100  # a shorter training may rightly be near chance at its middle
_NEAR_CHANCE = 0.98
_RUNAWAY = 2.0


def chance_loss(head: Head, rows: Rows, batch_size: int) -> float:
    """Return the loss, in nats, of the best guess that does not look at the input.

    With labels that is the entropy of how often each occurs (log C where C labels occur equally often); with choices
    the log of their number; for a span the log of the row's length; in a search the log of the candidates of an update.

    Args:
        head: the head that is trained.
        rows: the training rows, with targets.
        batch_size: groups an update.
    """
    if head.kind in ("pair", "tagging"):
        values = rows.targets["label"] if head.kind == "pair" else _items(rows.targets["tags"])
        counts = np.bincount(values[values != IGNORED])
        shares = counts[counts > 0] / counts.sum()
        return float(-(shares * np.log(shares)).sum())
    if head.kind == "choice":
        return float(np.log(np.bincount(np.unique(rows.group, return_inverse=True)[1])).mean())
    return float(np.log(rows.lengths()).mean()) if head.kind == "span" else math.log(batch_size)


class Health:
    """Watches the losses of one training.

    At its middle the mean of the last twentieth of updates must be below 98% of chance: what has not left it by then
    does not. From the end of the warm-up on that mean must stay below twice what it was in the beginning (or chance, if
    that is more). Trainings of fewer than 100 updates are only watched for losses that are no numbers.

    Attributes:
        losses: those of the current window; a checkpoint keeps them.
        first: the mean of the first window; 0 until it is over.
    """

    def __init__(self, chance: float, total: int, warmup: int, patient: bool = False) -> None:
        self.chance, self.total, self.warmup, self.patient = chance, total, warmup, patient
        self.window = max(10, total // 20)
        self.losses: list[float] = []
        self.first = 0.0

    def see(self, step: int, loss: float) -> str:
        """Take in the loss of update `step` (from 1); return what is wrong as a phrase, empty where nothing is.

        A patient watch does not mind a loss near chance.
        """
        if not math.isfinite(loss):
            return f"the loss is {loss}"
        if self.total < _FEWEST_UPDATES:
            return ""
        self.losses = [*self.losses, loss][-self.window :]
        mean = sum(self.losses) / len(self.losses)
        if step == self.window:
            self.first = mean
        full = len(self.losses) == self.window
        if full and step > self.warmup + self.window and mean > _RUNAWAY * max(self.first, self.chance):
            return f"the loss runs away ({mean:.3f}, from {self.first:.3f})"
        hopeful = self.patient or not self.chance  # one label only: there is nothing to learn
        if full and step == self.total // 2 and mean > _NEAR_CHANCE * self.chance and not hopeful:
            return f"the loss is still at chance ({mean:.3f}, where guessing gives {self.chance:.3f})"
        return ""


def _items(tags: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.asarray(row) for row in tags]) if len(tags) else np.zeros(0, np.int64)
