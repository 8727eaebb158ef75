"""The share of equal answers."""

from collections.abc import Sequence
from typing import Any


def accuracy(gold: Sequence[Any], predicted: Sequence[Any]) -> float:
    """Return the share of places where `predicted` equals `gold`, in 0..100; 0 for nothing."""
    right = sum(wanted == given for wanted, given in zip(gold, predicted, strict=True))
    return 100.0 * right / len(gold) if gold else 0.0
