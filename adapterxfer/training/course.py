"""One training in its course: what it is given, what moves, and what happens after each update."""

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from adapterxfer.engine.memory import token_budget
from adapterxfer.engine.prefix import Prefix, prefix_depth
from adapterxfer.errors import RunError
from adapterxfer.features.batching import largest_group, training_batches
from adapterxfer.features.rows import Rows
from adapterxfer.modules.attach import Attached
from adapterxfer.modules.heads import Head
from adapterxfer.training.checkpoint import State, read_checkpoint, write_checkpoint
from adapterxfer.training.health import Health, chance_loss
from adapterxfer.training.log import Log
from adapterxfer.training.recipe import Recipe
from adapterxfer.training.selection import Selection
from adapterxfer.training.update import Learner

_CHECKPOINTS = 20
_UNCUT = 10**9


@dataclass(frozen=True)
class Job:
    """A training that is to be done.

    Attributes:
        attached: the backbone with its composition; what is trainable in it is trained.
        head: the task's head, trained along.
        rows: encoded training examples with targets.
        recipe: hyper-parameters.
        folder: where checkpoint and log.jsonl are kept; a checkpoint there is gone on from.
        identity: digest of recipe, data and composition; a checkpoint of another one is refused.
        score: scores what is trained on the English development set; needed where the recipe selects.
        prefix: the kept output of the frozen layers for `rows`.
        patient: whether a loss that stays at chance is let go on.
    """

    attached: Attached
    head: Head
    rows: Rows
    recipe: Recipe
    folder: Path
    identity: str
    score: Callable[[], float] | None = None
    prefix: Prefix | None = None
    patient: bool = False


@dataclass(frozen=True)
class Trained:
    """What a finished training says of itself.

    `kept` is the update kept and `dev_score` its score, where it looked. `token_budget` bounded a forward pass in the
    end. `failure` says why it was ended before its time; empty where it was not.
    """

    updates: int
    examples: int
    seconds: float
    loss: float
    kept: int
    dev_score: float | None
    token_budget: int
    failure: str


def updates_of(rows: Rows, recipe: Recipe) -> Iterator[list[int]]:
    """Yield the updates of epoch after epoch without end, each a list of row indices.

    A pure function of the rows' lengths and the recipe: resuming skips what was done and meets the same batches.
    """
    for epoch in itertools.count():
        for update in training_batches(rows, recipe.batch_size, recipe.seed, epoch, _UNCUT):
            yield [index for part in update for index in part]


class Course:
    """One training: its learner, where it stands, and what it keeps of itself.

    Raises:
        UserError: when the folder's checkpoint belongs to another recipe or data.
        RunError: when the disk refuses a checkpoint.
    """

    def __init__(self, job: Job) -> None:
        self.job, recipe = job, job.recipe
        device = next(job.attached.model.parameters()).device
        job.head.to(device)
        self.parameters = job.attached.trainable() | {f"head.{name}": one for name, one in job.head.named_parameters()}
        optimizer = torch.optim.AdamW(
            self.parameters.values(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        scaler = torch.amp.GradScaler(device.type, enabled=job.attached.backbone.policy.scaled)
        looks = recipe.select_every and job.score
        self.selection = Selection(recipe.select_every, recipe.patience, job.score) if looks and job.score else None
        self.state = State(self.parameters, optimizer, scaler, self.selection)
        if not read_checkpoint(job.folder, self.state, job.identity):
            self.keep()
        depth = prefix_depth(job.attached)
        self.learner = Learner(job.attached, job.head, self.state, recipe.clip, depth)
        if not self.state.token_budget:
            widest = int(job.rows.lengths().max())
            self.state.token_budget = recipe.token_budget or token_budget(job.attached, widest, depth)
        per_epoch = len(training_batches(job.rows, recipe.batch_size, recipe.seed, 0, _UNCUT))
        self.total = recipe.updates(per_epoch)
        chance = chance_loss(job.head, job.rows, recipe.batch_size)
        self.health = Health(chance, self.total, recipe.rise(self.total), job.patient)
        self.health.losses, self.health.first = self.state.losses, self.state.first
        self.log = Log(job.folder / "log.jsonl", self.state.step, self.total)
        self.updates = itertools.islice(updates_of(job.rows, recipe), self.state.step, self.total)
        self.started = time.monotonic() - self.state.seconds
        self.loss, self.rate, self.failure = 0.0, 0.0, ""

    @property
    def over(self) -> bool:
        """Whether no update is to come."""
        exhausted = self.selection is not None and self.selection.exhausted
        return bool(self.failure) or exhausted or self.state.step >= self.total

    def begin(self) -> list[int]:
        """Set the learning rate of the next update, and return its rows."""
        self.rate = self.job.recipe.rate(self.state.step, self.total)
        for group in self.state.optimizer.param_groups:
            group["lr"] = self.rate
        return next(self.updates)

    def end(self, loss: float) -> None:
        """Take in the loss of the update that was done: look at the development set, write log and checkpoint."""
        state, step = self.state, self.state.step + 1
        self.loss, self.failure = loss, self.health.see(step, loss)
        if self.failure:
            self.failure += f" at update {step} of {self.total}"
            return
        state.step, state.seconds = step, time.monotonic() - self.started
        state.losses, state.first = self.health.losses, self.health.first
        values = {"loss": round(loss, 6), "lr": self.rate, "seconds": round(state.seconds, 3)}
        if self.selection is not None and (step % self.selection.every == 0 or step == self.total):
            values["dev_score"] = self.selection.look(step, self.parameters)
            self.job.attached.set_training(True)
        self.log.write(step, values)
        if step == self.total or step % max(1, self.total // _CHECKPOINTS) == 0:
            self.keep()

    def keep(self) -> None:
        """Write a checkpoint."""
        write_checkpoint(self.job.folder, self.state, self.job.identity)

    def halve(self, tokens: int, together: int) -> int:
        """Bound the passes that this training shares with others, where a pass over its `tokens` did not fit.

        Args:
            tokens: padded tokens of this training's largest micro-batch.
            together: how many trainings share a pass.

        Returns:
            The new bound, for all of them together.

        Raises:
            RunError: when the micro-batch was a single example.
        """
        largest = largest_group(self.job.rows)
        if tokens <= largest:
            raise RunError(
                f"out of memory, and a single example has {largest} tokens: shorten the examples, train modules in "
                f"fewer layers (--top-layers) or at --precision nf4; {self.job.folder} keeps the last checkpoint."
            )
        self.state.token_budget = max(tokens // 2, largest) * together
        return self.state.token_budget

    def result(self) -> Trained:
        """Put what is to be kept into the model, and say how it went."""
        selection, state = self.selection, self.state
        if selection is not None:
            selection.restore(self.parameters)
        self.job.attached.set_training(False)
        examples = len(set(self.job.rows.group.tolist()))
        kept, best = (selection.step, selection.best) if selection is not None else (state.step, None)
        return Trained(state.step, examples, state.seconds, self.loss, kept, best, state.token_budget, self.failure)
