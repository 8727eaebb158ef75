"""The encoder driver: our own loop over the layers of the model that `adapters` and `peft` prepared.

`read` looks at the model once and writes down what each layer computes; `encode` runs that over a stream of tokens in
one type, the precision's, without padding work, masks where nothing is padded, dropout in the frozen part, or a pooler.
What it cannot compute runs through the library's own padded forward (`encode_by_library`); `path_of` says which. Tests
hold the two together, per token and per gradient.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from adapterxfer.engine.attention import Layout, layout_of
from adapterxfer.engine.linears import Linear, UnsupportedError, linear_of
from adapterxfer.engine.sites import Site, site_of
from adapterxfer.modules.attach import Attached

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


@dataclass(frozen=True)
class Program:
    """What the encoder computes, layer by layer; `reason` says why there is none, where the library must run."""

    layers: tuple[Layer, ...]
    reason: str = ""

    def folded(self) -> "Program":
        """Return the same program for inference, as the weights are now."""
        return Program(tuple(layer.folded() for layer in self.layers), self.reason)


def read(attached: Attached) -> Program:
    """Return what the layers of a model compute, read off the modules that stand in it now."""
    encoder = attached.model.roberta
    try:
        if len(encoder.invertible_adapters) or len(encoder.prompt_tuning.prompt_tunings):
            raise UnsupportedError("modules at the embeddings")
        if attached.backbone.config.hidden_act != "gelu":
            raise UnsupportedError(f"the activation {attached.backbone.config.hidden_act}")
        return Program(tuple(_layer(block) for block in encoder.encoder.layer))
    except UnsupportedError as unsupported:
        return Program((), str(unsupported))


def _layer(block: Any) -> Layer:
    attention = block.attention.self
    if attention.prefix_tuning.prefixes:
        raise UnsupportedError("prefix tuning")
    if len(block.reft_layer.refts):  # hooked to the layer, whose own forward does not run here
        raise UnsupportedError("ReFT")
    return Layer(
        query=linear_of(attention.query),
        key=linear_of(attention.key),
        value=linear_of(attention.value),
        attention_output=linear_of(block.attention.output.dense),
        intermediate=linear_of(block.intermediate.dense),
        output=linear_of(block.output.dense),
        after_attention=site_of(block.attention.output),
        after_feed_forward=site_of(block.output),
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
        Hidden states [rows, tokens, hidden] in the precision's stream type; those at padding mean nothing.
    """
    program = program or program_of(attached)
    if program.reason:
        return encode_by_library(attached, input_ids, mask, layer, start=start, hidden=hidden)
    dtype = attached.backbone.policy.stream_dtype
    layout = layout_of(mask, dtype, packed)
    if hidden is None:
        hidden = attached.model.roberta.embeddings(input_ids=input_ids)
    stream = layout.pack(hidden.to(dtype))
    for one in program.layers[start:layer]:
        stream = one(stream, layout)
    return layout.unpack(stream)


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
