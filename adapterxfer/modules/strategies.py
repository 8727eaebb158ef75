"""What a composition trains, and the compositions that the words of `--strategy` stand for."""

from typing import Any

from adapterxfer.errors import UserError
from adapterxfer.modules.expression import (
    Continue,
    Expression,
    Fuse,
    Merge,
    Parallel,
    Stack,
    Trained,
    fuses_of,
    leaves,
)
from adapterxfer.modules.specs import Spec

STRATEGIES = ("baseline", "stack", "continue", "fuse", "merge")


def check_trains(expression: Expression) -> None:
    """Refuse a composition in which no module and no fusion would be trained.

    Raises:
        UserError: with what to write instead.
    """
    if isinstance(expression, Parallel):
        word = type(expression).__name__
        raise UserError(
            f"{expression}: a {word} gives one output a module, and a run trains one; train each in a run of its own "
            f"and put the runs into a {word} to score them side by side."
        )
    if fuses_of(expression) or any(trains for _, trains in leaves(expression)):
        return
    instead = f"Continue({expression})" if isinstance(expression, Trained | Merge) else "Continue(...)"
    flat = expression.children if isinstance(expression, Stack) else (expression,)
    raise UserError(
        f"{expression}: nothing in this composition would be trained; write "
        f"Stack({', '.join(map(str, flat))}, bottleneck()) to train a fresh module above it, or {instead} "
        "to train a copy."
    )


def strategy_expression(strategy: str, sources: list[Any], spec: Spec) -> Expression:
    """Return the expression a `--strategy` word stands for.

    baseline: the fresh module alone. stack: Stack(sources..., fresh). continue: Continue(source). fuse:
    Stack(Fuse(sources...), fresh). merge: Stack(Merge(ties, sources...), fresh).

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
    if strategy in ("fuse", "merge"):
        if count < 2:
            raise UserError(f"--strategy {strategy} needs two or more runs in --from, not {count}.")
        return Stack(Fuse(*sources) if strategy == "fuse" else Merge("ties", *sources), spec)
    raise UserError(f"unknown strategy {strategy!r}: it is one of {', '.join(STRATEGIES)}.")
