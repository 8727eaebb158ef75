"""The composition expression: how modules stand together, as Python objects that print as the text they parse from.

    Stack(a, b)          a's output flows into b; for LoRA, both updates are added to the weights
    Fuse(a, b)           a learned mixture of two or more trained bottlenecks (AdapterFusion) or LoRAs
    Average(a, b)        a fixed mixture of their outputs
    Parallel(a, b)       each on its own: one output a module
    BatchSplit(a, b)     each on its own rows of the batch
    Merge(ties, a, b)    one module made of several, by a rule on their weights
    Continue(a)          a fresh trainable copy that starts from a
    a                    a trained module: a run folder, a module folder, or `hub:owner/name`
    bottleneck(...)      a fresh module (a spec)

What cannot work is refused when the object is built, with a sentence that says what to write instead. What hangs on the
kinds of the modules is refused once these are known (nesting.py).
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

from adapterxfer.errors import UserError
from adapterxfer.modules.specs import Spec, value_text

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
    """A composition of `children`; `options` are the fields of the class that may be given by name."""

    children: tuple["Expression", ...]
    options: ClassVar[dict[str, Any]] = {}

    def __init__(self, *children: Any, **options: Any) -> None:
        for key in options:
            if key not in self.options:
                known = f"its options are {', '.join(self.options)}" if self.options else "it takes none"
                raise UserError(f"{type(self).__name__} has no option {key!r}; {known}.")
        object.__setattr__(self, "children", tuple(as_expression(child) for child in children))
        for key, default in self.options.items():
            object.__setattr__(self, key, _canonical(key, options.get(key, default)))
        self._check()

    def _check(self) -> None:
        pass

    def with_children(self, children: list[Any]) -> Self:
        """Return the same composition of other children."""
        return type(self)(*children, **self._given())

    def _given(self) -> dict[str, Any]:
        return {key: getattr(self, key) for key, default in self.options.items() if getattr(self, key) != default}

    def _parts(self) -> list[str]:
        return [str(child) for child in self.children]

    def __str__(self) -> str:
        options = [f"{key}={value_text(value)}" for key, value in self._given().items()]
        return f"{type(self).__name__}({', '.join([*self._parts(), *options])})"

    def _need_two(self, what: str) -> None:
        if len(self.children) < 2:
            raise UserError(f"{self}: {what}.")

    def _refuse_weights(self, negative: str = "") -> None:
        """Check `weights`: a finite number for each child, none below zero where `negative` says what to write."""
        weights = getattr(self, "weights", None)
        if weights is None:
            return
        numbers = isinstance(weights, tuple) and all(isinstance(one, float) and math.isfinite(one) for one in weights)
        if not numbers or len(weights) != len(self.children):
            raise UserError(f"{self}: weights must be {len(self.children)} numbers, one for each module.")
        if negative and (min(weights) < 0 or sum(weights) <= 0):
            raise UserError(f"{self}: {negative}")


class Stack(_Node):
    """Modules one after the other; only the last may be fresh. Every other one is frozen."""

    def _check(self) -> None:
        self._need_two("a Stack needs two or more modules; for one alone write just that one")
        for child in self.children:
            if isinstance(child, Stack):
                raise UserError(f"{self}: a Stack inside a Stack is the same as one flat Stack; write it flat.")
            if isinstance(child, Parallel | BatchSplit):
                word = type(child).__name__
                raise UserError(f"{self}: a {word} stands outermost; write {word}(Stack(a, b), Stack(a, c)).")
        if sum(isinstance(child, Fuse) for child in self.children) > 1:
            raise UserError(f"{self}: one Fuse in a composition; name all modules to be mixed in that one.")
        for child in self.children[:-1]:
            if isinstance(child, Spec | Continue):
                raise UserError(
                    f"{self}: only the last module of a Stack is trained, so {child} must stand last "
                    "(train one module a run and stack the trained ones)."
                )


@dataclass(frozen=True, init=False)
class Fuse(_Node):
    """A learned mixture of trained modules, which stay frozen: AdapterFusion (Pfeiffer et al. 2021) of bottlenecks.

    Of LoRAs it mixes the updates: by attention per token (`gate=attention`), or by one softmax weight for each map and
    module (`gate=weights`).
    """

    gate: str
    options: ClassVar[dict[str, Any]] = {"gate": "attention"}

    def _check(self) -> None:
        self._need_two("a Fuse mixes two or more trained modules")
        for child in self.children:
            if not isinstance(child, Trained | Merge):
                raise UserError(
                    f"{self}: a Fuse mixes modules that are trained already, not {child}; "
                    "to train a fresh one above the mixture write Stack(Fuse(a, b), bottleneck())."
                )
        if len(set(self.children)) < len(self.children):
            raise UserError(f"{self}: a Fuse of a module with itself mixes nothing; name two different ones.")
        if self.gate not in GATES:
            raise UserError(f"{self}: gate={self.gate} is not one of {', '.join(GATES)}.")


@dataclass(frozen=True, init=False)
class Average(_Node):
    """A fixed mixture of the outputs of trained modules of one kind: sum of weight x output, the weights summing to 1.

    A module that is in fewer layers than the others adds nothing where it is not; its weight is not given to them.
    """

    weights: tuple[float, ...] | None
    options: ClassVar[dict[str, Any]] = {"weights": None}

    def _check(self) -> None:
        self._need_two("an Average is of two or more trained modules")
        for child in self.children:
            if not isinstance(child, Trained | Merge):
                raise UserError(
                    f"{self}: an Average is of single trained modules, not of {child}; "
                    "stack around it: Stack(Average(a, b), bottleneck())."
                )
        self._refuse_weights(
            "an Average has no negative weights, and not all may be 0; to subtract a module write "
            "Merge(arithmetic, a, b, weights=(1, -1))."
        )

    @property
    def shares(self) -> tuple[float, ...]:
        """The weights, scaled to sum to 1; equal ones where none are given."""
        weights = self.weights or (1.0,) * len(self.children)
        return tuple(weight / sum(weights) for weight in weights)


class Parallel(_Node):
    """Trained modules beside one another, for scoring: the encoder gives one output a child, one behind the other."""

    def _check(self) -> None:
        self._need_two(f"a {type(self).__name__} is of two or more; for one alone write just that one")
        for child in self.children:
            alone = child.children if isinstance(child, Stack) else (child,)
            if not all(isinstance(one, Trained | Merge | Average) for one in alone):
                raise UserError(
                    f"{self}: a {type(self).__name__} is of trained modules and Stacks of them, not of {child}; "
                    "train what is fresh in a run of its own and name that run."
                )


@dataclass(frozen=True, init=False)
class BatchSplit(Parallel):
    """Trained modules, each for its own rows: the first `sizes[0]` rows of a batch go through the first, and so on."""

    sizes: tuple[int, ...] | None
    options: ClassVar[dict[str, Any]] = {"sizes": None}

    def _check(self) -> None:
        super()._check()
        sizes = self.sizes
        whole = isinstance(sizes, tuple) and all(isinstance(one, float) and 0 < one == int(one) for one in sizes)
        if not whole or len(sizes or ()) != len(self.children):
            raise UserError(
                f"{self}: a BatchSplit needs the number of rows for each child, e.g. "
                f"{type(self).__name__}(a, b, sizes=(8, 8))."
            )
        object.__setattr__(self, "sizes", tuple(int(one) for one in sizes or ()))


@dataclass(frozen=True, init=False)
class Merge(_Node):
    """One module made of trained ones by a rule on their weights; merging.py says what each rule computes.

    `method` is one of `METHODS`. `weights` stand one for each module; `density` is the part of each module's values
    that is kept (ties, dare_linear, dare_ties, magnitude_prune); `seed` draws them (the two dare); `r` is the rank of
    the result (svd); `factor` is the lambda of adamergex: task + factor x (target reference - English reference).
    """

    method: str
    weights: tuple[float, ...] | None
    density: float | None
    seed: int | None
    r: int | None
    factor: float | None
    options: ClassVar[dict[str, Any]] = {"weights": None, "density": None, "seed": None, "r": None, "factor": None}

    def __init__(self, method: Any, *children: Any, **options: Any) -> None:
        word = method.where if isinstance(method, Trained) else method
        if word not in METHODS:
            raise UserError(
                f"Merge({word}, ...): the first argument is the rule, one of {', '.join(METHODS)}: Merge(ties, a, b)."
            )
        object.__setattr__(self, "method", word)
        super().__init__(*children, **options)

    def with_children(self, children: list[Any]) -> Self:
        """Return the same merge of other modules."""
        return type(self)(self.method, *children, **self._given())

    def _parts(self) -> list[str]:
        return [self.method, *super()._parts()]

    def _check(self) -> None:
        for child in self.children:
            if not isinstance(child, Trained | Merge):
                raise UserError(
                    f"{self}: a Merge is of single trained modules, not of {child}; merge first and compose the result."
                )
        for key in self._given():
            if key not in METHODS[self.method]:
                takes = ", ".join(METHODS[self.method])
                raise UserError(f"{self}: {self.method} takes {takes}, not {key}.")
        if self.method == "adamergex":
            if len(self.children) != 3:
                raise UserError(
                    f"{self}: adamergex takes three modules: the task's, the reference task's in the target language, "
                    "and the reference task's in English."
                )
        elif not self.children or (len(self.children) < 2 and self.method != "arithmetic"):
            raise UserError(
                f"{self}: a Merge is of two or more trained modules; "
                "to scale one write Merge(arithmetic, a, weights=(0.5,))."
            )
        self._refuse_weights(
            "a linear merge has no negative weights, and not all may be 0; write Merge(arithmetic, ...) to subtract."
            if self.method == "linear"
            else ""
        )
        if self.density is not None and not (isinstance(self.density, float) and 0 < self.density <= 1):
            raise UserError(f"{self}: density={value_text(self.density)} must be above 0 and at most 1.")
        for key, least in (("seed", 0), ("r", 1)):
            value = getattr(self, key)
            if value is not None and not (isinstance(value, int) and value >= least):
                raise UserError(f"{self}: {key}={value_text(value)} must be a whole number of at least {least}.")
        if self.factor is not None and not (isinstance(self.factor, float) and math.isfinite(self.factor)):
            raise UserError(f"{self}: factor={value_text(self.factor)} must be a number.")


class Continue(_Node):
    """A fresh trainable copy of one trained module."""

    def _check(self) -> None:
        if len(self.children) != 1 or not isinstance(self.children[0], Trained | Merge):
            inside = self.children[0] if len(self.children) == 1 else None
            instead = (
                f"to go on from a mixture, merge it: Continue(Merge(linear, {', '.join(map(str, inside.children))}))"
                if isinstance(inside, Average | Fuse)
                else "e.g. Continue(runs/mnli)"
            )
            raise UserError(f"{self}: Continue takes one trained module; {instead}.")


Leaf = Trained | Spec | Merge
Expression = Leaf | Stack | Fuse | Average | Parallel | BatchSplit | Continue
GATES = ("attention", "weights")
METHODS: dict[str, tuple[str, ...]] = {
    "linear": ("weights",),
    "arithmetic": ("weights",),
    "ties": ("weights", "density"),
    "dare_linear": ("weights", "density", "seed"),
    "dare_ties": ("weights", "density", "seed"),
    "magnitude_prune": ("weights", "density"),
    "svd": ("weights", "r"),
    "adamergex": ("factor",),
}
NODES: dict[str, type[_Node]] = {
    node.__name__: node for node in (Stack, Fuse, Average, Parallel, BatchSplit, Merge, Continue)
}


def _canonical(key: str, value: Any) -> Any:
    """Return an option's value as it prints and compares: a tuple for a list, and one type of number."""
    if isinstance(value, list | tuple):
        return tuple(_canonical("factor", one) for one in value)
    whole = isinstance(value, int) and not isinstance(value, bool)
    return float(value) if whole and key in ("density", "factor") else value


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


def leaves(expression: Expression) -> Iterator[tuple[Leaf, bool]]:
    """Yield (leaf, trains) from left to right; specs and what stands in Continue train, the rest is frozen.

    A Merge is a leaf: it makes one module.
    """
    if isinstance(expression, Trained | Merge):
        yield expression, False
    elif isinstance(expression, Spec):
        yield expression, True
    elif isinstance(expression, _Node):
        for child in expression.children:
            for leaf, trains in leaves(child):
                yield leaf, trains or isinstance(expression, Continue)


def fuses_of(expression: Expression | None) -> list[Fuse]:
    """Return the Fuses of a composition: one at most, alone or in the Stack."""
    top = expression.children if isinstance(expression, Stack) else (expression,)
    return [child for child in top if isinstance(child, Fuse)]
