import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapterxfer.errors import UserError
from adapterxfer.features.kinds import FeatureSettings, kind_of
from adapterxfer.features.pair import longest_first
from adapterxfer.tasks.examples import PairExample

LABELS = ("contradiction", "entailment", "neutral")
TEXTS = [
    ("A man inspects the uniform of a figure in some East Asian country.", "The man is sleeping"),
    ("Ein Mann.", "这个人正在睡觉。" * 12),
    ("ผู้ชายกำลังนอนหลับ " * 10, "Adam uyuyor mu?"),
    ("رجل " * 40, "नमस्ते दुनिया " * 40),
    ("short", "also short"),
]


@pytest.mark.parametrize("max_length", [8, 9, 16, 33, 512])
def test_pairs_are_cut_and_joined_exactly_as_the_tokenizer_itself_does_with_longest_first(
    tokenizer, make_task, max_length
):
    task = make_task("pair", LABELS)
    examples = [PairExample(str(n), a, b, None) for n, (a, b) in enumerate(TEXTS)]
    rows = kind_of(task).encode(task, examples, tokenizer, FeatureSettings(max_length))
    for row, (a, b) in zip(rows.input_ids, TEXTS, strict=True):
        assert row.tolist() == tokenizer(a, b, truncation="longest_first", max_length=max_length)["input_ids"]
    assert rows.targets == {}
    whole = [len(tokenizer(a, b)["input_ids"]) for a, b in TEXTS]
    assert rows.notes.get("truncated", 0) == sum(length > max_length for length in whole)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(2, 50))
def test_longest_first_fills_the_room_and_never_lengthens(first, second, room):
    a, b = longest_first(first, second, room)
    assert 0 <= a <= first
    assert 0 <= b <= second
    assert a + b == min(first + second, room)


def test_an_empty_second_text_makes_a_single_segment(tokenizer, make_task):
    task = make_task("pair", ("bad", "good"))
    rows = kind_of(task).encode(task, [PairExample("1", "Very nice.", "", "good")], tokenizer, FeatureSettings(32))
    assert rows.input_ids[0].tolist() == tokenizer("Very nice.")["input_ids"]
    assert rows.targets["label"].tolist() == [1]


def test_labels_become_indices_in_the_tasks_order_and_outputs_become_labels_again(tokenizer, make_task):
    task = make_task("pair", LABELS)
    examples = [PairExample(str(n), "a", "b", label) for n, label in enumerate(reversed(LABELS))]
    kind = kind_of(task)
    rows = kind.encode(task, examples, tokenizer, FeatureSettings(32))
    assert rows.targets["label"].tolist() == [2, 1, 0]
    predictions = kind.decode(task, examples, rows, list(np.eye(3, dtype=np.float32)[[2, 1, 0]]))
    assert [made["prediction"] for made in predictions] == [example.label for example in examples]
    assert [made["id"] for made in predictions] == ["0", "1", "2"]
    assert sum(predictions[0]["scores"]) == pytest.approx(1, abs=1e-5)


def test_an_unknown_label_is_refused_with_its_example_and_the_known_ones(tokenizer, make_task):
    task = make_task("pair", LABELS)
    with pytest.raises(UserError, match=r"example q7: 'maybe' is not a label of task toy; it has contradiction, ent"):
        kind_of(task).encode(task, [PairExample("q7", "a", "b", "maybe")], tokenizer, FeatureSettings(32))


def test_examples_of_which_only_some_are_labelled_are_refused(tokenizer, make_task):
    task = make_task("pair", LABELS)
    mixed = [PairExample("1", "a", "b", "neutral"), PairExample("2", "a", "b", None)]
    with pytest.raises(UserError, match="example 2 carries no label"):
        kind_of(task).encode(task, mixed, tokenizer, FeatureSettings(32))


@pytest.mark.parametrize(
    "wrong", [{"max_length": 7}, {"stride": 0}, {"n_best": 0}, {"max_answer_length": 0}, {"long_sentences": "cut"}]
)
def test_settings_that_leave_nothing_to_read_are_refused(wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        FeatureSettings(**wrong)
