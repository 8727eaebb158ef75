"""From texts to token ids with a fast XLM-R tokenizer, many at a time, and the joints between segments."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from adapterxfer.errors import UserError

MARKER = "▁"  # the piece that stands for a space, alone before a word whose first piece has none


@dataclass(frozen=True)
class Encoded:
    """A text as tokens. `offsets` is [tokens, 2]: the code points each token was made from."""

    ids: np.ndarray
    offsets: np.ndarray


class Vocabulary:
    """A tokenizer's special tokens, and batch encoding without them.

    Segments are joined here and not by the tokenizer, because truncation differs from kind to kind.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._backend = tokenizer.backend_tokenizer
        self.first, self.separator = int(tokenizer.cls_token_id), int(tokenizer.sep_token_id)
        self.unknown = int(tokenizer.unk_token_id)
        self.marker = int(tokenizer.convert_tokens_to_ids(MARKER))

    def _encode(self, texts: list[str], fast: bool) -> list[Any]:
        # a call of the Python tokenizer may have left its truncation behind in the shared backend
        self._backend.no_truncation()
        self._backend.no_padding()
        encode = self._backend.encode_batch_fast if fast else self._backend.encode_batch
        return encode(texts, add_special_tokens=False)

    def ids(self, texts: Iterable[str]) -> dict[str, np.ndarray]:
        """Return the token ids (int32) of every distinct text."""
        distinct = list(dict.fromkeys(texts))
        encodings = self._encode(distinct, fast=True)
        return {text: np.array(e.ids, np.int32) for text, e in zip(distinct, encodings, strict=True)}

    def encoded(self, texts: Iterable[str]) -> dict[str, Encoded]:
        """Return the tokens of every distinct text with their offsets."""
        distinct = list(dict.fromkeys(texts))
        encodings = self._encode(distinct, fast=False)
        return {
            text: Encoded(np.array(e.ids, np.int32), np.array(e.offsets, np.int64).reshape(-1, 2))
            for text, e in zip(distinct, encodings, strict=True)
        }

    def join(self, first: np.ndarray, second: np.ndarray | None = None) -> np.ndarray:
        """Return `<s> first </s>`, or `<s> first </s></s> second </s>`, as XLM-R was trained to read it."""
        parts: list[Any] = [[self.first], first, [self.separator]]
        if second is not None:
            parts += [[self.separator], second, [self.separator]]
        return np.concatenate(parts).astype(np.int32)


def labelled(examples: Sequence[Any], has_label: Sequence[bool]) -> bool:
    """Return whether the examples carry labels.

    Raises:
        UserError: when some do and some do not, because neither training nor a score would mean anything then.
    """
    if any(has_label) and not all(has_label):
        without = examples[list(has_label).index(False)].identifier
        raise UserError(f"example {without} carries no label while others do; label it or leave it out.")
    return bool(examples) and all(has_label)


class LabelIndex:
    """Label -> its index in the task's order; it explains itself where a label is unknown."""

    def __init__(self, labels: Sequence[str], task: str) -> None:
        self._index = {label: number for number, label in enumerate(labels)}
        self._task = task

    def of(self, label: str, identifier: str) -> int:
        """Return the index of `label`.

        Raises:
            UserError: when the task has no such label.
        """
        try:
            return self._index[label]
        except KeyError:
            known = ", ".join(self._index)
            raise UserError(
                f"example {identifier}: {label!r} is not a label of task {self._task}; it has {known}."
            ) from None


def softmax(logits: np.ndarray) -> list[float]:
    """Return probabilities of one row of logits, rounded to six places for keeping."""
    shifted = np.exp(logits.astype(np.float64) - logits.max())
    return [round(float(value), 6) for value in shifted / shifted.sum()]
