"""Which kinds of modules may be composed how: one rule for each way, and the tables of the docs made from the rules."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from adapterxfer.errors import UserError
from adapterxfer.modules.expression import (
    METHODS,
    Average,
    Continue,
    Expression,
    Fuse,
    Merge,
    Parallel,
    Stack,
    leaves,
)

FORMS = ("pfeiffer", "houlsby", "parallel", "invertible", "compacter", "prefix", "lora", "dora", "ia3")
"""What a module may be: the kinds of bottleneck, compacter and prefix of `adapters`; LoRA, DoRA and (IA)3 of `peft`."""

_WORDS = {
    "pfeiffer": "a Pfeiffer bottleneck",
    "houlsby": "a Houlsby bottleneck",
    "parallel": "a parallel bottleneck",
    "invertible": "an invertible bottleneck",
    "compacter": "a compacter",
    "prefix": "a prefix",
    "lora": "a LoRA",
    "dora": "a DoRA",
    "ia3": "an (IA)3",
}
_SITES = ("pfeiffer", "houlsby", "parallel", "invertible", "compacter")  # bottlenecks, which share the sites of a layer
BY_LIBRARY = ("invertible", "compacter", "prefix", "ia3")  # what the engine's driver does not compute
_FUSED = ("pfeiffer", "houlsby", "compacter", "lora")
_AVERAGED = ("pfeiffer", "houlsby", "parallel", "compacter", "lora")
_MERGED = ("pfeiffer", "houlsby", "parallel", "invertible", "lora")


@dataclass(frozen=True)
class Member:
    """A module of a composition: what it is called, its form, and where in the layers it stands (comparable)."""

    label: str
    form: str
    places: Any = None

    def __str__(self) -> str:
        return f"{self.label} is {_WORDS[self.form]}"


def check_forms(expression: Expression, members: list[Member]) -> None:
    """Refuse a composition that modules of these forms cannot stand in.

    Args:
        expression: the composition.
        members: one for each leaf, in the order of `leaves`.

    Raises:
        UserError: with what to write instead.
    """
    _walk(expression, iter(members), expression)
    others = [member for member in members if member.form in BY_LIBRARY]
    if others and uneven_average(expression, members):
        raise UserError(
            f"{expression}: {others[0]}, and beside it an Average needs modules of the same layers; "
            "average modules trained with the same top_layers."
        )


def uneven_average(expression: Expression, members: list[Member]) -> bool:
    """Whether an Average holds bottlenecks of different layers, which the library's own forward would mis-scale."""
    rest = iter(members)
    found = False

    def walk(node: Any) -> list[Member]:
        nonlocal found
        if not isinstance(node, Stack | Fuse | Average | Parallel | Continue):
            return [next(rest)]
        inside = [member for child in node.children for member in walk(child)]
        if isinstance(node, Average) and inside[0].form != "lora":
            found = found or len({member.places for member in inside}) > 1
        return inside

    walk(expression)
    return found


def _walk(node: Expression, rest: Iterator[Member], whole: Expression) -> list[Member]:
    if not isinstance(node, Stack | Fuse | Average | Parallel | Continue):
        return [next(rest)]
    groups = [_walk(child, rest, whole) for child in node.children]
    inside = [member for group in groups for member in group]
    reason = None
    if isinstance(node, Stack):
        for place, upper in enumerate(groups):
            for lower in groups[:place]:
                reason = reason or next((r for low in lower for up in upper if (r := _stacked(low, up))), None)
    elif isinstance(node, Fuse):
        reason = _fused(inside, node)
    elif isinstance(node, Average):
        reason = _averaged(inside)
    elif isinstance(node, Parallel):
        reason = _beside(inside, type(node).__name__)
    if reason:
        raise UserError(f"{whole}: {reason}")
    return inside


def _stacked(low: Member, up: Member) -> str | None:
    pair = {low.form, up.form}
    if "ia3" in pair and pair & {"lora", "dora"}:
        return f"{low} and {up}; peft puts only one of the two kinds on a map, so stack one of them with a bottleneck."
    if up.form == "parallel" and low.form in _SITES:
        return (
            f"{up}, which reads what its block reads: what {low.label} below it gives would be lost; "
            "stack a pfeiffer or houlsby bottleneck on it instead."
        )
    if up.form == "invertible" and (low.form in _SITES or low.form == "prefix"):
        return f"{up}, whose part at the embeddings works only at the bottom: write it first in the Stack."
    return None


def _one_kind(members: list[Member], word: str) -> str | None:
    if len({member.form == "lora" for member in members}) > 1:
        return f"{', '.join(map(str, members))}; {word} is of one kind: stack the LoRAs: Stack(a, b, lora())."
    return None


def _outside(members: list[Member], forms: tuple[str, ...], why: dict[str, str]) -> str | None:
    for member in members:
        if member.form not in forms:
            return f"{member}, and {why[member.form]}"
    return None


_NO_MIXTURE = {
    "dora": "a DoRA's update hangs on the weights it stands on and cannot be mixed; stack it, or train a LoRA.",
    "prefix": "prefixes are not mixed; stack them: Stack(a, b, bottleneck()).",
    "ia3": "(IA)3 scales instead of adding; stack it under a bottleneck: Stack(a, bottleneck()).",
    "invertible": "of several invertible parts the library runs the first alone; stack it: Stack(a, bottleneck()).",
    "parallel": "the library's fusion counts the residual of parallel bottlenecks twice; write Average(a, b), or "
    "train pfeiffer ones.",
    "compacter": "a product of small factors is not merged by its factors; write Average(a, b).",
}


def _fused(members: list[Member], node: Fuse) -> str | None:
    reason = _outside(members, _FUSED, _NO_MIXTURE) or _one_kind(members, "a Fuse")
    if reason:
        return reason
    if len({member.places for member in members}) > 1 or len({member.form for member in members}) > 1:
        named = ", ".join(member.label for member in members)
        return f"a Fuse needs modules at the same places of the same layers; {named} differ in kind or in top_layers."
    if node.gate != "attention" and members[0].form != "lora":
        return f"gate={node.gate} is for LoRAs; a Fuse of bottlenecks is AdapterFusion: write it without a gate."
    return None


def _averaged(members: list[Member]) -> str | None:
    reason = _outside(members, _AVERAGED, _NO_MIXTURE) or _one_kind(members, "an Average")
    if reason:
        return reason
    if len({member.form for member in members}) > 1:
        return f"{', '.join(map(str, members))}; an Average is of modules of one kind: stack them instead."
    if members[0].form == "compacter" and len({member.places for member in members}) > 1:
        return "an Average of compacters needs the same layers in all; train them with the same top_layers."
    return None


def _beside(members: list[Member], word: str) -> str | None:
    for member in members:
        if member.form in BY_LIBRARY:
            return f"{member}, which a {word} does not run; score it in a run of its own."
    return None


def check_merge(merge: Merge, members: list[Member]) -> None:
    """Refuse a merge of modules of these forms.

    Raises:
        UserError: with what to write instead.
    """
    reason = _outside(members, _MERGED, _NO_MIXTURE)
    if reason is None and len({member.form for member in members}) > 1:
        reason = f"{', '.join(map(str, members))}; a Merge is of modules of one kind."
    if reason is None and merge.method == "svd" and members[0].form != "lora":
        reason = f"{members[0]}, and svd is for LoRAs; write Merge(arithmetic, ...) or Merge(ties, ...)."
    if reason:
        raise UserError(f"{merge}: {reason}")


NESTINGS = (
    "Continue(a)",
    "Fuse(a, b)",
    "Fuse(a, b, gate=weights)",
    "Average(a, b)",
    "Parallel(a, b)",
    "BatchSplit(a, b, sizes=(2, 1))",
    *(f"Merge({method}, a, b{', c' if method == 'adamergex' else ''})" for method in METHODS),
)
"""The ways of composing modules of one form that the docs tabulate; Stacks have a table of their own."""


def refusal(written: str, *forms: str) -> str | None:
    """Return why leaves of these forms (or all of one) cannot be composed as `written`; None where they can."""
    from adapterxfer.modules.parse import parse_expression

    expression = parse_expression(written)
    merge = isinstance(expression, Merge)
    names = [str(leaf) for leaf in getattr(expression, "children", ()) if merge]
    names = names or [str(leaf) for leaf, _ in leaves(expression)]
    given = forms * len(names) if len(forms) == 1 else forms
    check: Any = check_merge if merge else check_forms
    try:
        check(expression, [Member(name, form) for name, form in zip(names, given, strict=True)])
    except UserError as error:
        return str(error)
    return None


def tables() -> str:
    """Return, as Markdown, which forms allow which nesting, and which form may stand on which."""

    def table(corner: str, rows: list[tuple[str, list[str | None]]]) -> list[str]:
        lines = [f"| {corner} | " + " | ".join(FORMS) + " |", "|---|" + "---|" * len(FORMS)]
        for label, refusals in rows:
            cells = ["no" if refused else "yes" for refused in refusals]
            lines.append(f"| {label} | " + " | ".join(cells) + " |")
        return lines

    of_one_form = [(f"`{written}`", [refusal(written, form) for form in FORMS]) for written in NESTINGS]
    stacks = [(f"**{low}**", [refusal("Stack(a, b)", low, up) for up in FORMS]) for low in FORMS]
    return "\n".join([*table("written", of_one_form), "", *table("below / above", stacks)])
