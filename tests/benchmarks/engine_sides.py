"""Our side of engine_speed.py: the package as it is, and with one of its measures taken away."""

import contextlib
import json
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from engine_data import Clock, Data, Figures

from adapterxfer.backbone import Backbone
from adapterxfer.engine.inference import outputs
from adapterxfer.features.rows import Rows
from adapterxfer.modules.attach import Attached, attach
from adapterxfer.modules.expression import Expression
from adapterxfer.modules.heads import Head
from adapterxfer.training.course import Job
from adapterxfer.training.loop import train
from adapterxfer.training.recipe import Recipe
from adapterxfer.transfer.carry_out import new_head


def build(backbone: Backbone, data: Data, expression: Expression, seed: int) -> tuple[Attached, Head]:
    """Return what is to be trained; building it is in nobody's time."""
    return attach(backbone, expression, "task", seed), new_head(data.task, backbone, seed)


def train_ours(attached: Attached, head: Head, data: Data, recipe: Recipe, prefix: Path | None = None) -> Figures:
    """Train and time; with `prefix`, the frozen layers' outputs are kept in that folder, and making them is timed, too.

    `later` is read from the training's own log: it has nothing of the prefix pass.
    """
    with tempfile.TemporaryDirectory() as folder:
        with Clock() as clock:
            extra: dict[str, Any] = {}
            kept = None
            if prefix is not None:
                with Clock() as making:
                    kept = prefix_of(attached, data.rows, prefix)
                extra["prefix_seconds"] = making.seconds
            [done] = train([Job(attached, head, data.rows, recipe, Path(folder), "benchmark", prefix=kept)])
        log = [json.loads(line) for line in (Path(folder) / "log.jsonl").read_text().splitlines()]
    return Figures(clock.seconds, done.updates, _later(log, recipe, done.updates), extra=extra)


def prefix_of(attached: Attached, rows: Rows, folder: Path) -> Any:
    """Return the kept outputs of the layers below the first module, which are made if they are not there."""
    from adapterxfer.engine.prefix import kept_prefix

    return kept_prefix(attached, rows, folder=folder)


def dev_score(attached: Attached, head: Head, data: Data) -> float:
    """Return the English dev score of what was trained."""
    return data.score(outputs(attached, head, data.dev_rows))


def _later(log: list[dict[str, Any]], recipe: Recipe, updates: int) -> float | None:
    """Return the seconds of one epoch after the first, from the log's seconds since the start at some updates."""
    per_epoch = updates / recipe.epochs
    after = [line for line in log if line["step"] >= per_epoch]
    if recipe.steps is not None or len(after) < 2:
        return None
    first, last = after[0], after[-1]
    return float((last["seconds"] - first["seconds"]) / (last["step"] - first["step"]) * per_epoch)


@contextlib.contextmanager
def without(*measures: str) -> Iterator[None]:
    """Take measures of the engine away: "batches" (like lengths) or "driver" (own loop over the layers).

    The functions that carry them are replaced wherever the package has imported them.
    """
    from adapterxfer.engine import encoder
    from adapterxfer.features import batching

    swaps: list[tuple[Callable[..., Any], Callable[..., Any]]] = []
    if "batches" in measures:
        swaps.append((batching.training_batches, _random_batches))
    if "driver" in measures:
        swaps.append((encoder.encode, _by_library))
    swapped = []
    for old, new in swaps:
        for module in [module for name, module in sys.modules.items() if name.startswith("adapterxfer.")]:
            if vars(module).get(old.__name__) is old:
                setattr(module, old.__name__, new)
                swapped.append((module, old))
    try:
        yield
    finally:
        for module, old in swapped:
            setattr(module, old.__name__, old)


def _by_library(*arguments: Any, program: Any = None, packed: bool | None = None, **given: Any) -> Any:
    """Run the libraries' own forward; what only our driver knows of is left out."""
    from adapterxfer.engine.encoder import encode_by_library

    return encode_by_library(*arguments, **given)


def _random_batches(
    rows: Rows, batch_size: int, seed: int, epoch: int, token_budget: int = 8192
) -> list[list[list[int]]]:
    """Return updates of one micro-batch each, in random order and padded to their longest row."""
    order = list(range(len(rows)))
    random.Random(f"{seed}/{epoch}").shuffle(order)
    return [[order[start : start + batch_size]] for start in range(0, len(order), batch_size)]
