from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapterxfer.evaluation.squad import (
    MLQA_LANGUAGES,
    exact_match,
    mlqa_words,
    overlap_f1,
    span_scores,
    squad_words,
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The  Cat, sat!", ["cat", "sat"]),
        ("a.b", ["ab"]),  # punctuation goes first, and leaves no space
        ("AN the theory", ["theory"]),
        ("der Hund", ["der", "hund"]),  # English articles only, in every language
        ("北京。", ["北京。"]),  # ASCII punctuation only
        ("", []),
    ],
)
def test_squad_normalisation(text, words):
    assert squad_words(text) == words


@pytest.mark.parametrize(
    ("text", "language", "words"),
    [
        ("The end", "en", ["end"]),
        ("¿El perro de las montañas?", "es", ["perro", "de", "montañas"]),
        ("„Der Hund“ des Nachbarn", "de", ["hund", "nachbarn"]),
        ("những con mèo của tôi", "vi", ["con", "mèo", "tôi"]),
        ("الكتاب، الجديد", "ar", ["كتاب", "جديد"]),
        ("यह एक घर है।", "hi", ["यह", "एक", "घर", "है"]),
        ("北京，iPhone 4s。", "zh", ["北", "京", "iphone", "4s"]),
    ],
)
def test_mlqa_normalisation_knows_the_language(text, language, words):
    assert mlqa_words(text, language) == words


def test_f1_by_hand():
    # one word of two is right, of three wanted: precision 1/2, recall 1/3
    assert overlap_f1("quick dog", ["quick brown fox"]) == pytest.approx(2 / 5)
    assert overlap_f1("no no", ["no"]) == pytest.approx(2 / 3)  # repetition counts


def test_the_best_of_several_answers_counts():
    assert exact_match("Denver Broncos", ["Denver", "the Denver Broncos!"]) == 1
    assert overlap_f1("Denver Broncos", ["Denver", "Carolina"]) == pytest.approx(2 / 3)


def test_an_answer_of_articles_only_matches_exactly_but_has_no_f1_as_in_the_official_script():
    assert exact_match("the", ["The"]) == 1
    assert overlap_f1("the", ["The"]) == 0


def test_an_unanswerable_question_wants_an_empty_prediction():
    assert (exact_match("", []), overlap_f1("", [])) == (1, 1)
    assert (exact_match("x", []), overlap_f1("x", [])) == (0, 0)


def test_chinese_answers_are_compared_whole_by_squad_and_by_character_in_mlqa():
    assert overlap_f1("北京大学", ["北京"]) == 0
    assert overlap_f1("北京大学", ["北京"], partial(mlqa_words, language="zh")) == pytest.approx(2 / 3)


def test_scores_are_means_over_questions_in_percent():
    assert span_scores(["a cat", "dog"], [["cat"], ["big dog"]]) == {
        "em": 50,
        "f1": pytest.approx(100 * (1 + 2 / 3) / 2),
    }
    assert span_scores([], []) == {"em": 0, "f1": 0}


WORDS = st.lists(st.sampled_from(["cat", "dog", "the", "Haus", "北京"]), max_size=5).map(" ".join)


@given(WORDS, st.lists(WORDS, max_size=3), st.sampled_from([None, *MLQA_LANGUAGES]))
def test_f1_stays_between_exact_match_and_100(predicted, answers, language):
    words = partial(mlqa_words, language=language) if language else squad_words
    em, f1 = exact_match(predicted, answers, words), overlap_f1(predicted, answers, words)
    assert 0 <= f1 <= 1
    if em and words(predicted):
        assert f1 == 1
    if answers and words(answers[0]):
        assert overlap_f1(answers[0], answers, words) == 1
