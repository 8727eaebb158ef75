"""The five kinds of task, each with one way to encode examples and one to read the head's outputs."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from adapterxfer.features.choice import ChoiceKind
from adapterxfer.features.pair import PairKind
from adapterxfer.features.retrieval import RetrievalKind
from adapterxfer.features.rows import FeatureSettings, Rows
from adapterxfer.features.span import SpanKind
from adapterxfer.features.tagging import TaggingKind
from adapterxfer.tasks.schema import Task

__all__ = ["FeatureSettings", "Kind", "Rows", "kind_of"]


class Kind(Protocol):
    """Examples to rows, and the head's outputs back to predictions.

    Outputs per row: pair [labels]; choice [1]; tagging [tokens, labels]; span [tokens, 2]; retrieval [hidden].
    """

    def encode(self, task: Task, examples: Sequence[Any], tokenizer: Any, settings: FeatureSettings) -> Rows:
        """Return what the model reads for `examples`.

        Raises:
            UserError: for labels that do not fit the task.
        """
        ...

    def decode(
        self, task: Task, examples: Sequence[Any], rows: Rows, outputs: list[np.ndarray]
    ) -> list[dict[str, Any]]:
        """Return one JSON-able prediction per example, with at least `id` and `prediction`."""
        ...


_KINDS: dict[str, Kind] = {
    "pair": PairKind(),
    "choice": ChoiceKind(),
    "tagging": TaggingKind(),
    "span": SpanKind(),
    "retrieval": RetrievalKind(),
}


def kind_of(task: Task) -> Kind:
    """Return the kind of a task."""
    return _KINDS[task.kind]
