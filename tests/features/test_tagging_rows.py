import pytest

from adapterxfer.errors import UserError
from adapterxfer.features.kinds import FeatureSettings, kind_of
from adapterxfer.tasks.examples import TaggingExample

LABELS = ("NOUN", "VERB", "PUNCT")


def example(words, tags=None):
    return TaggingExample("s1", tuple(words), tuple(tags) if tags else ("NOUN",) * len(words))


def test_the_first_sub_token_of_each_word_carries_its_tag_and_nothing_else_does(tokenizer, make_task):
    task = make_task("tagging", LABELS)
    words, tags = ("Donaudampfschifffahrt", "北京", "stops", "."), ("NOUN", "NOUN", "VERB", "PUNCT")
    rows = kind_of(task).encode(task, [example(words, tags)], tokenizer, FeatureSettings(64))
    sizes = [len(tokenizer(word, add_special_tokens=False)["input_ids"]) for word in words]
    assert sizes[0] > 1
    wanted = [-100]
    for size, tag in zip(sizes, (0, 0, 1, 2), strict=True):
        wanted += [tag] + [-100] * (size - 1)
    assert rows.targets["tags"][0].tolist() == [*wanted, -100]
    assert len(rows.input_ids[0]) == len(wanted) + 1


@pytest.mark.parametrize("nothing", ["\u200b", "\x01", "\u200d\u200c", " "])
def test_a_word_that_becomes_no_token_is_read_as_unknown_and_still_tagged(tokenizer, make_task, one_hot, nothing):
    task = make_task("tagging", LABELS)
    made = example(("a", nothing, "b"), ("NOUN", "PUNCT", "VERB"))
    kind = kind_of(task)
    rows = kind.encode(task, [made], tokenizer, FeatureSettings(64))
    assert rows.input_ids[0].tolist().count(tokenizer.unk_token_id) == 1
    assert rows.notes == {"unknown_words": 1}
    assert kind.decode(task, [made], rows, one_hot("tagging", rows, 3))[0]["prediction"] == list(made.tags)


def test_long_sentences_are_split_between_words_and_merged_back(tokenizer, make_task, one_hot):
    task = make_task("tagging", LABELS)
    words = [f"wonderful{n}" for n in range(60)]
    made = example(words, [LABELS[n % 3] for n in range(60)])
    kind = kind_of(task)
    rows = kind.encode(task, [made], tokenizer, FeatureSettings(20))
    assert len(rows) > 5
    assert rows.lengths().max() <= 20
    assert sum((tags >= 0).sum() for tags in rows.targets["tags"]) == 60
    assert rows.notes == {"split_sentences": 1}
    assert kind.decode(task, [made], rows, one_hot("tagging", rows, 3))[0]["prediction"] == list(made.tags)


def test_truncation_leaves_later_words_without_a_prediction_and_counts_them(tokenizer, make_task, one_hot):
    task = make_task("tagging", LABELS)
    made = example(["word"] * 30)
    kind = kind_of(task)
    rows = kind.encode(task, [made], tokenizer, FeatureSettings(12, long_sentences="truncate"))
    assert len(rows) == 1
    predicted = kind.decode(task, [made], rows, one_hot("tagging", rows, 3))[0]["prediction"]
    assert predicted == ["NOUN"] * 10 + [None] * 20
    assert rows.notes == {"unscored_words": 20}


def test_a_word_longer_than_a_row_is_cut_and_counted(tokenizer, make_task):
    task = make_task("tagging", LABELS)
    rows = kind_of(task).encode(task, [example(["a", "xq" * 60, "b"])], tokenizer, FeatureSettings(16))
    assert rows.lengths().max() <= 16
    assert rows.notes["truncated_words"] == 1
    assert sum((tags >= 0).sum() for tags in rows.targets["tags"]) == 3


def test_a_sentence_without_words_is_one_empty_row(tokenizer, make_task, one_hot):
    task = make_task("tagging", LABELS)
    made = TaggingExample("s1", (), ())
    kind = kind_of(task)
    rows = kind.encode(task, [made], tokenizer, FeatureSettings(16))
    assert rows.lengths().tolist() == [2]
    assert kind.decode(task, [made], rows, one_hot("tagging", rows, 3)) == [{"id": "s1", "prediction": []}]


def test_tags_that_are_not_one_per_word_are_refused(tokenizer, make_task):
    task = make_task("tagging", LABELS)
    with pytest.raises(UserError, match="example s1 has 2 words but 1 tags"):
        kind_of(task).encode(task, [example(["a", "b"], ["NOUN"])], tokenizer, FeatureSettings(16))
