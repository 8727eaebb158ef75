"""Loss curves of the packed bf16 path beside the padded fp32 path: same model, same rows, same order, 200 updates.

    python tests/endurance/packed_curves.py --data-dir DATA --out curves.png [--steps 200] [--module lora] [--task NAME]

The model is `mini` with one fresh module in all layers. Three trainings take the same batches: padded rows in fp32,
packed rows in bf16, and, to have the noise to compare with, padded rows in fp32 with another seed of module and head.
On CUDA packed attention is torch's for variable lengths and the modules are the Triton kernels where these run; on a
CPU packing is forced, and each row attends by itself. The plot has the losses, averaged over `--window` updates; the
last lines say how far the curves are apart. DATA has the folder of the task.
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from adapterxfer.backbone import Backbone, load_backbone
from adapterxfer.engine.encoder import encode
from adapterxfer.features.batching import collate, training_batches
from adapterxfer.features.kinds import kind_of
from adapterxfer.features.rows import Rows
from adapterxfer.modules.attach import attach
from adapterxfer.modules.heads import Head
from adapterxfer.modules.parse import parse_expression
from adapterxfer.tasks import load_examples, load_task
from adapterxfer.training.recipe import Recipe
from adapterxfer.transfer.carry_out import new_head
from adapterxfer.transfer.planning import feature_settings

MODULES = {"bottleneck": "bottleneck(reduction=16)", "lora": "lora(r=16)", "houlsby": "bottleneck(kind=houlsby)"}


def updates(rows: Rows, recipe: Recipe) -> Iterator[list[int]]:
    """Return the rows of each update, epoch after epoch."""
    epoch = 0
    while True:
        for update in training_batches(rows, recipe.batch_size, 0, epoch, 10**9):
            yield update[0]
        epoch += 1


def curve(backbone: Backbone, head: Head, rows: Rows, module: str, recipe: Recipe, packed: bool) -> np.ndarray:
    """Return the loss of every update."""
    attached = attach(backbone, parse_expression(MODULES[module]), "task", recipe.seed)
    device = next(attached.model.parameters()).device
    head.to(device)
    attached.set_training(True)
    parameters = [*attached.trainable().values(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    losses = np.empty(recipe.updates(0))
    for step, indices in zip(range(len(losses)), updates(rows, recipe), strict=False):
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate(step, len(losses))
        batch = {key: value.to(device) for key, value in collate(rows, indices, 1).items()}
        hidden = encode(attached, batch["input_ids"], batch["attention_mask"], packed=packed)
        loss = head.loss(head(hidden, batch["attention_mask"]), batch) / max(1, head.count(batch))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, recipe.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses[step] = loss.item()
    return losses


def smooth(losses: np.ndarray, window: int) -> np.ndarray:
    """Return the means over `window` updates in a row."""
    return np.convolve(losses, np.ones(window) / window, "valid")


def plot(curves: dict[str, np.ndarray], window: int, title: str, out: Path) -> None:
    """Draw the curves into a file."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for (name, losses), style in zip(curves.items(), ("-", "--", ":"), strict=True):
        axes.plot(np.arange(len(losses) - window + 1) + window / 2, smooth(losses, window), style, label=name)
    axes.set(xlabel="update", ylabel=f"loss, mean over {window} updates", title=title, ylim=(0, None))
    axes.legend()
    figure.savefig(out, dpi=120)


def main(arguments: list[str] | None = None) -> dict[str, float]:
    """Train the three, draw them, and return how far they are apart."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="the plot; the losses are written beside it as JSON")
    parser.add_argument("--task", default="panx")
    parser.add_argument("--module", choices=tuple(MODULES), default="bottleneck")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--window", type=int, default=10)
    parser.add_argument("--backbone", default="mini")
    options = parser.parse_args(arguments)

    task = load_task(options.task)
    examples = load_examples(task, "train", "en", options.data_dir)[: options.steps * options.batch_size]
    low, full = (load_backbone(options.backbone, precision) for precision in ("bf16", "fp32"))
    settings = feature_settings(task, "xtreme", full.max_length)
    rows = kind_of(task).encode(task, examples, full.tokenizer, settings)
    sides = {
        "padded, fp32": (full, 0, False),
        "packed, bf16": (low, 0, True),
        "padded, fp32, another seed": (full, 1, False),
    }
    curves = {}
    for name, (backbone, seed, packed) in sides.items():
        recipe = Recipe(steps=options.steps, batch_size=options.batch_size, seed=seed)
        began = time.perf_counter()
        curves[name] = curve(backbone, new_head(task, backbone, seed), rows, options.module, recipe, packed)
        print(f"{name}: last loss {smooth(curves[name], options.window)[-1]:.4f}, {time.perf_counter() - began:.0f} s")
    padded, packed, other = (smooth(losses, options.window) for losses in curves.values())
    device = "CUDA" if torch.cuda.is_available() else "CPU"
    plot(curves, options.window, f"{options.task}, {options.module}, {options.backbone}, {device}", options.out)
    options.out.with_suffix(".json").write_text(
        json.dumps({name: list(map(float, one)) for name, one in curves.items()})
    )
    apart = {"of path": float(np.abs(packed - padded).mean()), "of seed": float(np.abs(other - padded).mean())}
    print(f"mean distance of the smoothed curves: packed bf16 to padded fp32 {apart['of path']:.4f}, ", end="")
    print(f"one seed to another {apart['of seed']:.4f}")
    return apart


if __name__ == "__main__":
    main()
