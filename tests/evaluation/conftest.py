"""What the metric tests share: random tags."""

import random

import pytest


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
