"""Sentences and their translations: two rows per example, each encoded alone."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from adapterxfer.features.nearest import nearest_neighbours
from adapterxfer.features.rows import FeatureSettings, Rows
from adapterxfer.features.text import Vocabulary
from adapterxfer.tasks.examples import RetrievalExample
from adapterxfer.tasks.schema import Task


class RetrievalKind:
    """Encodes and decodes sentence retrieval."""

    def encode(
        self, task: Task, examples: Sequence[RetrievalExample], tokenizer: Any, settings: FeatureSettings
    ) -> Rows:
        """Return two rows per example: row 2n reads source n, row 2n + 1 reads target n. Long ones lose their end."""
        vocabulary = Vocabulary(tokenizer)
        texts = [text for example in examples for text in (example.source, example.target)]
        ids = vocabulary.ids(texts)
        room = settings.max_length - 2
        truncated = sum(len(ids[text]) > room for text in texts)
        return Rows(
            [vocabulary.join(ids[text][:room]) for text in texts],
            np.arange(len(texts)) // 2,
            {},
            np.arange(len(texts)),
            {"truncated": truncated} if truncated else {},
        )

    def decode(
        self, task: Task, examples: Sequence[RetrievalExample], rows: Rows, outputs: list[np.ndarray]
    ) -> list[dict[str, Any]]:
        """Return, for each source, which target is nearest (`prediction`, an index), and for each target which source.

        `cosine` belongs to the source's neighbour, `reverse` is the index of the target's nearest source.
        """
        if not examples:
            return []
        sources, targets = np.stack(outputs[0::2]), np.stack(outputs[1::2])
        places, cosines = nearest_neighbours(sources, targets)
        reverse, _ = nearest_neighbours(targets, sources)
        return [
            {"id": e.identifier, "prediction": int(place), "cosine": round(float(cosine), 6), "reverse": int(back)}
            for e, place, cosine, back in zip(examples, places, cosines, reverse, strict=True)
        ]
