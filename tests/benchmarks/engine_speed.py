"""The engine against its peers: seconds of training and evaluating, dev scores beside, sides interleaved in one run.

    python tests/benchmarks/engine_speed.py one-run --layers all --data-dir DATA [--data panx,nli,qa] [--module lora]
    python tests/benchmarks/engine_speed.py one-run --layers half --data-dir DATA     # and quarter
    python tests/benchmarks/engine_speed.py eight-runs --data-dir DATA
    python tests/benchmarks/engine_speed.py evaluate --data-dir DATA
    python tests/benchmarks/engine_speed.py memory --data-dir DATA
    python tests/benchmarks/engine_speed.py contributions --data-dir DATA

engine_peers.py says who the peers are and what their three ways (a), (b), (c) mean. Both sides train the same module in
the same layers on the same real English rows: AdamW, the same rate, decay and schedule, batches of 32, the same number
of updates. Reading, tokenising, building the model and scoring are in nobody's time; making the kept prefix is in ours.
Every side takes a step before the clock first runs. With `--layers half` and `quarter` our side keeps the frozen
layers' outputs, anew in each repeat. `memory` gives every training a process of its own. `contributions` takes each
measure of the engine away alone, and has each alone. `--json OUT` keeps every figure; engine_table.py makes tables of
such files. `DATA` has the folders panx, xnli, myxnli and squadshifts. Let nothing else run on the machine.
"""

import argparse
import dataclasses
import gc
import json
import logging
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

import engine_peers
import engine_sides
from engine_bench import Bench, Side, prefix_folder, train_sides, warm_up
from engine_data import Figures, peak_memory, recipe_of, spec_of
from engine_many import eight_runs, evaluate
from engine_table import NONE, OURS

from adapterxfer.backbone import load_backbone

MEASURES = {"batches": "like lengths together", "precision": "bf16", "driver": "own driver", "prefix": "kept prefix"}


def one_run(bench: Bench) -> None:
    """One run from the first update to the last, and its epochs after the first."""
    for name in bench.options.data:
        data = bench.data(name)
        warm_up(bench, data)
        bench.interleave(bench.group(data, bench.options.module), train_sides(bench, data))


def contributions(bench: Bench) -> None:
    """Our side with each measure taken away, with each alone, and with none."""
    options = bench.options
    data = bench.data(options.data[0])
    options.ways = []
    warm_up(bench, data)
    spec = spec_of(options.module, options.layers, bench.backbone)
    plain = load_backbone(options.backbone, "fp32")

    def side(*missing: str) -> Side:
        def run(seed: int) -> Figures:
            backbone = plain if "precision" in missing else bench.backbone
            attached, head = engine_sides.build(backbone, data, spec, seed)
            layers = "all" if "prefix" in missing else options.layers
            with engine_sides.without(*missing), prefix_folder(layers) as prefix:
                figures = engine_sides.train_ours(attached, head, data, recipe_of(options.epochs, seed), prefix)
            figures.score = engine_sides.dev_score(attached, head, data)
            return figures

        return run

    sides = {OURS: side()}
    sides |= {f"without {words}": side(measure) for measure, words in MEASURES.items()}
    sides |= {f"only {words}": side(*(set(MEASURES) - {measure})) for measure, words in MEASURES.items()}
    bench.interleave(bench.group(data, options.module), sides | {NONE: side(*MEASURES)})


def memory(bench: Bench) -> None:
    """Peak memory of a training, each in a process of its own."""
    options = bench.options
    for name in options.data:
        for layers in options.layers.split(","):
            options_of_one = ["--data", name, "--layers", layers, "--module", options.module]
            group = bench.group(bench.data(name), options.module) | {"layers": layers}

            def side(way: str, given: Sequence[str] = tuple(options_of_one)) -> Side:
                return lambda seed: _in_own_process(options, [*given, "--ways", way, "--seeds", str(seed)])

            names = {OURS: "ours"} | {engine_peers.peer_name(options.module, way): way for way in options.ways}
            bench.interleave(group, {shown: side(way) for shown, way in names.items()})


def _in_own_process(options: argparse.Namespace, given: list[str]) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "figures.json"
        command = [sys.executable, __file__, "one-memory", "--data-dir", str(options.data_dir), "--json", str(kept)]
        command += ["--epochs", str(options.epochs), "--backbone", options.backbone, "--precision", options.precision]
        command += ["--examples", str(options.examples)] if options.examples else []
        subprocess.run([*command, *given], check=True)
        return Figures(**json.loads(kept.read_text(encoding="utf-8")))


def one_memory(options: argparse.Namespace) -> None:
    """Train one side once in this process, and leave seconds and peak memory in the file of --json."""
    bench = Bench(options)
    options.dev = 8
    data, recipe, spec = bench.data(options.data[0]), recipe_of(options.epochs, options.seeds[0]), None
    spec = spec_of(options.module, options.layers, bench.backbone)
    if options.ways == ["ours"]:
        attached, head = engine_sides.build(bench.backbone, data, spec, recipe.seed)
        with prefix_folder(options.layers) as prefix, peak_memory() as found:
            figures = engine_sides.train_ours(attached, head, data, recipe, prefix)
    else:
        model = engine_peers.peer_model(bench.backbone, data.task, spec, recipe.seed)
        name, smallest = min(bench.backbone.state.items(), key=lambda item: item[1].numel())
        backbone = dataclasses.replace(bench.backbone, state={name: smallest.clone()})
        bench.backbone = backbone  # our weights go: the peer has its own
        gc.collect()
        with peak_memory() as found:
            figures = engine_peers.train_peer(model, backbone, data, recipe, options.ways[0])
    figures.extra |= found
    options.json.write_text(json.dumps(dataclasses.asdict(figures)), encoding="utf-8")


def _words(text: str) -> list[str]:
    return text.split(",")


def main() -> None:
    """Run one command."""
    commands = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parsers = commands.add_subparsers(required=True)

    def command(name: str, run: object, layers: str, data: str, ways: str, epochs: int, **sizes: int) -> None:
        parser = parsers.add_parser(name)
        parser.add_argument("--data-dir", type=Path, required=True)
        parser.add_argument("--module", choices=("bottleneck", "lora"), default="bottleneck")
        parser.add_argument("--examples", type=int, help="examples to train on")
        parser.add_argument("--dev", type=int, help="English examples to score")
        parser.add_argument("--seeds", type=lambda text: [int(seed) for seed in text.split(",")], default=[0, 1, 2])
        parser.add_argument("--backbone", default="mini")
        parser.add_argument("--precision", default="auto", help="of our side")
        parser.add_argument("--json", type=Path, help="keep every figure there")
        parser.add_argument("--layers", default=layers, help="all, half or quarter")
        parser.add_argument("--data", type=_words, default=_words(data))
        parser.add_argument("--ways", type=_words, default=_words(ways), help="the peer's: a, b, c, b-fp32, c-fp32")
        parser.add_argument("--epochs", type=int, default=epochs)
        parser.add_argument("--sentences", type=int, default=60, help="examples a language, for evaluate")
        parser.add_argument("--modules", type=int, default=8, help="for evaluate")
        parser.set_defaults(run=run, **sizes)

    command("one-run", one_run, "all", "panx,nli,qa", ",".join(engine_peers.WAYS), 2)
    command("eight-runs", eight_runs, "half", "panx", "a,b,b-fp32", 3, examples=128, dev=300)
    command("evaluate", evaluate, "half", "panx", "", 1, examples=320, dev=64)
    command("memory", memory, "all,half", "panx,qa", "b,b-fp32", 1)
    command("contributions", contributions, "half", "panx", "", 3, examples=320, dev=500)
    command("one-memory", one_memory, "all", "panx", "ours", 1)
    options = commands.parse_args()
    warnings.filterwarnings("ignore")
    for library in ("adapters", "transformers"):
        logging.getLogger(library).setLevel(logging.ERROR)
    if options.run is one_memory:
        one_memory(options)
        return
    bench = Bench(options)
    options.run(bench)
    bench.report()


if __name__ == "__main__":
    main()
