"""Two texts and a label: `<s> A </s></s> B </s>`. An empty second text is left out: `<s> A </s>`."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from adapterxfer.features.rows import FeatureSettings, Rows
from adapterxfer.features.text import LabelIndex, Vocabulary, labelled, softmax
from adapterxfer.tasks.examples import PairExample
from adapterxfer.tasks.schema import Task


def longest_first(first: int, second: int, room: int) -> tuple[int, int]:
    """Return how many tokens of each text are kept: the longer one is shortened first, then both alike.

    An odd token goes to the longer text, as in the `longest_first` of the tokenizers library.
    """
    if first + second <= room:
        return first, second
    short = min(first, second, room // 2)
    return (short, room - short) if first <= second else (room - short, short)


class PairKind:
    """Encodes and decodes pair tasks."""

    def encode(self, task: Task, examples: Sequence[PairExample], tokenizer: Any, settings: FeatureSettings) -> Rows:
        """Return one row per example.

        Raises:
            UserError: for a label the task does not have, or where only some examples have one.
        """
        vocabulary = Vocabulary(tokenizer)
        ids = vocabulary.ids(text for example in examples for text in (example.text_a, example.text_b))
        rows, truncated = [], 0
        for example in examples:
            a, b = ids[example.text_a], ids[example.text_b]
            if not example.text_b:
                room = settings.max_length - 2
                truncated += len(a) > room
                rows.append(vocabulary.join(a[:room]))
                continue
            keep_a, keep_b = longest_first(len(a), len(b), settings.max_length - 4)
            truncated += keep_a < len(a) or keep_b < len(b)
            rows.append(vocabulary.join(a[:keep_a], b[:keep_b]))
        targets = {}
        if labelled(examples, [example.label is not None for example in examples]):
            index = LabelIndex(task.labels, task.name)
            targets["label"] = np.array([index.of(str(e.label), e.identifier) for e in examples], np.int64)
        numbers = np.arange(len(rows))
        return Rows(rows, numbers, targets, numbers.copy(), {"truncated": truncated} if truncated else {})

    def decode(
        self, task: Task, examples: Sequence[PairExample], rows: Rows, outputs: list[np.ndarray]
    ) -> list[dict[str, Any]]:
        """Return the likeliest label of each example, and the `scores` (probabilities) of all in the task's order."""
        return [
            {"id": example.identifier, "prediction": task.labels[int(np.argmax(logits))], "scores": softmax(logits)}
            for example, logits in zip(examples, outputs, strict=True)
        ]
