"""A question on a context: windows `<s> question </s></s> context </s>`, and the answer as a span of the context."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from adapterxfer.errors import UserError
from adapterxfer.features.offsets import edges, visible_spans
from adapterxfer.features.rows import FeatureSettings, Rows
from adapterxfer.features.text import Vocabulary, labelled
from adapterxfer.tasks.examples import Answer, SpanExample
from adapterxfer.tasks.schema import Task


class SpanKind:
    """Encodes and decodes extractive question answering."""

    def encode(self, task: Task, examples: Sequence[SpanExample], tokenizer: Any, settings: FeatureSettings) -> Rows:
        """Return one row per window of a context.

        Targets are the tokens of the first answer; both are 0 in a window that lacks it or cuts it, and everywhere for
        an unanswerable question. Notes count `truncated_questions`, `windowed_contexts`, `unreachable` (answers whole
        in no window), `long_answers` (longer than may be predicted) and `inexact` (answers that begin or end inside a
        token, so that even the right tokens give other text).

        Raises:
            UserError: when the longest question leaves no room for a context, or only some examples have gold.
        """
        least = settings.max_length - settings.max_query_length - 4
        if least < 1:
            raise UserError(
                f"rows of {settings.max_length} tokens leave no room for a context beside questions of "
                f"{settings.max_query_length}; allow longer rows or shorter questions."
            )
        vocabulary = Vocabulary(tokenizer)
        questions = vocabulary.ids(example.question for example in examples)
        contexts = vocabulary.encoded(example.context for example in examples)
        spans = {text: visible_spans(text, e.ids, e.offsets, vocabulary.marker) for text, e in contexts.items()}
        has_gold = labelled(examples, [example.labelled for example in examples])
        kinds = ("truncated_questions", "windowed_contexts", "unreachable", "long_answers", "inexact")
        notes = dict.fromkeys(kinds, 0)
        input_ids, owner, starts, ends, offsets = [], [], [], [], []
        for number, example in enumerate(examples):
            question = questions[example.question][: settings.max_query_length]
            notes["truncated_questions"] += len(question) < len(questions[example.question])
            tokens, shown = contexts[example.context].ids, spans[example.context]
            gold = _gold_tokens(example, shown) if has_gold and example.answers else None
            before = len(question) + 3
            windows = list(_windows(len(tokens), settings.max_length - len(question) - 4, settings.stride))
            notes["windowed_contexts"] += len(windows) > 1
            reached = False
            for low, high in windows:
                row = vocabulary.join(question, tokens[low:high])
                places = np.full((len(row), 2), -1, np.int32)
                places[before:-1] = shown[low:high]
                inside = gold is not None and low <= gold[0] and gold[1] < high
                reached = reached or inside
                start, end = (before + gold[0] - low, before + gold[1] - low) if inside and gold else (0, 0)
                input_ids.append(row)
                owner.append(number)
                starts.append(start)
                ends.append(end)
                offsets.append(places)
            if has_gold and example.answers:
                notes["unreachable"] += not reached
                if gold is not None:
                    notes["long_answers"] += gold[1] - gold[0] >= settings.max_answer_length
                    notes["inexact"] += (shown[gold[0], 0], shown[gold[1], 1]) != _visible(example.answers[0])
        targets = {"start": np.array(starts, np.int64), "end": np.array(ends, np.int64)} if has_gold else {}
        return Rows(
            input_ids,
            np.array(owner, np.int64),
            targets,
            np.arange(len(input_ids)),
            {key: n for key, n in notes.items() if n},
            {"offsets": offsets, "max_answer_length": settings.max_answer_length, "n_best": settings.n_best},
        )

    def decode(
        self, task: Task, examples: Sequence[SpanExample], rows: Rows, outputs: list[np.ndarray]
    ) -> list[dict[str, Any]]:
        """Return the best span over all windows of each example, cut from its context by offset.

        A span's `score` is the sum of its start and end logits; `null_score` is that of the first token, the lowest
        over the windows, as in SQuAD 2.0. `start` is the answer's place in the context, None where there is no answer.
        """
        best: list[tuple[float, int, int] | None] = [None] * len(examples)
        null = [float("inf")] * len(examples)
        n_best, longest = rows.extra["n_best"], rows.extra["max_answer_length"]
        for number, places, logits in zip(rows.example, rows.extra["offsets"], outputs, strict=True):
            null[number] = min(null[number], float(logits[0, 0]) + float(logits[0, 1]))
            # where no likely start goes with a likely end, all of them are tried
            found = _best_span(logits, places, n_best, longest) or _best_span(logits, places, len(places), longest)
            known = best[number]
            if found is not None and (known is None or found[0] > known[0]):
                best[number] = found
        predictions = []
        for example, found, empty in zip(examples, best, null, strict=True):
            score, start, end = found if found is not None else (empty, 0, 0)
            predictions.append(
                {
                    "id": example.identifier,
                    "prediction": example.context[start:end],
                    "start": start if found is not None else None,
                    "score": round(score, 6),
                    "null_score": round(empty, 6),
                }
            )
        return predictions


def _windows(tokens: int, room: int, stride: int) -> Iterator[tuple[int, int]]:
    """Yield (low, high) of each window; the last one ends with the context. A step never skips a token."""
    low = 0
    while low + room < tokens:
        yield low, low + room
        low += min(stride, room)
    yield low, tokens


def _visible(answer: Answer) -> tuple[int, int]:
    """Return the code points of an answer in its context, without blanks at its edges."""
    following, ending = edges(answer.text)
    return answer.start + int(following[0]), answer.start + int(ending[-1])


def _gold_tokens(example: SpanExample, shown: np.ndarray) -> tuple[int, int] | None:
    """Return the first and last context token that show any of the first answer; None where none does."""
    start, end = _visible(example.answers[0])
    touched = np.flatnonzero((shown[:, 0] < end) & (shown[:, 1] > start) & (shown[:, 0] >= 0))
    return (int(touched[0]), int(touched[-1])) if len(touched) else None


def _best_span(logits: np.ndarray, places: np.ndarray, n_best: int, longest: int) -> tuple[float, int, int] | None:
    """Return (score, start, end) in code points of the best span among the `n_best` likeliest starts and ends."""
    tokens = np.flatnonzero(places[:, 0] >= 0)
    starts = tokens[np.argsort(-logits[tokens, 0], kind="stable")[:n_best]]
    ends = tokens[np.argsort(-logits[tokens, 1], kind="stable")[:n_best]]
    length = ends[None, :] - starts[:, None]
    scores = np.where(
        (length >= 0) & (length < longest), logits[starts, 0].astype(np.float64)[:, None] + logits[ends, 1], -np.inf
    )
    if not np.isfinite(scores).any():
        return None
    first, last = np.unravel_index(int(scores.argmax()), scores.shape)
    return float(scores[first, last]), int(places[starts[first], 0]), int(places[ends[last], 1])
