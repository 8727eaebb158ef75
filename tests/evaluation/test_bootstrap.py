import numpy as np
import pytest

from adapterxfer.errors import UserError
from adapterxfer.evaluation.bootstrap import paired_bootstrap


def test_a_constant_difference_has_an_interval_of_no_width():
    made = paired_bootstrap(np.arange(10) + 2.0, np.arange(10))
    assert (made.difference, made.low, made.high, made.units) == (2, 2, 2, 10)
    assert made.excludes_zero


def test_the_interval_is_about_that_of_the_normal_law_for_many_units():
    generator = np.random.default_rng(1)
    before = generator.normal(size=2000)
    after = before + generator.normal(0.1, 1.0, size=2000)
    made = paired_bootstrap(after, before, resamples=2000)
    error = 1.96 * np.std(after - before) / np.sqrt(2000)
    assert made.low == pytest.approx(made.difference - error, abs=0.15 * error)
    assert made.high == pytest.approx(made.difference + error, abs=0.15 * error)


def test_the_same_seed_gives_the_same_interval_and_exchanging_the_sides_its_mirror():
    after, before = np.random.default_rng(0).normal(size=(2, 50))
    first = paired_bootstrap(after, before, seed=3)
    assert first == paired_bootstrap(after, before, seed=3)
    mirrored = paired_bootstrap(before, after, seed=3)
    assert mirrored.low == pytest.approx(-first.high)
    assert mirrored.high == pytest.approx(-first.low)


def test_seeds_and_languages_are_drawn_apart_so_that_shared_luck_widens_the_interval():
    luck = np.array([-2.0, 0.0, 2.5])[:, None] * np.ones((1, 40))  # a seed is good or bad in all languages
    crossed = paired_bootstrap(luck, np.zeros_like(luck), resamples=2000)
    flat = paired_bootstrap(luck.ravel(), np.zeros(120), resamples=2000)
    assert crossed.difference == pytest.approx(flat.difference)
    assert crossed.high - crossed.low > 3 * (flat.high - flat.low)
    assert not crossed.excludes_zero


@pytest.mark.parametrize(
    ("after", "before", "message"),
    [([1, 2], [1], "same units"), ([], [], "no scores"), (np.ones((2, 2, 2)), np.ones((2, 2, 2)), "same units")],
)
def test_what_cannot_be_paired_is_refused(after, before, message):
    with pytest.raises(UserError, match=message):
        paired_bootstrap(after, before)
