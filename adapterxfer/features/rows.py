"""What the model reads: token rows without padding, and what decoding needs to get back from them."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from adapterxfer.errors import UserError


@dataclass(frozen=True)
class FeatureSettings:
    """How examples are cut to what the backbone reads. Lengths are in subword tokens.

    Attributes:
        max_length: longest row, special tokens included.
        stride: step from one window of a long context to the next (what SQuAD scripts call doc_stride).
        max_query_length: longest question; the rest of a longer one is cut off.
        max_answer_length: longest predicted answer.
        n_best: how many start and end positions of a window are paired when an answer is sought.
        long_sentences: "split" a sentence to tag over several rows (the xtreme protocol), or "truncate" it (jiant).

    Raises:
        UserError: for a value that leaves nothing to read.
    """

    max_length: int = 128
    stride: int = 128
    max_query_length: int = 64
    max_answer_length: int = 30
    n_best: int = 20
    long_sentences: str = "split"

    def __post_init__(self) -> None:
        if self.max_length < 8:
            raise UserError(f"max_length {self.max_length} is too short: a row needs at least 8 tokens.")
        for name in ("stride", "max_query_length", "max_answer_length", "n_best"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} must be 1 or more, not {getattr(self, name)}.")
        if self.long_sentences not in ("split", "truncate"):
            raise UserError(f"long_sentences must be split or truncate, not {self.long_sentences!r}.")


@dataclass(frozen=True)
class Rows:
    """Everything the model reads for a list of examples, in the examples' order.

    Attributes:
        input_ids: one int32 array per row, special tokens included, no padding.
        example: row -> index of its example.
        targets: empty when the examples carry no labels, else
            pair: `label` per row; choice: `label` per *example* (index of the right choice) and `is_right` per row;
            tagging: `tags`, one array per row, -100 everywhere but at first sub-tokens;
            span: `start` and `end` per row, token positions, both 0 (`<s>`) where the window lacks the answer.
        group: row -> group; rows of one group always share a batch (the choices of one example), else one row each.
        notes: what was truncated, split, unreachable ..., counted; only what happened at all is named.
        extra: what decoding needs.
    """

    input_ids: list[np.ndarray]
    example: np.ndarray
    targets: dict[str, Any]
    group: np.ndarray
    notes: dict[str, int] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.input_ids)

    def lengths(self) -> np.ndarray:
        """Return the number of tokens of each row."""
        return np.fromiter((len(ids) for ids in self.input_ids), dtype=np.int64, count=len(self.input_ids))
