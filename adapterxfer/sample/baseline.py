"""How far plain words get on the sample: `python -m adapterxfer.sample.baseline` prints the table of README.md.

Pair tasks: a logistic regression over the words of each side (`a_`, `b_`) and, for each word,
whether both sides or one have it.
Choice: the same over the words of a candidate answer, the better of the two wins. NER: the tag a word has most often in
training. QA: a span of the right type picked at random, so its mean is computed, not drawn.
"""

import json
import re
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from adapterxfer.sample import nli, paraphrase
from adapterxfer.sample.words import FOLDER, lexicon, marked, object_of, split_gender

DATA = FOLDER / "data"
Rows = list[tuple[set[str], str]]


def words_of(text: str) -> set[str]:
    """Return the lower-cased words of a text."""
    return set(re.findall(r"\w+", text.lower()))


def pair_rows(path: Path) -> Rows:
    """Return the features and label of every row of a pair task."""
    rows: Rows = []
    for line in path.read_text(encoding="utf-8").splitlines()[1:]:
        _, one, two, label = line.split("\t")
        rows.append((pair_features(one, two), label))
    return rows


def pair_features(one: str, two: str) -> set[str]:
    """Return the words of each side, and for each word whether both sides or one of them has it."""
    a, b = words_of(one), words_of(two)
    shared = {f"both_{word}" for word in a & b} | {f"one_{word}" for word in a ^ b}
    return {f"a_{word}" for word in a} | {f"b_{word}" for word in b} | shared


def fit(rows: Rows, classes: list[str], steps: int = 400, decay: float = 1e-3) -> tuple[dict[str, int], np.ndarray]:
    """Fit a softmax regression by gradient descent.

    Returns:
        The column of each feature, and the weights, features by classes; the last row is the bias.
    """
    columns = {name: number for number, name in enumerate(sorted(set().union(*(features for features, _ in rows))))}
    x = np.stack([vector(features, columns) for features, _ in rows])
    y = np.eye(len(classes))[[classes.index(label) for _, label in rows]]
    weights = np.zeros((len(columns) + 1, len(classes)))
    for _ in range(steps):
        weights -= 0.5 * (x.T @ (softmax(x @ weights) - y) / len(rows) + decay * weights)
    return columns, weights


def vector(features: set[str], columns: dict[str, int]) -> np.ndarray:
    """Return the 0/1 row of a set of features, with a 1 at the end for the bias."""
    row = np.zeros(len(columns) + 1)
    row[[columns[name] for name in features if name in columns]] = 1
    row[-1] = 1
    return row


def softmax(scores: np.ndarray) -> np.ndarray:
    """Return probabilities of rows of scores."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def pair_scores(task: str) -> dict[str, float]:
    """Return the accuracy on the English dev and test rows of a pair task."""
    rows = {split: pair_rows(DATA / task / f"{split}.en.tsv") for split in ("train", "dev", "test")}
    return {split: pair_accuracy(rows["train"], rows[split]) for split in ("dev", "test")}


def fresh_pair_score(task: str, draws: int = 3) -> float:
    """Return the mean accuracy over newly drawn English data: the committed splits are too small to show a leak.

    Each draw has as many training rows as the task and as many others, so the standard error is about a point.
    """
    scores = []
    for seed in range(draws):
        random, taken = Random(1000 + seed), set[Any]()
        if task == "sample_nli":
            parts = [
                [
                    (pair_features(nli.say_event("en", event), nli.say_claim("en", event, one, value)), label)
                    for event, one, value, label in nli.plan_nli(random, count, taken)
                ]
                for count in (900, 900)
            ]
        else:
            parts = [
                [
                    (pair_features(paraphrase.say_paraphrase("en", one), paraphrase.say_paraphrase("en", two)), label)
                    for one, two, label in paraphrase.plan_paraphrase(random, count, taken)
                ]
                for count in (600, 600)
            ]
        scores.append(pair_accuracy(*parts))
    return sum(scores) / draws


def pair_accuracy(train: Rows, rows: Rows) -> float:
    """Return the accuracy on `rows` of a regression fitted on `train`."""
    classes = sorted({label for _, label in train})
    columns, weights = fit(train, classes)
    guesses = [classes[int((vector(features, columns) @ weights).argmax())] for features, _ in rows]
    return sum(guess == label for guess, (_, label) in zip(guesses, rows, strict=True)) / len(rows)


def choice_scores() -> dict[str, float]:
    """Return the accuracy on the English dev and test rows of sample_choice."""
    rows = {}
    for split in ("train", "dev", "test"):
        lines = (DATA / "sample_choice" / f"{split}.en.jsonl").read_text(encoding="utf-8").splitlines()
        rows[split] = [json.loads(line) for line in lines]
    seen = [
        (words_of(row[f"choice{place + 1}"]), str(int(place == row["label"])))
        for row in rows["train"]
        for place in (0, 1)
    ]
    columns, weights = fit(seen, ["0", "1"])
    scores = {}
    for split in ("dev", "test"):
        right = 0.0
        for row in rows[split]:
            first, second = (vector(words_of(row[f"choice{place}"]), columns) @ weights[:, 1] for place in (1, 2))
            right += 0.5 if first == second else float((second > first) == bool(row["label"]))
        scores[split] = right / len(rows[split])
    return scores


def ner_sentences(split: str) -> list[list[tuple[str, str]]]:
    """Return the English sentences of a split as words with tags."""
    text = (DATA / "sample_ner" / f"{split}.en.tsv").read_text(encoding="utf-8")
    return [[(w, t) for w, t in (line.split("\t") for line in block.splitlines())] for block in text.split("\n\n")]


def entities(tags: list[str]) -> set[tuple[int, int, str]]:
    """Return (start, end, type) of every entity of a sentence of IOB2 tags; an I after something else begins one."""
    found, start = set(), 0
    for place, tag in enumerate([*tags, "O"]):
        before = tags[place - 1] if place else "O"
        if before != "O" and (tag == "O" or tag[0] == "B" or tag[2:] != before[2:]):
            found.add((start, place, before[2:]))
            start = place
        if tag != "O" and (before == "O" or tag[0] == "B" or tag[2:] != before[2:]):
            start = place
    return found


def ner_scores() -> dict[str, float]:
    """Return the entity F1 on the English dev and test sentences of sample_ner."""
    counts: dict[str, Counter[str]] = {}
    for sentence in ner_sentences("train"):
        for word, tag in sentence:
            counts.setdefault(word, Counter())[tag] += 1
    scores = {}
    for split in ("dev", "test"):
        right = guessed = gold = 0
        for sentence in ner_sentences(split):
            given = entities([tag for _, tag in sentence])
            tags = [max(sorted(counts[w]), key=counts[w].__getitem__) if w in counts else "O" for w, _ in sentence]
            said = entities(tags)
            right, guessed, gold = right + len(given & said), guessed + len(said), gold + len(given)
        scores[split] = 2 * right / (guessed + gold)
    return scores


def qa_scores() -> dict[str, float]:
    """Return the mean exact match of picking, from the context, one of the different phrases of the answer's type."""
    words = lexicon("en")
    types = [
        [split_gender(entry)[1] for entry in words["names"].values()],
        [object_of("en", item)[0] for item in words["objects"]],
        [marked(entry[0])[len("in \ue000") : -1] for entry in words["cities"].values()],
        [text.split("[")[1][:-1] for text in words["times"].values() if "[" in text],
    ]
    scores = {}
    for split in ("dev", "test"):
        document = json.loads((DATA / "sample_qa" / f"{split}.en.json").read_text(encoding="utf-8"))
        chances = []
        for paragraph in document["data"][0]["paragraphs"]:
            for question in paragraph["qas"]:
                answer = question["answers"][0]["text"]
                (alike,) = [phrases for phrases in types if answer in phrases]
                there = [one for one in alike if re.search(rf"\b{one}\b", paragraph["context"])]
                chances.append(1 / len(there))
        scores[split] = sum(chances) / len(chances)
    return scores


def table() -> str:
    """Return the table of the README, in Markdown."""
    lines = [
        "| task | metric | chance | majority | words, dev | words, test | words, fresh draws |",
        "|---|---|---|---|---|---|---|",
    ]
    qa, plain = qa_scores(), {"sample_nli": 1 / 3, "sample_paraphrase": 1 / 2}
    for task, chance in plain.items():
        lines.append(_line(task, "accuracy", chance, chance, pair_scores(task), fresh_pair_score(task)))
    lines.append(_line("sample_choice", "accuracy", 1 / 2, 1 / 2, choice_scores()))
    lines.append(_line("sample_ner", "entity F1", 0, 0, ner_scores()))
    lines.append(_line("sample_qa", "exact match", qa["test"], None, qa))
    lines.append("| sample_retrieval | accuracy | 1.0 | n/a | n/a | n/a | n/a |")
    return "\n".join(lines) + "\n"


def _line(
    task: str, metric: str, chance: float, majority: float | None, scores: dict[str, float], fresh: float | None = None
) -> str:
    numbers = (chance, majority, scores["dev"], scores["test"], fresh)
    return f"| {task} | {metric} | " + " | ".join("n/a" if x is None else f"{100 * x:.1f}" for x in numbers) + " |"


def main() -> None:
    """Print the table."""
    print(table(), end="")


if __name__ == "__main__":
    main()
