"""The composition expression: how modules stand together, as Python objects that print as the text they parse from.

    Stack(a, b)      a's output flows into b; for LoRA, both updates are added to the weights
    Fuse(a, b)       AdapterFusion: a learned mixture of two or more trained bottlenecks
    Continue(a)      a fresh trainable copy that starts from a
    a                a trained module: a run folder, a module folder, or `hub:owner/name`
    bottleneck(...)  a fresh module (a spec)

What cannot work is refused when the object is built, with a sentence that says what to write instead.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapterxfer.errors import UserError
from adapterxfer.modules.specs import Spec

_BARE = re.compile(r"[^\s(),='\"]+")


@dataclass(frozen=True)
class Trained:
    """A leaf that names a trained module. `where` is a folder, or `hub:owner/name[@revision]`."""

    where: str

    def __str__(self) -> str:
        """Return the name, quoted where it holds a character of the grammar."""
        if _BARE.fullmatch(self.where):
            return self.where
        return "'" + self.where.replace("\\", "\\\\").replace("'", "\\'") + "'"


@dataclass(frozen=True, init=False)
class _Node:
    children: tuple["Expression", ...]

    def __init__(self, *children: Any) -> None:
        object.__setattr__(self, "children", tuple(as_expression(child) for child in children))
        self._check()

    def _check(self) -> None:
        pass

    def __str__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(str, self.children))})"


class Stack(_Node):
    """Modules one after the other; only the last may be fresh. Every other one is frozen."""

    def _check(self) -> None:
        if len(self.children) < 2:
            raise UserError(f"{self}: a Stack needs two or more modules; for one alone write just that one.")
        for child in self.children:
            if isinstance(child, Stack):
                raise UserError(f"{self}: a Stack inside a Stack is the same as one flat Stack; write it flat.")
        if sum(isinstance(child, Fuse) for child in self.children) > 1:
            raise UserError(f"{self}: one Fuse in a composition; name all modules to be mixed in that one.")
        for child in self.children[:-1]:
            if isinstance(child, Spec | Continue):
                raise UserError(
                    f"{self}: only the last module of a Stack is trained, so {child} must stand last "
                    "(train one module a run and stack the trained ones)."
                )


class Fuse(_Node):
    """AdapterFusion (Pfeiffer et al. 2021) over trained bottlenecks, which stay frozen; the mixture is trained."""

    def _check(self) -> None:
        if len(self.children) < 2:
            raise UserError(f"{self}: a Fuse mixes two or more trained modules.")
        for child in self.children:
            if not isinstance(child, Trained):
                raise UserError(
                    f"{self}: a Fuse mixes modules that are trained already, not {child}; "
                    "to train a fresh one above the mixture write Stack(Fuse(a, b), bottleneck())."
                )
        if len(set(self.children)) < len(self.children):
            raise UserError(f"{self}: a Fuse of a module with itself mixes nothing; name two different ones.")


class Continue(_Node):
    """A fresh trainable copy of one trained module."""

    def _check(self) -> None:
        if len(self.children) != 1 or not isinstance(self.children[0], Trained):
            raise UserError(f"{self}: Continue takes one trained module, e.g. Continue(runs/mnli).")


Expression = Trained | Spec | Stack | Fuse | Continue
NODES: dict[str, type[_Node]] = {"Stack": Stack, "Fuse": Fuse, "Continue": Continue}


def as_expression(value: Any) -> Expression:
    """Turn what a script may write into an expression: an expression, text, a path, or a run (it has `.folder`).

    Raises:
        UserError: when the text does not parse or the value is nothing of these.
    """
    if isinstance(value, Trained | Spec | _Node):
        return value  # type: ignore[return-value]
    if isinstance(value, Path):
        return Trained(str(value))
    if isinstance(value, str):
        from adapterxfer.modules.parse import parse_expression

        return parse_expression(value)
    folder = getattr(value, "folder", None)
    if isinstance(folder, Path):
        return Trained(str(folder))
    raise UserError(f"{value!r} is not a composition: give a run, a folder, a spec, or e.g. Stack(a, bottleneck()).")


def leaves(expression: Expression) -> Iterator[tuple[Trained | Spec, bool]]:
    """Yield (leaf, trains) from left to right; specs and what stands in Continue train, the rest is frozen."""
    if isinstance(expression, Trained):
        yield expression, False
    elif isinstance(expression, Spec):
        yield expression, True
    elif isinstance(expression, _Node):
        for child in expression.children:
            for leaf, trains in leaves(child):
                yield leaf, trains or isinstance(expression, Continue)


def check_trains(expression: Expression) -> None:
    """Refuse a composition in which no module and no fusion would be trained.

    Raises:
        UserError: with what to write instead.
    """
    top = expression.children if isinstance(expression, Stack) else (expression,)
    if not any(isinstance(child, Fuse) for child in top) and not any(trains for _, trains in leaves(expression)):
        raise UserError(
            f"{expression}: nothing in this composition would be trained; write Stack({expression}, bottleneck()) "
            "to train a fresh module above it, or Continue(...) to train a copy."
        )


def strategy_expression(strategy: str, sources: list[Any], spec: Spec) -> Expression:
    """Return the expression a `--strategy` word stands for.

    baseline: the fresh module alone. stack: Stack(sources..., fresh). continue: Continue(source). fuse:
    Stack(Fuse(sources...), fresh).

    Raises:
        UserError: for an unknown word, or the wrong number of sources.
    """
    count = len(sources)
    if strategy == "baseline":
        if count:
            raise UserError("--strategy baseline takes no --from: it is the fresh module alone.")
        return spec
    if strategy == "stack":
        if not count:
            raise UserError("--strategy stack needs --from RUN: the trained module below the fresh one.")
        return Stack(*sources, spec)
    if strategy == "continue":
        if count != 1:
            raise UserError(f"--strategy continue needs exactly one run in --from, not {count}.")
        return Continue(*sources)
    if strategy == "fuse":
        if count < 2:
            raise UserError(f"--strategy fuse needs two or more runs in --from, not {count}.")
        return Stack(Fuse(*sources), spec)
    raise UserError(f"unknown strategy {strategy!r}: it is one of {', '.join(STRATEGIES)}.")


STRATEGIES = ("baseline", "stack", "continue", "fuse")
