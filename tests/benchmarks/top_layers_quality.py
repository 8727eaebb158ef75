"""What modules in the top K layers only cost in quality: POS, NER, NLI and QA on `mini`, K in 12, 9, 6, 3, three seeds.

    python tests/benchmarks/top_layers_quality.py --data-dir DATA --out RUNS [--tasks pos,ner] [--seeds 0,1,2]

Each run trains one bottleneck adapter (reduction 16) on English as `adapterxfer.train_target(..., top_layers=K)` does,
and is scored on English and zero-shot in three other languages. The training examples are the same for every K and
seed. Runs are kept under `--out`: a run that is there is not repeated, one that was cut off goes on. The table has the
mean over the seeds and, behind +-, their standard deviation. All K are run for one seed before the next seed, so that a
sweep that is cut short still compares like with like. Data: the folders udpos, panx, xnli, myxnli, squadshifts, xquad.
"""

import argparse
import json
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Setting:
    """One kind of task: what is trained, on how much, and the languages it is scored in, English first."""

    task: str
    languages: tuple[str, ...]
    examples: int
    epochs: int
    batch_size: int


SETTINGS = {
    "pos": Setting("udpos", ("en", "ar", "fi", "tr"), 2000, 2, 16),
    "ner": Setting("panx", ("en", "de", "sw", "tr"), 2000, 2, 16),
    "nli": Setting("xnli", ("en", "de", "sw", "tr"), 3000, 2, 16),
    "qa": Setting("xquad", ("en", "de", "tr", "zh"), 500, 2, 8),
}


def run_of(backbone: Any, name: str, top: int, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Return the scores and seconds of one run, after carrying it out unless it is there."""
    import adapterxfer as ax

    setting = SETTINGS[name]
    examples = max(32, round(setting.examples * options.scale))
    epochs = options.epochs or setting.epochs
    folder = options.out / f"{name}-{examples}x{epochs}-top{top}-seed{seed}"
    # `resume` returns a finished run as it is, goes on with an unfinished one and begins one that is not there
    run = ax.train_target(
        setting.task,
        backbone,
        ax.bottleneck(reduction=options.reduction),
        out=folder,
        languages=list(setting.languages),
        data_dir=options.data_dir,
        top_layers=top,
        epochs=epochs,
        batch_size=setting.batch_size,
        seed=seed,
        max_examples=examples,
        max_eval_examples=options.eval_examples,
        resume=True,
    )
    scores = {language: run.metrics["languages"][language]["score"] for language in setting.languages}
    others = statistics.fmean(value for language, value in scores.items() if language != "en")
    result = {"task": name, "top_layers": top, "seed": seed, "examples": examples, "en": scores["en"], "others": others}
    timed = {"train_seconds": run.record["training"]["seconds"], "seconds": run.record["seconds"]}
    line = f"{name} K={top:2} seed {seed}: en {result['en']:5.2f}, others {others:5.2f}"
    print(f"{line}; training {timed['train_seconds']:6.1f} s, run {timed['seconds']:6.1f} s", flush=True)
    return result | timed


def spread(values: list[float]) -> str:
    """Return the mean, and the standard deviation where there is one."""
    return f"{statistics.fmean(values):.1f}" + (f" +- {statistics.stdev(values):.1f}" if len(values) > 1 else "")


def table(results: list[dict[str, Any]], layers: list[int]) -> list[str]:
    """Return the lines of the markdown table."""
    lines = [
        "| task | K | seeds | English | against all | other languages | against all | training s | run s |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name in dict.fromkeys(result["task"] for result in results):
        every: dict[str, float] | None = None
        for top in layers:
            runs = [result for result in results if (result["task"], result["top_layers"]) == (name, top)]
            if not runs:
                continue
            means = {key: statistics.fmean(run[key] for run in runs) for key in ("en", "others")}
            every = every or means
            cells = [SETTINGS[name].task, str(top), str(len(runs))]
            for key in ("en", "others"):
                cells += [spread([run[key] for run in runs]), f"{means[key] - every[key]:+.1f}"]
            cells += [f"{statistics.median(run[key] for run in runs):.1f}" for key in ("train_seconds", "seconds")]
            lines.append("| " + " | ".join(cells) + " |")
    return lines


def main() -> None:
    """Carry out what is missing, and print the table after every seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="where the run folders are kept")
    parser.add_argument("--tasks", default=",".join(SETTINGS))
    parser.add_argument("--layers", default="12,9,6,3", help="the K; differences are against the first")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the training examples to use")
    parser.add_argument("--epochs", type=int, help="default: 2")
    parser.add_argument("--eval-examples", type=int, default=300, help="examples a language")
    parser.add_argument("--reduction", type=int, default=16)
    parser.add_argument("--backbone", default="mini")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--json", type=Path, help="write every run's figures there")
    options = parser.parse_args()
    names, layers = options.tasks.split(","), [int(top) for top in options.layers.split(",")]

    import torch

    from adapterxfer.backbone import load_backbone

    backbone = load_backbone(options.backbone, options.precision)
    machine = f"{torch.get_num_threads()} threads, torch {torch.__version__}, {time.strftime('%Y-%m-%d')}"
    print(f"{options.backbone} at {backbone.precision}, {machine}", flush=True)
    results: list[dict[str, Any]] = []
    for seed in map(int, options.seeds.split(",")):
        for name in names:
            for top in layers:
                results.append(run_of(backbone, name, top, seed, options))
                if options.json:
                    options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        ordered = sorted(results, key=lambda result: names.index(result["task"]))
        print("\n".join(["", *table(ordered, layers), ""]), flush=True)


if __name__ == "__main__":
    main()
