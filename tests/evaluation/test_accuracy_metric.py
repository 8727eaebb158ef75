import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapterxfer.evaluation.accuracy import accuracy


def test_accuracy_is_the_share_of_equal_answers():
    assert accuracy(["a", "b", "c", "d"], ["a", "b", "x", "d"]) == 75
    assert accuracy([], []) == 0


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1), st.randoms())
def test_accuracy_does_not_depend_on_the_order(pairs, generator):
    before = accuracy(*zip(*pairs, strict=True))
    generator.shuffle(pairs)
    assert accuracy(*zip(*pairs, strict=True)) == pytest.approx(before)
    assert 0 <= before <= 100


def test_sequences_of_other_lengths_are_a_mistake():
    with pytest.raises(ValueError):
        accuracy([1, 2], [1])
