"""Is a difference more than luck? A paired bootstrap interval for a difference of means."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from adapterxfer.errors import UserError

_CELLS = 4_000_000  # numbers held at a time while resampling


@dataclass(frozen=True)
class Interval:
    """A difference of means and its percentile interval.

    Attributes:
        difference: mean of `after` minus mean of `before`.
        low: lower end.
        high: upper end.
        level: the share of resampled differences inside.
        units: how many units were resampled.
    """

    difference: float
    low: float
    high: float
    level: float
    units: int

    @property
    def excludes_zero(self) -> bool:
        """Whether zero lies outside."""
        return self.low > 0 or self.high < 0


def paired_bootstrap(
    after: ArrayLike, before: ArrayLike, *, resamples: int = 10_000, level: float = 0.95, seed: int = 0
) -> Interval:
    """Return the percentile interval of mean(after) - mean(before), resampling the pairs (Efron and Tibshirani 1993).

    Args:
        after: [units] scores of examples, or [seeds, languages]; then seeds and languages are drawn independently of
            each other, because scores of one seed, or of one language, go up and down together.
        before: scores of the same units, in the same order.
        resamples: how many times to draw.
        level: the interval's level.
        seed: of the draws; the same seed gives the same interval.

    Raises:
        UserError: when the two do not have the same units, or there are none.
    """
    first, second = np.asarray(after, np.float64), np.asarray(before, np.float64)
    if first.shape != second.shape or first.ndim not in (1, 2):
        raise UserError(f"paired scores need the same units; these have the shapes {first.shape} and {second.shape}.")
    if first.size == 0:
        raise UserError("there are no scores to compare.")
    if not 0 < level < 1 or resamples < 1:
        raise UserError(f"level {level} must lie between 0 and 1, and resamples {resamples} must be 1 or more.")
    difference = first - second
    generator = np.random.default_rng(seed)
    means = np.empty(resamples)
    block = max(1, _CELLS // difference.size)
    for start in range(0, resamples, block):
        count = min(block, resamples - start)
        if difference.ndim == 1:
            drawn = difference[generator.integers(0, difference.size, (count, difference.size))]
            means[start : start + count] = drawn.mean(axis=1)
        else:
            rows = generator.integers(0, difference.shape[0], (count, difference.shape[0], 1))
            columns = generator.integers(0, difference.shape[1], (count, 1, difference.shape[1]))
            means[start : start + count] = difference[rows, columns].mean(axis=(1, 2))
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(difference.mean()), float(low), float(high), level, difference.size)
