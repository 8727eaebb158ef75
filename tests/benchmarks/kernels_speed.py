"""The Triton kernels, torch.compile and CUDA graphs against eager PyTorch, shape by shape: which earns its place.

    python tests/benchmarks/kernels_speed.py [--tokens 1024,4096,16384] [--precision bf16] [--parts ops,layer,step]

Each side runs forward and backward on the same tensors; sides are interleaved, figures are medians in milliseconds, and
in brackets how many times faster than eager. "graph" replays the kernels as a CUDA graph that was captured for exactly
this number of tokens. Parts:

    ops    a bottleneck of width 64, LoRA of rank 16 on a square and on a wide map, a Fuse's mixture of 4, and 8 LoRAs
           grouped, at hidden size 1024
    layer  one layer of XLM-R Large with a bottleneck, and with LoRA on query and value
    step   all 24 layers with a head and its loss

The first call of a compiled side is not timed. A side that fails says so with the error's name. It needs torch with
CUDA and Triton, transformers, adapters and peft (see large_step.py). `--device cpu --scale tiny` runs every path that a
CPU has, to see that it works: there the kernels' functions are their plain references, and nothing is captured.
"""

import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gpu_setup
import torch
from gpu_setup import median, table
from torch import Tensor, nn

from adapterxfer import kernels
from adapterxfer.engine.attention import Layout, layout_of
from adapterxfer.engine.encoder import program_of
from adapterxfer.kernels import launch
from adapterxfer.kernels.bottleneck import reference as plain_bottleneck
from adapterxfer.kernels.fusion import reference as plain_mixture
from adapterxfer.kernels.grouped import reference as plain_grouped
from adapterxfer.kernels.lora import product
from adapterxfer.modules.attach import attach
from adapterxfer.modules.heads import Head
from adapterxfer.modules.specs import Spec, bottleneck, lora

WIDTH, RANK, FUSED, GROUPS = 64, 16, 4, 8
SIDES = ("eager", "compile", "kernel", "graph")
Run = Callable[[], Any]


@contextmanager
def kernels_are(on: bool) -> Iterator[None]:
    """Switch the kernels on or off for the block."""
    before = os.environ.get(launch.SWITCH)
    os.environ[launch.SWITCH] = "1" if on else "0"
    try:
        yield
    finally:
        os.environ.pop(launch.SWITCH)
        if before is not None:
            os.environ[launch.SWITCH] = before


def both_ways(forward: Callable[[], Tensor], inputs: Sequence[Tensor], gradient: Tensor | None = None) -> Run:
    """Return forward and backward as one call."""

    def run() -> Any:
        out = forward()
        return torch.autograd.grad(out, inputs, out if gradient is None else gradient, allow_unused=True)

    return run


def captured(run: Run) -> Run:
    """Return the replay of a CUDA graph of what `run` launches."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph.replay


def switched(run: Run, on: bool) -> Run:
    """Return the call with the kernels on or off."""

    def switching() -> Any:
        with kernels_are(on):
            return run()

    return switching


class Bench:
    """The device, and the rows of the table."""

    def __init__(self, options: Any, folder: Path) -> None:
        self.options, self.folder, self.rows = options, folder, []
        self.device = options.device
        self.dtype = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}[options.precision]
        self.hidden = gpu_setup.SCALES[options.scale]["hidden_size"]
        self.wide = gpu_setup.SCALES[options.scale]["intermediate_size"]

    def random(self, *shape: int) -> Tensor:
        """Return random numbers of the stream's type that want a gradient."""
        return torch.randn(*shape, device=self.device).to(self.dtype).requires_grad_()

    def weight(self, *shape: int) -> nn.Parameter:
        """Return random fp32 master weights."""
        return nn.Parameter(torch.randn(*shape, device=self.device) * shape[-1] ** -0.5)

    def compiled(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function compiled for these shapes; on a CPU only traced: inductor wants a compiler there."""
        return torch.compile(function, dynamic=False, backend="inductor" if self.device == "cuda" else "aot_eager")

    def compare(self, name: str, plain: Run, fused: Run, compiled: Run) -> None:
        """Time the sides of one shape and add its line; a graph is captured of the kernels."""
        wanted = {
            "eager": switched(plain, False),
            "compile": switched(compiled, False),
            "kernel": switched(fused, True),
        }
        failed: dict[str, str] = {}
        ready: dict[str, Run] = {}
        if self.device == "cuda":
            try:
                with kernels_are(True):
                    wanted["graph"] = captured(fused)
            except Exception as error:  # a capture can fail in as many ways as there are libraries below it
                failed["graph"] = type(error).__name__
        for side, run in wanted.items():
            try:
                for _ in range(3):
                    run()
                ready[side] = run
            except Exception as error:
                failed[side] = type(error).__name__
        found = gpu_setup.interleaved(ready, self.device, self.options.repeats, self.options.calls)
        base = median(found["eager"])
        cells = []
        for side in SIDES:
            if side in found:
                took = median(found[side])
                cells.append(f"{1000 * took:.3f} ({base / took:.2f}x)")
            else:
                cells.append(f"fails: {failed[side]}" if side in failed else "")
        self.rows.append([name, *cells])
        print(" | ".join(self.rows[-1]), flush=True)

    def ops(self, tokens: int) -> None:
        """What the modules add to a layer, one by one."""
        width, rank = min(WIDTH, self.hidden // 2), min(RANK, self.hidden // 2)
        x, beside, gradient = (self.random(tokens, self.hidden) for _ in range(3))
        down, up = (nn.Linear(*sizes).to(self.device) for sizes in ((self.hidden, width), (width, self.hidden)))
        inputs = [x, beside, *down.parameters(), *up.parameters()]
        given = (x, beside, down, nn.ReLU(), up)
        self.op(f"bottleneck {width}, {tokens} tokens", plain_bottleneck, kernels.bottleneck, given, inputs, gradient)
        for outputs in (self.hidden, self.wide):
            base = self.random(outputs, self.hidden).detach()
            low, high, gradient = (
                self.weight(rank, self.hidden),
                self.weight(outputs, rank),
                self.random(tokens, outputs),
            )

            def plain(x: Tensor, low: Tensor, high: Tensor, base: Tensor = base) -> Tensor:
                y = nn.functional.linear(x, base)
                return y + product(x, low, high, 2.0)

            def fused(x: Tensor, low: Tensor, high: Tensor, base: Tensor = base) -> Tensor:
                return kernels.add_lora(nn.functional.linear(x, base), x, low, high, 2.0)

            name = f"LoRA {rank} on {self.hidden}x{outputs} with its map, {tokens} tokens"
            self.op(name, plain, fused, (x, low, high), [x, low, high], gradient)
        mixed, offset, gradient = self.random(tokens, FUSED, self.hidden), self.random(tokens), self.random(*x.shape)
        given = (mixed, x, offset)
        self.op(f"mixture of {FUSED}, {tokens} tokens", plain_mixture, kernels.mixture, given, list(given), gradient)
        groups = kernels.Groups.of([tokens // GROUPS] * GROUPS, self.device)
        lows = [self.weight(rank, self.hidden) for _ in range(GROUPS)]
        highs = [self.weight(self.hidden, rank) for _ in range(GROUPS)]
        given = (x, beside, groups, lows, highs)
        name = f"{GROUPS} LoRAs {rank} grouped, {tokens} tokens"
        self.op(name, plain_grouped, kernels.grouped, given, [x, beside, *lows, *highs], gradient)

    def op(
        self, name: str, plain: Any, fused: Any, given: tuple[Any, ...], inputs: list[Tensor], gradient: Tensor
    ) -> None:
        """Compare one function's forward and backward."""
        compiled = self.compiled(plain)
        self.compare(
            name, *(both_ways(lambda f=f: f(*given), inputs, gradient.detach()) for f in (plain, fused, compiled))
        )

    def model(self, spec: Spec, tokens: int) -> tuple[Any, Layout, Tensor, Tensor]:
        """Return a model, and a batch of MNLI-like rows of about so many tokens: layout, mask and embedded rows."""
        backbone = gpu_setup.random_backbone(self.folder, self.options.precision, self.device)
        attached = attach(backbone, spec, "task", 0)
        lengths = gpu_setup.random_data("mnli", max(1, round(tokens / 43)), self.options.scale).rows.lengths()
        places = torch.arange(int(lengths.max()), device=self.device)
        mask = (places[None] < torch.as_tensor(lengths, device=self.device)[:, None]).long()
        layout = layout_of(mask, self.dtype, packed=True)
        return attached, layout, mask, self.random(*mask.shape, self.hidden).detach()

    def layer(self, tokens: int) -> None:
        """One layer in the middle, with its modules."""
        for name, spec in self.specs().items():
            attached, layout, _, hidden = self.model(spec, tokens)
            one, stream = program_of(attached).layers[1], layout.pack(hidden).requires_grad_()
            inputs = [stream, *(p for n, p in attached.trainable().items() if ".layer.1." in n)]
            compiled = self.compiled(one.__call__)
            runs = (both_ways(lambda f=f, s=stream, where=layout: f(s, where), inputs) for f in (one, one, compiled))
            self.compare(f"layer with {name}, {len(stream)} tokens", *runs)

    def step(self, tokens: int) -> None:
        """All layers, a head and its loss."""
        for name, spec in self.specs().items():
            attached, layout, mask, hidden = self.model(spec, tokens)
            head = Head("pair", self.hidden, ("a", "b", "c")).to(self.device)
            batch = {"label": torch.arange(len(mask), device=self.device) % 3}
            layers, packed = program_of(attached).layers, layout.pack(hidden)

            def loss(layers=layers, stream=packed, layout=layout, mask=mask, head=head, batch=batch) -> Tensor:
                for one in layers:
                    stream = one(stream, layout)
                return head.loss(head(layout.unpack(stream), mask), batch) / len(mask)

            inputs = [*attached.trainable().values(), *head.parameters()]
            ones = torch.ones((), device=self.device)
            runs = (both_ways(f, inputs, ones) for f in (loss, loss, self.compiled(loss)))
            self.compare(f"step with {name}, {len(packed)} tokens", *runs)

    def specs(self) -> dict[str, Spec]:
        """Return the modules of the layer and the step."""
        width = min(WIDTH, self.hidden // 2)
        return {
            f"bottleneck {width}": bottleneck(reduction=self.hidden // width),
            f"LoRA {RANK}": lora(r=min(RANK, self.hidden // 2)),
        }


def main(arguments: list[str] | None = None) -> None:
    """Time what was asked for, and print the table."""
    options = gpu_setup.options_of(
        __doc__,
        arguments,
        tokens={"type": lambda text: [int(word) for word in text.split(",")], "default": [1024, 4096, 16384]},
        parts={"type": lambda text: text.split(","), "default": ["ops", "layer", "step"]},
        precision={"choices": ("bf16", "fp16", "fp32"), "default": "bf16"},
        calls={"type": int, "default": 20, "help": "calls in a row that make one figure"},
    )
    warnings.filterwarnings("ignore")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(options, gpu_setup.random_folder(options.scale, Path(folder)))
        for part in options.parts:
            for tokens in options.tokens:
                getattr(bench, part)(tokens)
        columns = [f"{options.precision}, forward and backward, ms", *SIDES]
        print("\n".join(["", gpu_setup.machine(options.device), "", table(columns, bench.rows)]))


if __name__ == "__main__":
    main()
