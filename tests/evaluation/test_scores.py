import pytest

from adapterxfer.errors import UserError
from adapterxfer.evaluation.scores import average, score
from adapterxfer.tasks.examples import (
    Answer,
    ChoiceExample,
    PairExample,
    RetrievalExample,
    SpanExample,
    TaggingExample,
)


def given(*predictions, **more):
    return [
        {"id": str(n), "prediction": value} | {key: values[n] for key, values in more.items()}
        for n, value in enumerate(predictions)
    ]


def test_pair_and_choice_tasks_score_their_accuracy(make_task):
    pairs = [PairExample(str(n), "a", "b", label) for n, label in enumerate(("yes", "no", "yes", "no"))]
    made = score(make_task("pair", ("no", "yes")), pairs, given("yes", "no", "no", "no"), "de")
    assert made == {"n": 4, "score": 75, "accuracy": 75}
    choices = [ChoiceExample(str(n), "p", ("a", "b"), n) for n in range(2)]
    assert score(make_task("choice"), choices, given(0, 0), "de")["score"] == 50


def test_pos_scores_by_accuracy_and_gives_xtremes_number_beside_it(make_task):
    example = TaggingExample("0", ("a", "b", "c"), ("CCONJ", "NOUN", "SCONJ"))
    made = score(make_task("tagging", ("NOUN",), "pos"), [example], given(["SCONJ", "NOUN", "SCONJ"]), "de")
    assert made == {"n": 1, "score": pytest.approx(200 / 3), "accuracy": pytest.approx(200 / 3), "chunk_f1": 100}


def test_words_without_a_prediction_are_not_scored_but_counted(make_task):
    example = TaggingExample("0", ("a", "b", "c"), ("B-PER", "O", "B-LOC"))
    made = score(make_task("tagging", ("O",), "ner_f1"), [example], given(["B-PER", "O", None]), "de")
    assert made["score"] == made["f1"] == made["precision"] == made["recall"] == 100
    assert made["unscored_words"] == 1


def test_answers_score_the_mean_of_f1_and_exact_match(make_task):
    examples = [SpanExample(str(n), "q", "big dog", (Answer("big dog", 0),)) for n in range(2)]
    made = score(make_task("span", metric="squad"), examples, given("big dog", "dog"), "de")
    assert (made["em"], made["f1"]) == (50, pytest.approx(100 * (1 + 2 / 3) / 2))
    assert made["score"] == pytest.approx((made["em"] + made["f1"]) / 2)


def test_mlqa_uses_its_own_normaliser_and_knows_seven_languages(make_task):
    examples = [SpanExample("0", "q", "Der Hund", (Answer("Der Hund", 0),))]
    assert score(make_task("span", metric="squad"), examples, given("Hund"), "de")["em"] == 0
    assert score(make_task("span", metric="mlqa"), examples, given("Hund"), "de")["em"] == 100
    with pytest.raises(UserError, match="sw is none of them"):
        score(make_task("span", metric="mlqa"), examples, given("Hund"), "sw")


def test_retrieval_scores_the_sources_neighbours(make_task):
    examples = [RetrievalExample(str(n), "a", "b") for n in range(4)]
    made = score(make_task("retrieval", metric="retrieval"), examples, given(0, 1, 0, 3, reverse=[0, 0, 0, 0]), "de")
    assert made == {"n": 4, "score": 75, "accuracy": 75, "reverse_accuracy": 25}


@pytest.mark.parametrize(
    ("examples", "predictions", "message"),
    [
        ([PairExample("0", "a", "b", "x")], [], "1 examples but 0 predictions"),
        ([PairExample("7", "a", "b", "x")], given("x"), "the prediction for 0 stands where that for 7 should"),
        ([PairExample("0", "a", "b", None)], given("x"), "example 0 has no gold label"),
        ([], [], "no examples in sw"),
    ],
)
def test_what_does_not_belong_together_is_refused_in_one_sentence(make_task, examples, predictions, message):
    with pytest.raises(UserError, match=message):
        score(make_task("pair", ("x", "y")), examples, predictions, "sw")


def test_an_unlabelled_question_is_refused(make_task):
    with pytest.raises(UserError, match="question 0 has no gold answer"):
        score(make_task("span", metric="squad"), [SpanExample("0", "q", "c", (), False)], given("c"), "ko")


def test_the_average_counts_each_language_once_whatever_its_size():
    made = average(
        [{"n": 10, "score": 50.0, "em": 40.0, "f1": 60.0}, {"n": 1000, "score": 100.0, "em": 100.0, "f1": 100.0}]
    )
    assert made == {"n": 1010, "languages": 2, "score": 75, "em": 70, "f1": 80}
    with pytest.raises(UserError):
        average([])
