"""The whole training step on XLM-R Large's architecture: tokens a second without padding, memory, share of matrix rate.

    python tests/benchmarks/large_step.py [--rows 2048] [--modules bottleneck,lora,fuse] [--layers all,half,quarter]

Ours is the package's training loop with the token budget that the engine picks, at bf16, and at int8 and nf4 where
bitsandbytes is there. The peers are those of engine_peers.py, `adapters.AdapterTrainer` and `peft` with
`transformers.Trainer`, in their three ways: (a) defaults, (b) tuned, (c) tuned with our batches. All train the same
modules in the same layers on the same rows for one epoch, sides interleaved, medians. Figures:

    tokens/s   real tokens over seconds, padding counted as nothing
    share      the operations that the step needs (grid/cost.py) a second, over the rate of a large bf16 product
               measured in the same call
    peak       the most memory that torch had allocated

`--memory 8` caps the process at so many GB and runs ours once more, with the budget the engine then picks: the
difference in tokens/s is what the recomputation and the smaller passes cost. `--rates` prints, for the top half, the
rates that grid/cost.py projects a study from: the prefix, the layers above it in training and in evaluation.

It needs torch with CUDA, transformers 4.57, adapters, peft and this package; bitsandbytes for int8 and nf4; Triton
comes with torch. Nothing is read from the network. A machine without adapters or with transformers 5 has to be given
their wheels (transformers 4.57.6, tokenizers 0.22.2, huggingface_hub 0.36.2, adapters 1.3.0). The random weights take
2.3 GB in a temporary folder. `--device cpu --scale tiny` runs every path in small, to see that it works.
"""

import contextlib
import importlib.util
import logging
import tempfile
import warnings
from pathlib import Path
from typing import Any

import engine_peers
import engine_sides
import gpu_setup
import torch
from engine_data import Data, Figures
from gpu_setup import median, table

from adapterxfer.backbone import Backbone
from adapterxfer.engine.inference import outputs
from adapterxfer.engine.memory import token_budget
from adapterxfer.engine.prefix import kept_prefix, prefix_depth
from adapterxfer.grid.cost import Encoder
from adapterxfer.modules.attach import attach
from adapterxfer.modules.expression import Expression, Fuse, Stack, Trained
from adapterxfer.modules.specs import bottleneck, lora
from adapterxfer.training.recipe import Recipe

WIDTH, RANK, FUSED = 64, 16, 4  # the bottleneck's width, LoRA's rank, the modules that a Fuse mixes
LAYERS = {"all": 1.0, "half": 0.5, "quarter": 0.25}
BATCH = 32


class Step:
    """Options, the machine's rates, and the rows of the table."""

    def __init__(self, options: Any, folder: Path) -> None:
        self.options, self.folder = options, folder
        self.device, self.scale = options.device, options.scale
        gpu_setup.random_folder(self.scale, folder / "model")
        self.backbones = {name: self.backbone(name) for name in self.precisions()}
        self.matrix = gpu_setup.matrix_rate(self.device, self.scale)
        self.rows: list[list[str]] = []

    def precisions(self) -> list[str]:
        """Return what can run here: bf16, and the quantised ones with bitsandbytes."""
        quantised = ["int8", "nf4"] if importlib.util.find_spec("bitsandbytes") else []
        return ["bf16", *quantised]

    def backbone(self, precision: str) -> Backbone:
        """Return the random encoder at a precision."""
        return gpu_setup.random_backbone(self.folder / "model", precision, self.device)

    def expression(self, module: str, layers: str) -> Expression:
        """Return what is trained: a bottleneck, a LoRA, or a bottleneck above a Fuse of trained ones."""
        backbone = self.backbones["bf16"]
        top = None if layers == "all" else max(1, round(backbone.layers * LAYERS[layers]))
        width, rank = min(WIDTH, backbone.hidden_size // 2), min(RANK, backbone.hidden_size // 2)
        own = bottleneck(reduction=backbone.hidden_size // width, top_layers=top)
        if module == "lora":
            return lora(r=rank, alpha=rank, top_layers=top)
        if module == "bottleneck":
            return own
        return Stack(Fuse(*(Trained(str(self.trained(number, own))) for number in range(FUSED))), own)

    def trained(self, number: int, spec: Any) -> Path:
        """Return the folder of a module that a Fuse mixes, saved once."""
        folder = self.folder / f"fused-{number}-{spec.top_layers}"
        if not folder.is_dir():
            attach(self.backbones["bf16"], spec, f"fused{number}", number).save(folder)
        return folder / "module"

    def flops(self, module: str, layers: str, length: float) -> float:
        """Return the operations that one token of a step needs."""
        config = self.backbones["bf16"].config
        encoder = Encoder(config.num_hidden_layers, config.hidden_size, config.intermediate_size)
        top = max(1, round(encoder.layers * LAYERS[layers]))
        pair = 2 * encoder.hidden * min(WIDTH, encoder.hidden // 2)
        weights = {
            "bottleneck": pair,
            "lora": 2 * 2 * encoder.hidden * min(RANK, encoder.hidden // 2),
            # the fused ones, three square maps (key and query once a token, as the engine does it), and the own one
            "fuse": FUSED * pair + 3 * encoder.hidden**2 + pair,
        }[module]
        return encoder.prefix_flops(length, top) + encoder.training_flops(length, top, weights)

    def ours(self, precision: str, data: Data, expression: Expression, recipe: Recipe) -> Figures:
        """Train with the package."""
        attached, head = engine_sides.build(self.backbones[precision], data, expression, recipe.seed)
        figures = self.measured(lambda: engine_sides.train_ours(attached, head, data, recipe))
        widest = int(data.rows.lengths().max())
        figures.extra["budget"] = token_budget(attached, widest, prefix_depth(attached))
        return figures

    def peer(self, way: str, data: Data, module: str, layers: str, recipe: Recipe) -> Figures:
        """Train with the peer's library."""
        backbone = self.backbones["bf16"]
        torch.manual_seed(recipe.seed)
        expression = self.expression(module, layers)
        if module == "fuse":
            assert isinstance(expression, Stack)
            fused, own = expression.children
            assert isinstance(fused, Fuse)
            folders = [Path(str(child)) for child in fused.children]
            model = engine_peers.bottleneck_peer(backbone, data.task, own, folders, True)
        else:
            model = engine_peers.peer_model(backbone, data.task, expression, recipe.seed)
        model = model.to(self.device)
        return self.measured(lambda: engine_peers.train_peer(model, backbone, data, recipe, way))

    def measured(self, train: Any) -> Figures:
        """Return what a training found, with its peak memory."""
        if self.device == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        gpu_setup.synchronise(self.device)
        figures: Figures = train()
        gpu_setup.synchronise(self.device)
        if self.device == "cuda":
            figures.extra["peak"] = torch.cuda.max_memory_allocated()
        return figures

    def compare(self, data: Data, module: str, layers: str) -> None:
        """Run every side of one module, and add their lines to the table."""
        expression = self.expression(module, layers)
        sides: dict[str, Any] = {
            f"ours, {precision}": lambda recipe, p=precision: self.ours(p, data, expression, recipe)
            for precision in self.backbones
        }
        for way in self.options.ways:
            name = f"{'peft + Trainer' if module == 'lora' else 'AdapterTrainer'} ({way})"
            sides[name] = lambda recipe, way=way: self.peer(way, data, module, layers, recipe)
        found: dict[str, list[Figures]] = {name: [] for name in sides}
        for side in sides.values():
            side(Recipe(steps=2, batch_size=BATCH))  # kernels are compiled, memory is taken
        names = list(sides)
        for turn in range(self.options.repeats):
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                found[name].append(sides[name](Recipe(epochs=1, batch_size=BATCH, seed=turn)))
        tokens = int(data.rows.lengths().sum())
        base = tokens / median([figures.seconds for figures in found["ours, bf16"]])
        for name, figures in found.items():
            self.line(data, module, layers, name, tokens / median([one.seconds for one in figures]), base, figures[-1])

    def line(self, data: Data, module: str, layers: str, side: str, rate: float, base: float, figures: Figures) -> None:
        """Add one line to the table."""
        share = rate * self.flops(module, layers, float(data.rows.lengths().mean())) / self.matrix
        peak = figures.extra.get("peak")
        self.rows.append(
            [
                f"{data.name}, {module}, {layers}: {side}",
                f"{rate:,.0f}",
                f"{base / rate:.2f}x" if rate else "",
                f"{100 * share:.1f}%",
                f"{peak / 2**30:.2f}" if peak else "",
                f"{figures.extra['budget']:,}" if "budget" in figures.extra else "",
            ]
        )
        print(" | ".join(self.rows[-1]), flush=True)

    def capped(self, data: Data, module: str, layers: str) -> None:
        """Run ours with as much memory as `--memory` says, whatever the card has."""
        expression = self.expression(module, layers)
        tokens = int(data.rows.lengths().sum())
        open_rate = tokens / self.ours("bf16", data, expression, Recipe(epochs=1, batch_size=BATCH)).seconds
        with memory_of(self.device, self.options.memory):
            figures = self.ours("bf16", data, expression, Recipe(epochs=1, batch_size=BATCH))
        rate = tokens / figures.seconds
        self.line(data, module, layers, f"ours, bf16, {self.options.memory} GB", rate, open_rate, figures)

    def rates(self, data: Data, module: str) -> str:
        """Return the rates of the prefix, and of training and evaluating the top half above it, as a table."""
        backbone, tokens = self.backbones["bf16"], int(data.rows.lengths().sum())
        found: dict[str, list[float]] = {"prefix": [], "training": [], "evaluation": []}
        for turn in range(self.options.repeats):
            attached, head = engine_sides.build(backbone, data, self.expression(module, "half"), turn)
            with tempfile.TemporaryDirectory() as kept:
                run = gpu_setup.seconds_of
                found["prefix"].append(
                    run(lambda a=attached, k=kept: kept_prefix(a, data.rows, folder=Path(k)), self.device)
                )
                recipe = Recipe(epochs=1, batch_size=BATCH, seed=turn)
                figures = engine_sides.train_ours(attached, head, data, recipe, Path(kept))
                found["training"].append(figures.seconds - figures.extra["prefix_seconds"])
                prefix = kept_prefix(attached, data.rows, folder=Path(kept))
                found["evaluation"].append(
                    run(lambda a=attached, h=head, p=prefix: outputs(a, h, data.rows, prefix=p), self.device)
                )
        lines = [[name, f"{tokens / median(seconds):,.0f}"] for name, seconds in found.items()]
        lines += [["large bf16 product, FLOP/s", f"{self.matrix:.3e}"]]
        lines += [["copy, bytes/s", f"{gpu_setup.bandwidth(self.device, self.scale):.3e}"]]
        return table([f"{data.name}, {module}, top half", "tokens/s"], lines)


@contextlib.contextmanager
def memory_of(device: str, gigabytes: float) -> Any:
    """Let torch allocate no more than this for the length of the block; a CPU has no such bound."""
    if device == "cpu":
        yield
        return
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, gigabytes * 1e9 / total))
    free = torch.cuda.mem_get_info
    bound, held = int(gigabytes * 1e9), torch.cuda.memory_reserved
    # the engine asks the driver, which knows nothing of the bound
    torch.cuda.mem_get_info = lambda *_: (max(0, bound - held()), bound)
    try:
        yield
    finally:
        torch.cuda.mem_get_info = free
        torch.cuda.set_per_process_memory_fraction(1.0)


def main(arguments: list[str] | None = None) -> None:
    """Run what was asked for, and print the tables."""
    words = {"type": lambda text: [word for word in text.split(",") if word]}
    options = gpu_setup.options_of(
        __doc__,
        arguments,
        rows={"type": int, "default": 2048},
        data=words | {"default": list(gpu_setup.LENGTHS)},
        modules=words | {"default": ["bottleneck", "lora", "fuse"]},
        layers=words | {"default": list(LAYERS)},
        ways=words | {"default": list(engine_peers.WAYS[:3])},
        memory={"type": float, "default": 0.0, "help": "GB to cap the process at; 0: no capped run"},
        rates={"action": "store_true"},
    )
    warnings.filterwarnings("ignore")
    for library in ("adapters", "transformers"):
        logging.getLogger(library).setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        step = Step(options, Path(folder))
        found = []
        for kind in options.data:
            data = gpu_setup.random_data(kind, options.rows, options.scale)
            for module in options.modules:
                for layers in options.layers:
                    step.compare(data, module, layers)
                    if options.memory:
                        step.capped(data, module, layers)
                if options.rates:
                    found.append(step.rates(data, module))
        columns = ["data, module, layers: side", "tokens/s", "ours is faster by", "share", "peak GiB", "token budget"]
        print("\n".join(["", gpu_setup.machine(options.device), "", table(columns, step.rows)]))
        print("\n".join(f"\n{one}" for one in found))


if __name__ == "__main__":
    main()
