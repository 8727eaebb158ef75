"""What every side of engine_speed.py is given: real rows, the recipe, where the clock and the memory are read."""

import gc
import platform
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from adapterxfer.backbone import Backbone, best_precision
from adapterxfer.evaluation.scores import score
from adapterxfer.features.kinds import kind_of
from adapterxfer.features.rows import Rows
from adapterxfer.modules.specs import Spec, bottleneck, lora
from adapterxfer.tasks import Task, load_examples, load_task
from adapterxfer.training.recipe import Recipe
from adapterxfer.transfer.planning import feature_settings

TASKS = {"panx": "panx", "nli": "myxnli", "qa": "squadshifts"}
SHARES = {"all": 1.0, "half": 0.5, "quarter": 0.25}
BATCH_SIZE = 32
PROTOCOL = "xtreme"  # the lengths of the published scripts: 128 tokens, 384 for questions


@dataclass(frozen=True)
class Data:
    """Rows to train on and examples to score, already encoded: tokenising is in nobody's time."""

    name: str
    task: Task
    rows: Rows
    dev: Sequence[Any]
    dev_rows: Rows

    def score(self, logits: Sequence[np.ndarray]) -> float:
        """Return the English dev score of one logits array per dev row."""
        predictions = kind_of(self.task).decode(self.task, self.dev, self.dev_rows, logits)
        return float(score(self.task, self.dev, predictions, "en")["score"])


@dataclass
class Figures:
    """What one side gave in one repeat; `later` is one epoch after the first, in seconds."""

    seconds: float
    updates: int | None = None
    later: float | None = None
    score: float | None = None
    extra: dict[str, Any] = field(default_factory=dict)


def load_data(name: str, backbone: Backbone, folder: Path, examples: int, dev: int) -> Data:
    """Return a fixed random draw of `examples` to train on, and of `dev` to score."""
    task = load_task(TASKS[name])
    settings = feature_settings(task, PROTOCOL, backbone.max_length)
    drawn = [draw(load_examples(task, split, "en", folder), n) for split, n in (("train", examples), ("dev", dev))]
    rows = [kind_of(task).encode(task, chosen, backbone.tokenizer, settings) for chosen in drawn]
    return Data(name, task, rows[0], drawn[1], rows[1])


def draw(examples: Sequence[Any], count: int) -> list[Any]:
    """Return the same `count` examples every time, in their order in the file."""
    chosen = random.Random(0).sample(range(len(examples)), min(count, len(examples)))
    return [examples[index] for index in sorted(chosen)]


def spec_of(module: str, layers: str, backbone: Backbone) -> Spec:
    """Return the fresh module of both sides: in all layers, or in the top half or quarter of them."""
    top = None if layers == "all" else max(1, round(backbone.layers * SHARES[layers]))
    return bottleneck(reduction=16, top_layers=top) if module == "bottleneck" else lora(r=8, top_layers=top)


def recipe_of(epochs: int, seed: int, steps: int | None = None) -> Recipe:
    """Return the recipe that both sides follow: AdamW, batches of 32, linear warm-up over a tenth and linear decay."""
    return Recipe(epochs=epochs, steps=steps, batch_size=BATCH_SIZE, learning_rate=1e-3, seed=seed)


class Clock:
    """Seconds of a block: `with Clock() as clock: ...; clock.seconds`. Garbage of the side before is gone first."""

    seconds = 0.0

    def __enter__(self) -> "Clock":
        gc.collect()
        self._start = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._start


def resident() -> float:
    """Return the memory this process holds now, in MiB."""
    return _status("VmRSS")


@contextmanager
def peak_memory() -> Iterator[dict[str, float]]:
    """Fill in at the end, in MiB: `peak`, the most this process held, and `grown`, that less the start."""
    found: dict[str, float] = {}
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the kernel counts the peak anew from here
    before = resident()
    yield found
    found |= {"peak": _status("VmHWM"), "grown": _status("VmHWM") - before}


def _status(name: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) / 1024
    raise OSError(f"/proc/self/status has no {name}: memory is measured on Linux only.")


def machine() -> dict[str, Any]:
    """Return what a figure must be read with."""
    from importlib.metadata import version

    model = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    flags = {"avx512_bf16": torch.cpu._is_avx512_bf16_supported(), "amx": torch.cpu._is_amx_tile_supported()}
    return {
        "date": time.strftime("%Y-%m-%d"),
        "cpu": model[0].split(":")[1].strip() if model else platform.processor(),
        "threads": torch.get_num_threads(),
        "flags": [name for name, present in flags.items() if present],
        "precision": best_precision()[0],
        "versions": {name: version(name) for name in ("torch", "transformers", "adapters", "peft")},
    }
