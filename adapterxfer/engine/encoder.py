"""The encoder driver: our own loop over the layers of the model that `adapters` and `peft` prepared.

`read` looks at the model once and writes down what each layer computes; `encode` runs that over a stream of tokens in
one type, the precision's, without padding work, masks where nothing is padded, dropout in the frozen part, or a pooler.
What it cannot compute runs through the library's own padded forward (`encode_by_library`); `path_of` says which. Tests
hold the two together, per token and per gradient.
"""

import itertools
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from adapterxfer.engine.attention import Layout, layout_of
from adapterxfer.engine.linears import Linear, UnsupportedError, linear_of
from adapterxfer.engine.sites import Site, site_of
from adapterxfer.errors import UserError
from adapterxfer.modules.assemble import library_setup, peft_names
from adapterxfer.modules.attach import Attached
from adapterxfer.modules.expression import BatchSplit, Parallel

LINEARS = ("query", "key", "value", "attention_output", "intermediate", "output")


@dataclass(frozen=True)
class Layer:
    """What one layer computes: six linear maps, the attention between them, and two sites."""

    query: Linear
    key: Linear
    value: Linear
    attention_output: Linear
    intermediate: Linear
    output: Linear
    after_attention: Site
    after_feed_forward: Site
    heads: int

    def __call__(self, stream: Tensor, layout: Layout) -> Tensor:
        """Return the layer's output for a stream [tokens, hidden]."""
        mixed = layout.attend(self.query(stream), self.key(stream), self.value(stream), self.heads)
        attended = self.after_attention(self.attention_output(mixed), stream)
        wide = functional.gelu(self.intermediate(attended))
        return self.after_feed_forward(self.output(wide), attended)

    def folded(self) -> "Layer":
        """Return the same layer for inference, its LoRA modules folded into the matrices."""
        return replace(self, **{name: getattr(self, name).folded() for name in LINEARS})

    @property
    def plain(self) -> bool:
        """Whether no module stands in it."""
        sites = (self.after_attention, self.after_feed_forward)
        return not any(site.steps for site in sites) and not any(getattr(self, name).updates for name in LINEARS)


@dataclass(frozen=True)
class Program:
    """What the encoder computes, layer by layer; `reason` says why there is none, where the library must run.

    A Parallel or a BatchSplit has `branches` instead of layers, a program for each child; `sizes` are the rows of a
    BatchSplit's children. The layers below the first module of any of them run once.
    """

    layers: tuple[Layer, ...]
    reason: str = ""
    branches: tuple["Program", ...] = ()
    sizes: tuple[int, ...] | None = None

    def folded(self) -> "Program":
        """Return the same program for inference, as the weights are now."""
        layers = tuple(layer.folded() for layer in self.layers)
        return replace(self, layers=layers, branches=tuple(branch.folded() for branch in self.branches))

    @property
    def shared(self) -> int:
        """How many layers every branch computes alike."""
        rows = zip(*(branch.layers for branch in self.branches), strict=True)
        return sum(1 for _ in itertools.takewhile(lambda row: all(layer.plain for layer in row), rows))


def read(attached: Attached) -> Program:
    """Return what the layers of a model compute, read off the modules that stand in it now.

    Raises:
        UserError: where the driver does not compute it, and the library's own forward would be wrong.
    """
    encoder = attached.model.roberta
    structure = attached.structure
    try:
        if len(encoder.invertible_adapters) or len(encoder.prompt_tuning.prompt_tunings):
            raise UnsupportedError("modules at the embeddings")
        if len(encoder.prefix_tuning.prefix_tunings):
            raise UnsupportedError("prefix tuning")
        if attached.backbone.config.hidden_act != "gelu":
            raise UnsupportedError(f"the activation {attached.backbone.config.hidden_act}")
        if not isinstance(structure, Parallel):
            setup = attached.model.adapters_config.active_setup
            return Program(tuple(_layer(block, setup, None) for block in encoder.encoder.layer))
        kinds = {part.name: part.kind for part in attached.parts}
        branches = []
        for child in structure.children:
            setup, names = library_setup(child, kinds), peft_names(child, kinds)
            branches.append(Program(tuple(_layer(block, setup, names) for block in encoder.encoder.layer)))
        return Program((), "", tuple(branches), structure.sizes if isinstance(structure, BatchSplit) else None)
    except UnsupportedError as unsupported:
        if attached.own_path_only:
            raise UserError(
                f"{attached.requested}: {attached.own_path_only} cannot stand beside {unsupported}; "
                "score its modules in runs of their own."
            ) from None
        return Program((), str(unsupported))


def _layer(block: Any, setup: Any, loras: list[str] | None) -> Layer:
    """Read one layer, with the composition `setup` of the bottlenecks and these LoRAs (None: the active ones)."""
    attention = block.attention.self
    if len(block.reft_layer.refts):  # hooked to the layer, whose own forward does not run here
        raise UnsupportedError("ReFT")
    return Layer(
        query=linear_of(attention.query, loras),
        key=linear_of(attention.key, loras),
        value=linear_of(attention.value, loras),
        attention_output=linear_of(block.attention.output.dense, loras),
        intermediate=linear_of(block.intermediate.dense, loras),
        output=linear_of(block.output.dense, loras),
        after_attention=site_of(block.attention.output, setup),
        after_feed_forward=site_of(block.output, setup),
        heads=int(attention.num_attention_heads),
    )


def program_of(attached: Attached) -> Program:
    """Return the program of a model, read once and kept with it: its modules do not change, only their weights."""
    if attached.program is None:
        attached.program = read(attached)
    program: Program = attached.program
    return program


def path_of(attached: Attached) -> str:
    """Say in a word or two what runs this composition: "own" driver, or "library: " and why."""
    reason = program_of(attached).reason
    return f"library: {reason}" if reason else "own"


def encode(
    attached: Attached,
    input_ids: Tensor,
    mask: Tensor,
    layer: int | None = None,
    *,
    start: int = 0,
    hidden: Tensor | None = None,
    program: Program | None = None,
    packed: bool | None = None,
) -> Tensor:
    """Run the encoder with its composition.

    Args:
        attached: the backbone with its modules.
        input_ids: [rows, tokens], padded on the right with the tokenizer's pad id.
        mask: [rows, tokens], 1 at tokens and 0 at padding.
        layer: return the output of this many layers (0: the embeddings); None means all of them.
        start: the number of layers whose output `hidden` is; nothing below them runs.
        hidden: [rows, tokens, hidden], the output of the first `start` layers; None: begin at the embeddings.
        program: what to run, such as a folded program; None: the model's own.
        packed: whether rows stand one behind the other (see attention.py); None: where that is faster.

    Returns:
        Hidden states [rows, tokens, hidden] in the precision's stream type; those at padding mean nothing. Of a
        Parallel of n: [n x rows, tokens, hidden], child by child.

    Raises:
        UserError: when the rows are not as many as a BatchSplit splits.
    """
    program = program or program_of(attached)
    if program.reason:
        return encode_by_library(attached, input_ids, mask, layer, start=start, hidden=hidden)
    if program.branches:
        return _encode_branches(attached, input_ids, mask, layer, start, hidden, program, packed)
    dtype = attached.backbone.policy.stream_dtype
    layout = layout_of(mask, dtype, packed)
    if hidden is None:
        hidden = attached.model.roberta.embeddings(input_ids=input_ids)
    stream = layout.pack(hidden.to(dtype))
    for one in program.layers[start:layer]:
        stream = one(stream, layout)
    return layout.unpack(stream)


def _encode_branches(
    attached: Attached,
    input_ids: Tensor,
    mask: Tensor,
    layer: int | None,
    start: int,
    hidden: Tensor | None,
    program: Program,
    packed: bool | None,
) -> Tensor:
    depth = min(program.shared, attached.backbone.layers if layer is None else layer)
    if start < depth or hidden is None:
        first = program.branches[0]
        hidden = encode(attached, input_ids, mask, depth, start=start, hidden=hidden, program=first, packed=packed)
        start = depth
    sizes = program.sizes or (len(mask),)
    if program.sizes and sum(sizes) != len(mask):
        raise UserError(f"{attached.requested} splits {sum(sizes)} rows, and the batch has {len(mask)}.")
    parts = list(zip(input_ids.split(sizes), mask.split(sizes), hidden.split(sizes), strict=True))
    parts = parts if program.sizes else parts * len(program.branches)
    outputs = [
        encode(attached, ids, rows, layer, start=start, hidden=states, program=branch, packed=packed)
        for branch, (ids, rows, states) in zip(program.branches, parts, strict=True)
    ]
    return torch.cat(outputs)


def encode_by_library(
    attached: Attached,
    input_ids: Tensor,
    mask: Tensor,
    layer: int | None = None,
    *,
    start: int = 0,
    hidden: Tensor | None = None,
) -> Tensor:
    """Run the layers' own forward, padded, as the libraries do; arguments and result as those of `encode`."""
    from adapters.context import ForwardContext

    encoder: Any = attached.model.roberta
    dtype = attached.backbone.policy.stream_dtype
    with attached.backbone.policy.autocast(input_ids.device), ForwardContext(encoder, input_ids, attention_mask=mask):
        if hidden is None:
            hidden = encoder.embeddings(input_ids=input_ids)
        bias = None
        if not bool(mask.all()):
            rows, tokens = mask.shape
            bias = torch.zeros(rows, 1, 1, tokens, dtype=hidden.dtype, device=mask.device)
            bias.masked_fill_(mask[:, None, None, :] == 0, torch.finfo(hidden.dtype).min)
            bias = bias.expand(rows, 1, tokens, tokens)
        for block in encoder.encoder.layer[start:layer]:
            hidden = block(hidden, bias)[0]
    result: Tensor = hidden.to(dtype)
    return result
