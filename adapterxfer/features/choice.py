"""A prompt and its choices: one row `<s> prompt </s></s> choice </s>` per choice."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from adapterxfer.errors import UserError
from adapterxfer.features.rows import FeatureSettings, Rows
from adapterxfer.features.text import Vocabulary, labelled, softmax
from adapterxfer.tasks.examples import ChoiceExample
from adapterxfer.tasks.schema import Task


class ChoiceKind:
    """Encodes and decodes multiple-choice tasks."""

    def encode(self, task: Task, examples: Sequence[ChoiceExample], tokenizer: Any, settings: FeatureSettings) -> Rows:
        """Return one row per choice; the choices of an example are one group.

        What is too long loses the start of its prompt, because a question stands at the prompt's end and a
        continuation follows it. A choice is cut only where it does not fit alone.

        Raises:
            UserError: when the label is not one of the choices, or where only some examples have one.
        """
        vocabulary = Vocabulary(tokenizer)
        ids = vocabulary.ids(text for example in examples for text in (example.prompt, *example.choices))
        room = settings.max_length - 4
        rows: list[np.ndarray] = []
        owner: list[int] = []
        truncated = cut_choices = 0
        for number, example in enumerate(examples):
            prompt = ids[example.prompt]
            for choice in example.choices:
                kept = ids[choice][:room]
                cut_choices += len(kept) < len(ids[choice])
                start = max(0, len(prompt) + len(kept) - room)
                truncated += start > 0
                rows.append(vocabulary.join(prompt[start:], kept))
                owner.append(number)
        example_of = np.array(owner, np.int64)
        targets = {}
        if labelled(examples, [example.label is not None for example in examples]):
            for example in examples:
                if not 0 <= int(example.label or 0) < len(example.choices):
                    raise UserError(
                        f"example {example.identifier}: label {example.label} names none of its "
                        f"{len(example.choices)} choices, which count from 0."
                    )
            label = np.array([example.label for example in examples], np.int64)
            first = np.concatenate([[0], np.cumsum([len(example.choices) for example in examples])[:-1]])
            targets = {"label": label, "is_right": np.arange(len(rows)) - first[example_of] == label[example_of]}
        notes = {"truncated": truncated, "truncated_choices": cut_choices}
        return Rows(rows, example_of, targets, example_of.copy(), {key: n for key, n in notes.items() if n})

    def decode(
        self, task: Task, examples: Sequence[ChoiceExample], rows: Rows, outputs: list[np.ndarray]
    ) -> list[dict[str, Any]]:
        """Return the index of the likeliest choice of each example, and the `scores` (probabilities) of all."""
        logits: list[list[float]] = [[] for _ in examples]
        for number, output in zip(rows.example, outputs, strict=True):
            logits[number].append(float(output[0]))
        return [
            {"id": example.identifier, "prediction": int(np.argmax(values)), "scores": softmax(np.array(values))}
            for example, values in zip(examples, logits, strict=True)
        ]
