"""The five kinds of example, as every reader yields them and every feature builder takes them.

`identifier` is unique within one split and language. A label of None means the file carries none.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PairExample:
    """Two texts and a label word, e.g. NLI (premise, hypothesis) or paraphrase."""

    identifier: str
    text_a: str
    text_b: str
    label: str | None


@dataclass(frozen=True, slots=True)
class ChoiceExample:
    """A prompt and its candidate continuations; `label` is the index of the right one."""

    identifier: str
    prompt: str
    choices: tuple[str, ...]
    label: int | None


@dataclass(frozen=True, slots=True)
class Answer:
    """A gold answer: `context[start : start + len(text)] == text`, offsets in code points."""

    text: str
    start: int


@dataclass(frozen=True, slots=True)
class SpanExample:
    """A question on a context. No answers and `labelled` True means "unanswerable"; `labelled` False means no gold."""

    identifier: str
    question: str
    context: str
    answers: tuple[Answer, ...]
    labelled: bool = True


@dataclass(frozen=True, slots=True)
class TaggingExample:
    """Words and a tag each."""

    identifier: str
    words: tuple[str, ...]
    tags: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class RetrievalExample:
    """A sentence and its translation; row n of the source side is gold for row n of the target side."""

    identifier: str
    source: str
    target: str


Example = PairExample | ChoiceExample | SpanExample | TaggingExample | RetrievalExample
