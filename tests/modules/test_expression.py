"""The composition expression: text and objects say the same, and what cannot work is refused when it is written."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapterxfer.errors import UserError
from adapterxfer.modules.expression import (
    METHODS,
    Average,
    BatchSplit,
    Continue,
    Fuse,
    Merge,
    Parallel,
    Stack,
    Trained,
    as_expression,
    leaves,
)
from adapterxfer.modules.parse import parse_expression, parse_spec
from adapterxfer.modules.specs import Bottleneck, Compacter, Ia3, Lora, Prefix, bottleneck, lora
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
        dora=st.booleans(),
        rslora=st.booleans(),
    ),
    st.builds(Compacter, reduction=st.integers(1, 64), terms=st.integers(1, 8)),
    st.builds(Prefix, length=st.integers(1, 64)),
    st.builds(Ia3, top_layers=st.none() | st.integers(1, 24)),
)
names = st.builds(Trained, st.text(min_size=1).filter(lambda text: "\x00" not in text))
numbers = st.floats(-3, 3, allow_nan=False) | st.integers(-3, 3)


@st.composite
def merges(draw, inner=names):
    method = draw(st.sampled_from(sorted(METHODS)))
    children = draw(st.lists(inner, min_size=3 if method == "adamergex" else 2, max_size=3))
    drawn = {
        "weights": st.tuples(*[st.floats(0.1, 2) if method == "linear" else numbers] * len(children)),
        "density": st.sampled_from([0.2, 0.5, 1]),
        "seed": st.integers(0, 9),
        "r": st.integers(1, 8),
        "factor": numbers,
    }
    given = {key: draw(drawn[key]) for key in METHODS[method] if draw(st.booleans())}
    return Merge(method, *children, **given)


trained = names | merges() | merges(merges())


@st.composite
def averages(draw):
    children = draw(st.lists(trained, min_size=2, max_size=4))
    weights = draw(st.none() | st.tuples(*[st.floats(0.01, 9) | st.integers(1, 9)] * len(children)))
    return Average(*children, weights=weights)


fuses = st.builds(
    lambda children, gate: Fuse(*children, gate=gate),
    st.lists(trained, min_size=2, max_size=4, unique=True),
    st.sampled_from(["attention", "weights"]),
)
stacks = st.tuples(
    st.lists(trained | averages(), max_size=3), trained | fuses, trained | specs | trained.map(Continue)
).map(lambda parts: Stack(*parts[0], parts[1], parts[2]))
frozen = trained | averages() | st.lists(trained | averages(), min_size=2, max_size=3).map(lambda some: Stack(*some))


@st.composite
def beside(draw):
    children = draw(st.lists(frozen, min_size=2, max_size=3))
    if draw(st.booleans()):
        return Parallel(*children)
    return BatchSplit(*children, sizes=draw(st.tuples(*[st.integers(1, 64)] * len(children))))


@given(st.one_of(specs, trained, fuses, stacks, averages(), beside(), trained.map(Continue)))
def test_every_expression_prints_as_text_that_parses_back_to_it(expression):
    assert parse_expression(str(expression)) == expression
    assert isinstance(hash(expression), int)


@given(st.text(alphabet="Stack(FuseAvrgMlPi,)=' \"abcontinue123lora.-", max_size=60))
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
        ("Continue(Average(a, b))", "Continue(Merge(linear, a, b))"),
        ("Average(a, b, weights=(1, -1))", "Merge(arithmetic, a, b, weights=(1, -1))"),
        ("Average(a, b, weights=(0, 0))", "not all may be 0"),
        ("Average(a, b, weights=(1,))", "2 numbers"),
        ("Average(a, b, weights=(1, nan))", "2 numbers"),
        ("Average(a, Stack(b, c))", "stack around it"),
        ("Average(a, lora())", "single trained modules"),
        ("Stack(a, Parallel(b, c))", "Parallel(Stack(a, b), Stack(a, c))"),
        ("Parallel(a, lora())", "in a run of its own"),
        ("Parallel(a, Fuse(b, c))", "in a run of its own"),
        ("BatchSplit(a, b)", "sizes=(8, 8)"),
        ("BatchSplit(a, b, sizes=(1, 0))", "number of rows"),
        ("BatchSplit(a, b, sizes=(1, many))", "number of rows"),
        ("Merge()", "begins with its rule"),
        ("Merge(blend, a, b)", "one of linear"),
        ("Merge(ties, a)", "two or more"),
        ("Merge(ties, a, lora())", "merge first"),
        ("Merge(ties, a, Average(b, c))", "merge first"),
        ("Merge(linear, a, b, density=0.2)", "takes weights, not density"),
        ("Merge(linear, a, b, weights=(1, -1))", "Merge(arithmetic, ...)"),
        ("Merge(ties, a, b, density=0)", "above 0"),
        ("Merge(ties, a, b, density=many)", "above 0"),
        ("Merge(adamergex, a, b)", "three modules"),
        ("Merge(svd, a, b, r=0)", "at least 1"),
        ("Fuse(a, b, gate=maybe)", "attention, weights"),
        ("Fuse(a, b, gate=(1, 2))", "attention, weights"),
        ("Fuse(a, b, weight=1)", "its options are gate"),
        ("Stack(a, b, weights=(1, 2))", "takes none"),
        ("lora(dora=perhaps)", "True or False"),
        ("bottleneck(kind=parallel, invertible=True)", "no invertible part"),
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
    assert str(strategy_expression("merge", ["a", "b"], spec)) == "Stack(Merge(ties, a, b), bottleneck(reduction=8))"
    assert str(strategy_expression("fuse", ["a", "b"], spec)) == "Stack(Fuse(a, b), bottleneck(reduction=8))"


@pytest.mark.parametrize(
    ("strategy", "sources"),
    [("baseline", ["a"]), ("stack", []), ("continue", ["a", "b"]), ("fuse", ["a"]), ("merge", ["a"]), ("blend", [])],
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


@pytest.mark.parametrize("text", ["a", "Stack(a, b)", "Average(a, b)", "Merge(ties, a, b)"])
def test_a_composition_in_which_nothing_trains_is_refused_for_training(text):
    with pytest.raises(UserError, match="nothing in this composition would be trained"):
        check_trains(parse_expression(text))


def test_a_parallel_is_not_trained_but_scored():
    with pytest.raises(UserError, match="each in a run of its own"):
        check_trains(parse_expression("Parallel(a, b)"))


def test_an_average_scales_its_weights_to_one():
    assert parse_expression("Average(a, b, weights=(7, 3))").shares == (0.7, 0.3)
    assert parse_expression("Average(a, b)").shares == (0.5, 0.5)


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
