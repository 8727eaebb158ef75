"""Real files in many languages: what is encoded comes back."""

import json

import pytest

from adapterxfer.evaluation.scores import score
from adapterxfer.features.kinds import FeatureSettings, kind_of
from adapterxfer.tasks.examples import Answer, SpanExample, TaggingExample

XQUAD = ("ar", "de", "el", "en", "es", "hi", "ro", "ru", "th", "tr", "vi", "zh")
NER = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC")
UPOS = (
    *("ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM"),
    *("PART", "PRON", "PROPN", "PUNCT", "SCONJ", "SYM", "VERB", "X"),
)


def questions(path):
    return [
        SpanExample(
            qa["id"],
            qa["question"],
            paragraph["context"],
            tuple(Answer(answer["text"], answer["answer_start"]) for answer in qa["answers"]),
        )
        for article in json.loads(path.read_text(encoding="utf-8"))["data"]
        for paragraph in article["paragraphs"]
        for qa in paragraph["qas"]
    ]


def sentences(path, count=400):
    blocks = path.read_text(encoding="utf-8").strip("\n").split("\n\n")[:count]
    made = []
    for number, block in enumerate(blocks):
        pairs = [line.split("\t") for line in block.split("\n")]
        made.append(TaggingExample(str(number), tuple(p[0] for p in pairs), tuple(p[1] for p in pairs)))
    return made


@pytest.mark.parametrize("language", XQUAD)
def test_gold_spans_fed_back_give_every_xquad_answer_but_those_the_notes_explain(
    corpora, tokenizer, make_task, one_hot, language
):
    task = make_task("span", metric="squad")
    examples = questions(corpora / "xquad" / f"xquad.{language}.json")
    kind = kind_of(task)
    rows = kind.encode(task, examples, tokenizer, FeatureSettings(384))
    predictions = kind.decode(task, examples, rows, one_hot("span", rows))
    lost = [
        (example.answers[0].text, made["prediction"])
        for example, made in zip(examples, predictions, strict=True)
        if made["prediction"] != example.answers[0].text
    ]
    assert "unreachable" not in rows.notes
    # an answer that begins or ends inside a token comes back with the rest of it; a too long one is not predictable
    longer = [gold for gold, made in lost if gold in made]
    assert len(longer) <= rows.notes["inexact"]
    assert len(lost) - len(longer) <= rows.notes.get("long_answers", 0)
    assert rows.notes["inexact"] <= 60
    scores = score(task, examples, predictions, language)
    assert scores["em"] >= 98.5
    assert scores["f1"] >= scores["em"]


@pytest.mark.parametrize("protocol", ["split", "truncate"])
@pytest.mark.parametrize(
    ("folder", "language"),
    [("panx", "en"), ("panx", "hi"), ("panx", "my"), ("panx", "ur"), ("udpos", "zh"), ("udpos", "vi"), ("udpos", "ar")],
)
def test_gold_tags_fed_back_score_100_and_every_word_is_accounted_for(
    corpora, tokenizer, make_task, one_hot, folder, language, protocol
):
    path = corpora / folder / f"dev-{language}.tsv"
    if not path.is_file():
        pytest.skip(f"{path.name} of {folder} is not among the corpora")
    metric, labels = ("ner_f1", NER) if folder == "panx" else ("pos", UPOS)
    task = make_task("tagging", labels, metric)
    examples = sentences(path)
    kind = kind_of(task)
    rows = kind.encode(task, examples, tokenizer, FeatureSettings(14, long_sentences=protocol))
    predictions = kind.decode(task, examples, rows, one_hot("tagging", rows, len(labels)))
    unread = 0
    for example, made in zip(examples, predictions, strict=True):
        assert len(made["prediction"]) == len(example.words)
        assert all(given in (tag, None) for given, tag in zip(made["prediction"], example.tags, strict=True))
        unread += made["prediction"].count(None)
    assert unread == rows.notes.get("unscored_words", 0)
    assert (unread == 0) == (protocol == "split")
    scores = score(task, examples, predictions, language)
    assert scores["score"] == 100
    assert scores.get("unscored_words", 0) == unread
