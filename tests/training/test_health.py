"""A training that does not learn is seen: chance by hand, and when the watch speaks."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapterxfer.features.ragged import Ragged
from adapterxfer.features.rows import Rows
from adapterxfer.modules.heads import Head
from adapterxfer.training.health import Health, chance_loss


def rows(lengths, targets, group=None):
    ids = Ragged.of(np.arange(length) for length in lengths)
    numbers = np.arange(len(lengths))
    return Rows(ids, numbers, targets, numbers if group is None else np.array(group))


def test_chance_is_the_entropy_of_the_labels():
    even = rows([3] * 6, {"label": np.array([0, 1, 2, 0, 1, 2])})
    assert chance_loss(Head("pair", 4, ("a", "b", "c")), even, 32) == pytest.approx(math.log(3))
    skewed = rows([3] * 4, {"label": np.array([0, 0, 0, 1])})
    by_hand = -0.75 * math.log(0.75) - 0.25 * math.log(0.25)
    assert chance_loss(Head("pair", 4, ("a", "b")), skewed, 32) == pytest.approx(by_hand)
    tags = rows([3, 3], {"tags": Ragged.of([np.array([-100, 0, -100]), np.array([-100, 1, -100])])})
    assert chance_loss(Head("tagging", 4, ("O", "B")), tags, 32) == pytest.approx(math.log(2))


def test_chance_of_choices_spans_and_searches():
    choices = rows([3] * 5, {"label": np.array([0, 1]), "is_right": np.zeros(5)}, [0, 0, 1, 1, 1])
    assert chance_loss(Head("choice", 4), choices, 32) == pytest.approx((math.log(2) + math.log(3)) / 2)
    spans = rows([8, 32], {"start": np.array([0, 1]), "end": np.array([0, 1])})
    assert chance_loss(Head("span", 4), spans, 32) == pytest.approx(math.log(16))
    assert chance_loss(Head("answer_retrieval", 4), spans, 32) == pytest.approx(math.log(32))


CHANCE = math.log(3)


def first_word(losses, chance=CHANCE, warmup=20, patient=False):
    health = Health(chance, len(losses), warmup, patient)
    for step, loss in enumerate(losses, start=1):
        word = health.see(step, loss)
        if word:
            return step, word
    return None


def test_a_loss_that_stays_at_chance_is_seen_at_the_middle_and_one_that_falls_is_not():
    assert first_word([1.1] * 200) == (100, "the loss is still at chance (1.100, where guessing gives 1.099)")
    assert first_word([1.1] * 80 + [1.0] * 120) is None
    assert first_word([1.1] * 200, patient=True) is None


def test_a_short_training_may_be_near_chance_and_one_label_is_nothing_to_learn():
    assert first_word([1.1] * 99) is None
    assert first_word([0.1] * 200, chance=0.0) is None


def test_a_loss_that_runs_away_and_one_that_is_no_number_are_seen_at_once():
    word = first_word([1.0] * 120 + [9.0] * 80)
    assert word is not None
    assert 120 < word[0] <= 130
    assert "runs away" in word[1]
    assert first_word([1.0, math.nan]) == (2, "the loss is nan")
    assert first_word([1.0, math.inf], patient=True) == (2, "the loss is inf")


@given(st.integers(100, 400), st.floats(0.3, 0.9), st.integers(0, 2**32 - 1))
def test_no_alarm_for_a_noisy_loss_that_falls_below_chance(total, end, seed):
    noise = np.random.default_rng(seed).normal(0, 0.02, total)
    losses = np.linspace(1.1, end * 1.1, total) + noise
    reached = float(losses[total // 2 - max(10, total // 20) : total // 2].mean())
    word = first_word(losses.tolist(), chance=1.1)
    assert (word is None) == (reached <= 0.98 * 1.1)


def test_a_resumed_watch_sees_what_an_uninterrupted_one_sees():
    losses = [1.2] * 60 + [1.1] * 140
    whole, cut = Health(1.0, 200, 20), Health(1.0, 200, 20)
    for step in range(1, 90):
        whole.see(step, losses[step - 1])
        cut.see(step, losses[step - 1])
    resumed = Health(1.0, 200, 20)
    resumed.losses, resumed.first = cut.losses, cut.first
    words = [(whole.see(step, losses[step - 1]), resumed.see(step, losses[step - 1])) for step in range(90, 201)]
    assert all(one == other for one, other in words)
    assert any(one for one, _ in words)
