"""Words and a tag each: the first sub-token of a word carries its tag."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from adapterxfer.errors import UserError
from adapterxfer.features.rows import FeatureSettings, Rows
from adapterxfer.features.text import LabelIndex, Vocabulary, labelled
from adapterxfer.tasks.examples import TaggingExample
from adapterxfer.tasks.schema import Task

IGNORED = -100  # what cross-entropy skips


class TaggingKind:
    """Encodes and decodes tagging tasks."""

    def encode(self, task: Task, examples: Sequence[TaggingExample], tokenizer: Any, settings: FeatureSettings) -> Rows:
        """Return one row per sentence, or several where a sentence is too long and `long_sentences` is "split".

        Words are tokenised one by one, as in both published protocols. A word that becomes no token reads `<unk>`.
        A word longer than a row is cut. With "truncate", words past the row's end get no prediction and no score.

        Raises:
            UserError: for a tag the task does not have, tags that are not one per word, or where only some have tags.
        """
        vocabulary = Vocabulary(tokenizer)
        ids = vocabulary.ids(word for example in examples for word in example.words)
        room = settings.max_length - 2
        has_tags = labelled(examples, [example.tags is not None for example in examples])
        index = LabelIndex(task.labels, task.name)
        notes = dict.fromkeys(("split_sentences", "unscored_words", "unknown_words", "truncated_words"), 0)
        pieces: dict[str, np.ndarray] = {}
        unreadable = set()
        for word, tokens in ids.items():
            blank = len(tokens) == 0 or (len(tokens) == 1 and tokens[0] == vocabulary.marker)
            if blank:
                unreadable.add(word)
            pieces[word] = np.array([vocabulary.unknown], np.int32) if blank else tokens[:room]

        input_ids, owner, positions, word_numbers, tags = [], [], [], [], []
        for number, example in enumerate(examples):
            if has_tags and len(example.tags or ()) != len(example.words):
                raise UserError(
                    f"example {example.identifier} has {len(example.words)} words but {len(example.tags or ())} tags."
                )
            notes["unknown_words"] += sum(word in unreadable for word in example.words)
            notes["truncated_words"] += sum(len(ids[word]) > room for word in example.words)
            parts = list(_parts([len(pieces[word]) for word in example.words], room))
            if settings.long_sentences == "truncate":
                notes["unscored_words"] += sum(stop - start for start, stop in parts[1:])
                parts = parts[:1]
            notes["split_sentences"] += len(parts) > 1
            for start, stop in parts:
                words = example.words[start:stop]
                row = vocabulary.join(np.concatenate([np.zeros(0, np.int32), *(pieces[word] for word in words)]))
                at = 1 + np.cumsum([0, *(len(pieces[word]) for word in words)])[:-1]
                input_ids.append(row)
                owner.append(number)
                positions.append(at.astype(np.int64))
                word_numbers.append(np.arange(start, stop))
                if has_tags and example.tags is not None:
                    target = np.full(len(row), IGNORED, np.int64)
                    target[at] = [index.of(tag, example.identifier) for tag in example.tags[start:stop]]
                    tags.append(target)
        return Rows(
            input_ids,
            np.array(owner, np.int64),
            {"tags": tags} if has_tags else {},
            np.arange(len(input_ids)),
            {key: n for key, n in notes.items() if n},
            {"positions": positions, "words": word_numbers},
        )

    def decode(
        self, task: Task, examples: Sequence[TaggingExample], rows: Rows, outputs: list[np.ndarray]
    ) -> list[dict[str, Any]]:
        """Return a tag for each word of each example; None where truncation left the word unread."""
        tags: list[list[str | None]] = [[None] * len(example.words) for example in examples]
        places = zip(rows.example, rows.extra["positions"], rows.extra["words"], outputs, strict=True)
        for number, positions, words, logits in places:
            for word, label in zip(words, logits[positions].argmax(axis=1), strict=True):
                tags[number][word] = task.labels[label]
        return [
            {"id": example.identifier, "prediction": predicted}
            for example, predicted in zip(examples, tags, strict=True)
        ]


def _parts(lengths: list[int], room: int) -> Iterator[tuple[int, int]]:
    """Yield the (start, stop) words of each row: as many whole words as fit. A sentence without words is one part."""
    start = used = 0
    for word, length in enumerate(lengths):
        if used + length > room:
            yield start, word
            start, used = word, 0
        used += length
    yield start, len(lengths)
