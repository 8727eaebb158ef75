import numpy as np
import pytest

from adapterxfer.errors import UserError
from adapterxfer.features.kinds import FeatureSettings, kind_of
from adapterxfer.tasks.examples import ChoiceExample

EXAMPLES = [
    ChoiceExample("1", "The man turned on the faucet. What was the effect?", ("Water flowed.", "It was noon."), 0),
    ChoiceExample("2", "Where do fish live?", ("tree", "water", "desert", "sky", "car"), 1),
]


def test_each_choice_is_a_row_after_its_prompt_and_the_rows_of_an_example_are_one_group(tokenizer, make_task):
    task = make_task("choice")
    rows = kind_of(task).encode(task, EXAMPLES, tokenizer, FeatureSettings(64))
    wanted = [tokenizer(example.prompt, choice)["input_ids"] for example in EXAMPLES for choice in example.choices]
    assert [row.tolist() for row in rows.input_ids] == wanted
    assert rows.group.tolist() == rows.example.tolist() == [0, 0, 1, 1, 1, 1, 1]
    assert rows.targets["label"].tolist() == [0, 1]
    assert rows.targets["is_right"].tolist() == [True, False, False, True, False, False, False]
    assert rows.notes == {}


def test_too_long_a_row_loses_the_start_of_its_prompt_and_nothing_of_the_choice(tokenizer, make_task):
    task = make_task("choice")
    example = ChoiceExample("1", "word " * 50 + "what happened next?", ("He left the room quietly.", "Rain."), 0)
    rows = kind_of(task).encode(task, [example], tokenizer, FeatureSettings(24))
    for row, choice in zip(rows.input_ids, example.choices, strict=True):
        assert len(row) == 24
        text = tokenizer.decode(row)
        assert text.endswith(choice + "</s>")
        assert "what happened next?" in text
    assert rows.notes == {"truncated": 2}


def test_a_choice_that_does_not_fit_alone_is_cut_and_counted(tokenizer, make_task):
    task = make_task("choice")
    rows = kind_of(task).encode(
        task, [ChoiceExample("1", "Why?", ("no " * 40, "yes"), 1)], tokenizer, FeatureSettings(16)
    )
    assert [len(row) <= 16 for row in rows.input_ids] == [True, True]
    assert rows.notes["truncated_choices"] == 1


def test_the_largest_logit_of_an_examples_rows_is_its_prediction(tokenizer, make_task):
    task = make_task("choice")
    kind = kind_of(task)
    rows = kind.encode(task, EXAMPLES, tokenizer, FeatureSettings(64))
    logits = [np.array([value], np.float32) for value in (-1, 2, 0, 0, 5, 1, 4)]
    predictions = kind.decode(task, EXAMPLES, rows, logits)
    assert [made["prediction"] for made in predictions] == [1, 2]
    assert [len(made["scores"]) for made in predictions] == [2, 5]


def test_a_label_beyond_the_choices_is_refused(tokenizer, make_task):
    task = make_task("choice")
    with pytest.raises(UserError, match="example 9: label 2 names none of its 2 choices"):
        kind_of(task).encode(task, [ChoiceExample("9", "p", ("a", "b"), 2)], tokenizer, FeatureSettings(64))
