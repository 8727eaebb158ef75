"""What the metric tests share: tasks made on the spot, and random tags."""

import random
from pathlib import Path

import pytest

from adapterxfer.tasks.schema import Task


@pytest.fixture(scope="session")
def make_task():
    def make(kind: str, labels: tuple[str, ...] = (), metric: str = "accuracy") -> Task:
        return Task(
            name="toy",
            version=1,
            kind=kind,
            roles=("target",),
            description="",
            labels=labels,
            languages=("en",),
            metric=metric,
            evaluation_split="test",
            training_task=None,
            licence="",
            citation="",
            path=Path("toy.yaml"),
        )

    return make


@pytest.fixture(scope="session")
def random_tags():
    def make(tags: tuple[str, ...], name: str, sentences: int = 20) -> tuple[list[list[str]], list[list[str]]]:
        """Return gold tags, and predicted ones of which about 70% are right. The sequence is Python's own for ever."""
        generator = random.Random(name)

        def draw() -> str:
            return tags[int(generator.random() * len(tags))]

        gold = [[draw() for _ in range(1 + int(generator.random() * 12))] for _ in range(sentences)]
        predicted = [[tag if generator.random() < 0.7 else draw() for tag in sentence] for sentence in gold]
        return gold, predicted

    return make
