"""What large_step.py and kernels_speed.py are given: an encoder with random weights, rows of real lengths, the clock.

Nothing is downloaded or read: the architecture is written here, weights and tokens are drawn on the machine, and the
lengths follow the quantiles below, which were taken from 400 real rows each with XLM-R's tokenizer (NLI pairs cut to
128 tokens, questions with their context in windows of 384).
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from engine_data import Data

from adapterxfer.backbone import Backbone
from adapterxfer.backbone.precision import policy_of
from adapterxfer.features.ragged import Ragged
from adapterxfer.features.rows import Rows
from adapterxfer.tasks.schema import Task

SHARES = (0, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1)
LENGTHS = {
    "mnli": (14, 23, 26, 33, 42, 50, 59, 65, 75, 91),
    "squad": (53, 101, 127, 151, 190, 238, 299, 339, 384, 384),
}
SCALES = {
    "large": {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096},
    "tiny": {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 64},
}
VOCABULARY = {"large": 250_002, "tiny": 500}


def options_of(description: str | None, arguments: list[str] | None, **more: dict[str, Any]) -> argparse.Namespace:
    """Return the command line's options; ends with one sentence on a machine without CUDA.

    Args:
        description: the script's docstring.
        arguments: the command line; None: the process's own.
        **more: further options of the script, as `add_argument` takes them.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: to see that the script runs")
    parser.add_argument("--scale", choices=tuple(SCALES), default="large")
    parser.add_argument("--repeats", type=int, default=5)
    for name, option in more.items():
        parser.add_argument("--" + name.replace("_", "-"), **option)
    options = parser.parse_args(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("This measures a GPU, and torch finds none here: run it on a machine with CUDA.")
    return options


def random_folder(scale: str, folder: Path) -> Path:
    """Write an XLM-R with random weights as a model folder without a tokenizer, and return it."""
    from transformers import XLMRobertaConfig, XLMRobertaModel

    torch.manual_seed(0)
    config = XLMRobertaConfig(
        vocab_size=VOCABULARY[scale],
        max_position_embeddings=514,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        **SCALES[scale],
    )
    XLMRobertaModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


def random_backbone(folder: Path, precision: str, device: str) -> Backbone:
    """Load the folder at a precision, as `load_backbone` does; the tokenizer is no more than its padding id."""
    from adapterxfer.backbone.model import shapes
    from adapterxfer.backbone.weights import read_config, read_state

    config, policy = read_config(folder), policy_of(precision)
    stored = read_state(folder, shapes(config))
    state = {k: v.to(device, policy.storage_dtype(k)) for k, v in stored.items() if not policy.quantises(k)}
    quantised = {}
    if policy.quantised:
        from adapterxfer.backbone.quantised import quantise

        packed = [key for key in stored if policy.quantises(key)]
        quantised = {key: quantise(stored[key].to(device), policy.precision) for key in packed}
    tokenizer = SimpleNamespace(pad_token_id=1)
    return Backbone(str(folder), policy.precision, config, tokenizer, "random", state, quantised)


def random_data(kind: str, rows: int, scale: str, seed: int = 0) -> Data:
    """Return rows of random tokens with lengths of an MNLI-like ("mnli") or SQuAD-like ("squad") distribution."""
    generator = np.random.default_rng(seed)
    lengths = np.interp(generator.random(rows), SHARES, LENGTHS[kind]).round().astype(int)
    ids = [np.concatenate([[0], generator.integers(5, VOCABULARY[scale], length - 2), [2]]) for length in lengths]
    numbers = np.arange(rows)
    if kind == "mnli":
        targets: dict[str, Any] = {"label": generator.integers(0, 3, rows)}
        task = _task("mnli_like", "pair", ("entailment", "neutral", "contradiction"))
    else:
        starts = (generator.random(rows) * (lengths - 2)).astype(int)
        targets = {"start": starts, "end": np.minimum(starts + 3, lengths - 1)}
        task = _task("squad_like", "span", ())
    made = Rows(Ragged.of(ids), numbers, targets, numbers)
    return Data(kind, task, made, [], made)


def _task(name: str, kind: str, labels: tuple[str, ...]) -> Task:
    return Task(
        name=name,
        version=1,
        kind=kind,
        roles=("target",),
        description="",
        labels=labels,
        languages=("en",),
        metric="accuracy" if kind == "pair" else "squad",
        evaluation_split="dev",
        training_task=None,
        licence="",
        citation="",
        path=Path("random.yaml"),
    )


def synchronise(device: str) -> None:
    """Wait for the device."""
    if device == "cuda":
        torch.cuda.synchronize()


def seconds_of(run: Callable[[], Any], device: str, calls: int = 1) -> float:
    """Return the seconds of one call, from `calls` in a row."""
    synchronise(device)
    start = time.perf_counter()
    for _ in range(calls):
        run()
    synchronise(device)
    return (time.perf_counter() - start) / calls


def interleaved(sides: dict[str, Callable[[], Any]], device: str, repeats: int, calls: int) -> dict[str, list[float]]:
    """Return the seconds of every side in every repeat; who begins changes from repeat to repeat."""
    names = list(sides)
    found: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(repeats):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            found[name].append(seconds_of(sides[name], device, calls))
    return found


def matrix_rate(device: str, scale: str, dtype: torch.dtype = torch.bfloat16) -> float:
    """Return the FLOP/s of a large square product, the best of five: what the shares of large_step.py are taken of."""
    size = 8192 if scale == "large" else 64
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    a @ b
    return 2 * size**3 / min(seconds_of(lambda: a @ b, device, 10) for _ in range(5))


def bandwidth(device: str, scale: str) -> float:
    """Return the bytes/s of a copy, read and written, the best of five."""
    count = 1 << (28 if scale == "large" else 12)
    a, b = (torch.empty(count, dtype=torch.float32, device=device) for _ in range(2))
    b.copy_(a)
    return 2 * 4 * count / min(seconds_of(lambda: b.copy_(a), device, 10) for _ in range(5))


def machine(device: str) -> str:
    """Return a line on where this ran."""
    from importlib.metadata import PackageNotFoundError, version

    def version_of(name: str) -> str:
        try:
            return f"{name} {version(name)}"
        except PackageNotFoundError:
            return f"no {name}"

    card = torch.cuda.get_device_name() if device == "cuda" else "CPU, to see that the script runs: no figure counts"
    return f"{time.strftime('%Y-%m-%d')}: {card}; " + ", ".join(
        version_of(name) for name in ("torch", "triton", "transformers", "adapters", "peft", "bitsandbytes")
    )


def table(columns: list[str], rows: list[list[str]]) -> str:
    """Return a markdown table; the first column is words, the others are numbers."""
    lines = ["| " + " | ".join(columns) + " |", "|---|" + "---:|" * (len(columns) - 1)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def median(values: list[float]) -> float:
    """Return the median."""
    return statistics.median(values)
