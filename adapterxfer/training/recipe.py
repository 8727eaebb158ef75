"""What trains one module: the numbers of a run that are not its data, its backbone or its composition."""

from dataclasses import dataclass

from adapterxfer.errors import UserError


@dataclass(frozen=True)
class Recipe:
    """Hyper-parameters of one training run.

    `epochs` or `steps` (updates) bounds it; `steps` wins where both are given. An update sees `batch_size` examples.
    The rate rises linearly over the first `warmup` updates (below 1: a share of all updates) and falls linearly to zero
    at the last. Every `select_every` updates the English development set is looked at, and the best look is kept; 0: no
    look is taken and the last update is kept. `patience` looks without improvement end the training.
    `token_budget` bounds the padded tokens of one forward (None: by what fits into memory); larger batches are cut up,
    the gradient stays the same.

    Raises:
        UserError: for a value that cannot be trained with.
    """

    epochs: float = 3.0
    steps: int | None = None
    batch_size: int = 32
    learning_rate: float = 1e-3
    warmup: float = 0.1
    weight_decay: float = 0.01
    clip: float = 1.0
    seed: int = 0
    token_budget: int | None = None
    select_every: int = 0
    patience: int | None = None

    def __post_init__(self) -> None:
        checks = {
            "--epochs": self.epochs > 0,
            "--steps": self.steps is None or self.steps > 0,
            "--batch-size": self.batch_size > 0,
            "--lr": self.learning_rate > 0,
            "warmup": self.warmup >= 0,
            "--token-budget": self.token_budget is None or self.token_budget > 0,
            "--seed": 0 <= self.seed < 2**31,
        }
        for option, holds in checks.items():
            if not holds:
                value = {"--lr": self.learning_rate}.get(option, getattr(self, option[2:].replace("-", "_"), None))
                raise UserError(f"{option} {value} is out of range.")

    def updates(self, per_epoch: int) -> int:
        """Return the number of updates, given how many make one pass over the data."""
        return self.steps if self.steps is not None else max(1, round(self.epochs * per_epoch))

    def rise(self, updates: int) -> int:
        """Return how many of `updates` the rate rises over."""
        return max(1, round(self.warmup if self.warmup >= 1 else self.warmup * updates))

    def rate(self, step: int, updates: int) -> float:
        """Return the learning rate of update `step` (from 0) of `updates`: linear warm-up, linear decay."""
        rise = self.rise(updates)
        if step < rise:
            return self.learning_rate * (step + 1) / rise
        return self.learning_rate * (updates - step) / max(1, updates - rise)
