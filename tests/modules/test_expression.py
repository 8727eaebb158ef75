"""The composition expression: text and objects say the same, and what cannot work is refused when it is written."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapterxfer.errors import UserError
from adapterxfer.modules.expression import (
    Continue,
    Fuse,
    Stack,
    Trained,
    as_expression,
    leaves,
)
from adapterxfer.modules.parse import parse_expression, parse_spec
from adapterxfer.modules.specs import Bottleneck, Lora, bottleneck, lora
from adapterxfer.modules.strategies import check_trains, strategy_expression

specs = st.one_of(
    st.builds(
        Bottleneck,
        reduction=st.integers(1, 64),
        kind=st.sampled_from(["pfeiffer", "houlsby", "parallel"]),
        activation=st.sampled_from(["relu", "gelu", "swish", "tanh"]),
        top_layers=st.none() | st.integers(1, 24),
    ),
    st.builds(
        Lora,
        r=st.integers(1, 64),
        alpha=st.integers(1, 64),
        targets=st.lists(st.sampled_from(["query", "key", "value", "output"]), min_size=1, unique=True).map(tuple),
        dropout=st.sampled_from([0.0, 0.1, 0.25]),
    ),
)
names = st.builds(Trained, st.text(min_size=1).filter(lambda text: "\x00" not in text))
fuses = st.lists(names, min_size=2, max_size=4, unique=True).map(lambda children: Fuse(*children))
stacks = st.tuples(st.lists(names, max_size=3), names | fuses, names | specs | names.map(Continue)).map(
    lambda parts: Stack(*parts[0], parts[1], parts[2])
)


@given(st.one_of(specs, names, fuses, stacks, names.map(Continue)))
def test_every_expression_prints_as_text_that_parses_back_to_it(expression):
    assert parse_expression(str(expression)) == expression


@given(st.text(alphabet="Stack(Fuse,)=' \"abcontinue123lora", max_size=60))
def test_no_text_makes_the_parser_fail_other_than_with_a_sentence(text):
    with contextlib.suppress(UserError):
        parse_expression(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Stack(a", "the text ends"),
        ("Stak(a, b)", "did you mean Stack"),
        ("Stack(a)", "two or more"),
        ("Stack(bottleneck(), a)", "must stand last"),
        ("Stack(a, Stack(b, lora()))", "write it flat"),
        ("Fuse(a, bottleneck())", "Stack(Fuse(a, b), bottleneck())"),
        ("Fuse(a, a)", "two different ones"),
        ("Stack(Fuse(a, b), Fuse(c, d), lora())", "one Fuse"),
        ("Continue(bottleneck())", "one trained module"),
        ("bottleneck(reduction=0)", "at least 1"),
        ("bottleneck(reducton=4)", "no option 'reducton'"),
        ("bottleneck(kind=diagonal)", "pfeiffer, houlsby, parallel"),
        ("lora(targets=(query, nothing))", "must be some of"),
        ("lora(r=4, r=8)", "given twice"),
        ("lora(dropout=1.5)", "below 1"),
        ("a b", "nothing may follow"),
        ("'a", "quote is not closed"),
        ("(" * 3000, "expected a module name"),
        ("Stack(" * 3000, "nested more than"),
    ],
)
def test_what_cannot_work_is_refused_with_what_to_write(text, says):
    with pytest.raises(UserError, match=None) as caught:
        parse_expression(text)
    assert says in str(caught.value)


def test_strategies_stand_for_these_expressions():
    spec = bottleneck(reduction=8)
    assert str(strategy_expression("baseline", [], spec)) == "bottleneck(reduction=8)"
    assert str(strategy_expression("stack", ["runs/a"], spec)) == "Stack(runs/a, bottleneck(reduction=8))"
    assert str(strategy_expression("continue", ["runs/a"], spec)) == "Continue(runs/a)"
    assert str(strategy_expression("fuse", ["a", "b"], spec)) == "Stack(Fuse(a, b), bottleneck(reduction=8))"


@pytest.mark.parametrize(
    ("strategy", "sources"),
    [("baseline", ["a"]), ("stack", []), ("continue", ["a", "b"]), ("fuse", ["a"]), ("blend", [])],
)
def test_a_strategy_with_the_wrong_sources_is_refused(strategy, sources):
    with pytest.raises(UserError):
        strategy_expression(strategy, sources, lora())


def test_only_fresh_and_continued_leaves_train():
    expression = parse_expression("Stack(a, Fuse(b, c), bottleneck())")
    assert [(str(leaf), trains) for leaf, trains in leaves(expression)] == [
        ("a", False),
        ("b", False),
        ("c", False),
        ("bottleneck()", True),
    ]
    assert [trains for _, trains in leaves(parse_expression("Continue(a)"))] == [True]


@pytest.mark.parametrize("text", ["a", "Stack(a, b)"])
def test_a_composition_in_which_nothing_trains_is_refused_for_training(text):
    with pytest.raises(UserError, match="nothing in this composition would be trained"):
        check_trains(parse_expression(text))


def test_a_fuse_alone_trains_its_mixture():
    check_trains(parse_expression("Fuse(a, b)"))


def test_a_spec_may_be_written_without_parentheses():
    assert parse_spec("lora") == lora()
    with pytest.raises(UserError, match="not the spec of a fresh module"):
        parse_spec("Stack(a, b)")


def test_what_is_no_composition_is_refused():
    with pytest.raises(UserError, match="is not a composition"):
        as_expression(3)


def test_top_layers_beyond_the_backbone_are_refused():
    with pytest.raises(UserError, match="the backbone has 12 layers"):
        bottleneck(top_layers=13).left_out(12)
    assert bottleneck(top_layers=3).left_out(12) == list(range(9))
