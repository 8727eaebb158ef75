"""Several models in one pass: their rows share the frozen maps' products, each goes through its own modules.

The models stand on one backbone, so that a frozen weight is read once for all of them. The rows of each keep together
in the stream, and what belongs to one model, LoRA or bottleneck, sees its own rows only. Gradients are those of
separate passes, which tests hold per parameter.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from adapterxfer import kernels
from adapterxfer.engine.attention import Layout, layout_of
from adapterxfer.engine.encoder import Layer, encode, program_of
from adapterxfer.engine.linears import Linear, Update
from adapterxfer.engine.sites import Bottleneck, Norm, Site, State
from adapterxfer.kernels import Groups
from adapterxfer.kernels.bottleneck import activation_of
from adapterxfer.modules.attach import Attached


@dataclass(frozen=True)
class Pass:
    """What one model is to read: as the arguments of `encode`, which see."""

    attached: Attached
    input_ids: Tensor
    mask: Tensor
    start: int = 0
    hidden: Tensor | None = None

    @property
    def joins(self) -> bool:
        """Whether the driver can run it together with others: it computes every layer and draws no dropout.

        Random numbers would be drawn in another order than by a model alone.
        """
        model = self.attached.model
        drops = any(isinstance(one, nn.Dropout) and one.training and one.p > 0 for one in model.modules())
        return bool(program_of(self.attached).layers) and not drops


def encode_together(passes: Sequence[Pass]) -> list[Tensor]:
    """Return the hidden states [rows, tokens, hidden] of each model's rows, at its own width.

    They run as one pass where they can and where it costs no padding: on a GPU always, on a CPU when their rows are
    equally wide. Else they run one after the other.
    """
    first = passes[0]
    packed = first.input_ids.device.type == "cuda"
    widths = {one.input_ids.shape[1] for one in passes}
    same = all(one.attached.backbone is first.attached.backbone and one.start == first.start for one in passes)
    if len(passes) == 1 or not same or not (packed or len(widths) == 1) or not all(one.joins for one in passes):
        return [encode(one.attached, one.input_ids, one.mask, start=one.start, hidden=one.hidden) for one in passes]
    return _joined(passes, max(widths), packed)


def _joined(passes: Sequence[Pass], width: int, packed: bool) -> list[Tensor]:
    dtype = passes[0].attached.backbone.policy.stream_dtype
    mask = torch.cat([functional.pad(one.mask, (0, width - one.mask.shape[1])) for one in passes])
    layout = layout_of(mask, dtype, packed)
    hidden = []
    for one in passes:
        states = one.attached.model.roberta.embeddings(input_ids=one.input_ids) if one.hidden is None else one.hidden
        hidden.append(functional.pad(states.to(dtype), (0, 0, 0, width - states.shape[1])))
    cuts = [int(one.mask.sum()) if packed else len(one.mask) * width for one in passes]
    stream = layout.pack(torch.cat(hidden))
    programs = [program_of(one.attached).layers[one.start :] for one in passes]
    groups = Groups.of(cuts, stream.device)
    for layers in zip(*programs, strict=True):
        stream = _layer(layers, stream, layout, groups)
    rows = layout.unpack(stream).split([len(one.mask) for one in passes])
    return [states[:, : one.mask.shape[1]] for states, one in zip(rows, passes, strict=True)]


def _layer(layers: Sequence[Layer], stream: Tensor, layout: Layout, groups: Groups) -> Tensor:
    """Do what `Layer.__call__` does, for the same layer of several models."""

    def linear(name: str, x: Tensor) -> Tensor:
        return _linear([getattr(layer, name) for layer in layers], x, groups)

    mixed = layout.attend(linear("query", stream), linear("key", stream), linear("value", stream), layers[0].heads)
    attended = _site([layer.after_attention for layer in layers], linear("attention_output", mixed), stream, groups)
    wide = functional.gelu(linear("intermediate", attended))
    return _site([layer.after_feed_forward for layer in layers], linear("output", wide), attended, groups)


def _linear(maps: Sequence[Linear], x: Tensor, groups: Groups) -> Tensor:
    product = maps[0].plain(x)
    if not any(one.updates for one in maps):
        return product
    alone = [one.updates[0] for one in maps if len(one.updates) == 1]
    firsts = [update for update in alone if isinstance(update, Update) and update.magnitude is None]
    if len(firsts) == len(maps) and len({(one.down.shape, one.scale) for one in firsts}) == 1:
        downs, ups = [one.down for one in firsts], [one.up for one in firsts]
        return kernels.grouped(x, product, groups, downs, ups, firsts[0].scale)
    parts = zip(maps, x.split(groups.sizes), product.split(groups.sizes), strict=True)
    return torch.cat([one.updated(own, plain) for one, own, plain in parts])


def _site(sites: Sequence[Site], x: Tensor, residual: Tensor, groups: Groups) -> Tensor:
    if not any(site.steps for site in sites):
        return sites[0](x, residual)
    alike = [site.steps[0] for site in sites if len(site.steps) == 1 and isinstance(site.steps[0], Bottleneck)]
    if len(alike) == len(sites) and len({_build(one) for one in alike}) == 1:
        return _bottlenecks(alike, x, residual, sites[0].norm, groups)
    parts = zip(sites, x.split(groups.sizes), residual.split(groups.sizes), strict=True)
    return torch.cat([site(own, beside) for site, own, beside in parts])


def _bottlenecks(steps: Sequence[Bottleneck], x: Tensor, residual: Tensor, norm: Norm, groups: Groups) -> Tensor:
    """Do what a site with one bottleneck does, for several of one build: only the two small products are their own."""
    first = steps[0]
    state, _ = first.before(State(x, residual), residual, norm)
    pairs = [(step.module.adapter_down[0], step.module.adapter_up) for step in steps]
    output = kernels.grouped(
        state.hidden,
        None if first.parallel else state.beside,
        groups,
        [down.weight for down, _ in pairs],
        [up.weight for _, up in pairs],
        first.module.scaling,
        activation_of(first.module.adapter_down[1]) or "none",
        ([down.bias for down, _ in pairs], [up.bias for _, up in pairs]),
    )
    return first.after(output, x, residual, norm)


def _build(step: Bottleneck) -> tuple[Any, ...]:
    """Return what must be equal for two bottlenecks to run together; what cannot be is unlike anything."""
    module = step.module
    activation = activation_of(module.adapter_down[1])
    places = (module.original_ln_before, module.residual_before_ln, module.original_ln_after, module.scaling)
    shape = module.adapter_down[0].weight.shape
    return (type(module).__name__, *places, shape, activation if activation is not None else id(step))
