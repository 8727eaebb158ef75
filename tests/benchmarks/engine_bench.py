"""What the commands of engine_speed.py share: options, figures, interleaving, the two sides of one run."""

import argparse
import contextlib
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import engine_data
import engine_peers
import engine_sides
from engine_data import Data, Figures, load_data, recipe_of, spec_of
from engine_table import OURS, tables

from adapterxfer.backbone import load_backbone

SIZES = {"panx": (256, 200), "nli": (128, 150), "qa": (64, 40)}  # examples to train on, and to score
Side = Callable[[int], Figures]


class Bench:
    """Options, the backbone, and the figures found so far."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.backbone = load_backbone(options.backbone, options.precision)
        self.runs: list[dict[str, Any]] = []

    def data(self, name: str) -> Data:
        """Return a task's data in the size asked for."""
        examples, dev = self.options.examples or SIZES[name][0], self.options.dev or SIZES[name][1]
        return load_data(name, self.backbone, self.options.data_dir, examples, dev)

    def group(self, data: Data, module: str) -> dict[str, Any]:
        """Return what the runs of one table have in common."""
        group = {"data": data.name, "module": module, "layers": self.options.layers, "epochs": self.options.epochs}
        return group | {"examples": len(data.rows), "tokens": int(data.rows.lengths().sum())}

    def interleave(self, group: dict[str, Any], sides: dict[str, Side]) -> None:
        """Run every side once for each seed; who begins changes from seed to seed."""
        names = list(sides)
        for turn, seed in enumerate(self.options.seeds):
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                self.add(group | {"side": name, "seed": seed}, sides[name](seed))

    def add(self, where: dict[str, Any], figures: Figures) -> None:
        """Keep one side's figures of one repeat, and show them."""
        record = asdict(figures)
        run = where | record.pop("extra") | {key: value for key, value in record.items() if value is not None}
        self.runs.append(run)
        shown = [f"{key} {value:.2f}" if isinstance(value, float) else f"{key} {value}" for key, value in run.items()]
        print("  ".join(shown), file=sys.stderr, flush=True)

    def report(self) -> None:
        """Print the tables, and write the figures where they were asked for."""
        left_out = ("data_dir", "json", "run")  # paths of one machine, and what no JSON can hold
        options = {key: value for key, value in vars(self.options).items() if key not in left_out}
        found = {"machine": engine_data.machine(), "options": options, "runs": self.runs}
        if self.options.json:
            self.options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        print("\n".join(tables([found])))


def train_sides(bench: Bench, data: Data) -> dict[str, Side]:
    """Return our side of one run and the peer's ways, as functions of the seed."""
    options, backbone = bench.options, bench.backbone
    spec = spec_of(options.module, options.layers, backbone)

    def ours(seed: int) -> Figures:
        attached, head = engine_sides.build(backbone, data, spec, seed)
        with prefix_folder(options.layers) as prefix:
            figures = engine_sides.train_ours(attached, head, data, recipe_of(options.epochs, seed), prefix)
        figures.score = engine_sides.dev_score(attached, head, data)
        return figures

    def peer(way: str, seed: int) -> Figures:
        model = engine_peers.peer_model(backbone, data.task, spec, seed)
        figures = engine_peers.train_peer(model, backbone, data, recipe_of(options.epochs, seed), way)
        figures.score = engine_peers.dev_score(model, backbone, data)
        return figures

    return {OURS: ours} | peer_sides(options, peer)


def peer_sides(options: argparse.Namespace, run: Callable[[str, int], Figures]) -> dict[str, Side]:
    """Return a side for each of the peer's ways."""

    def side(way: str) -> Side:
        return lambda seed: run(way, seed)

    return {engine_peers.peer_name(options.module, way): side(way) for way in options.ways}


def warm_up(bench: Bench, data: Data) -> None:
    """Let every side take one update before the clock runs."""
    spec, recipe = spec_of(bench.options.module, "all", bench.backbone), recipe_of(1, 0, steps=1)
    engine_sides.train_ours(*engine_sides.build(bench.backbone, data, spec, 0), data, recipe)
    for way in bench.options.ways:
        model = engine_peers.peer_model(bench.backbone, data.task, spec, 0)
        engine_peers.train_peer(model, bench.backbone, data, recipe, way)


@contextlib.contextmanager
def prefix_folder(layers: str) -> Iterator[Path | None]:
    """Give an empty folder for the prefix; None where modules are in all layers and nothing is frozen below."""
    if layers == "all":
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)
