"""What bottleneck, LoRA and the grouped product share: beside + scale x (f(x D' + d) U' + u), fused.

A program takes a block of tokens. Forward, it reads them once, keeps the hidden activation f(x D' + d) in registers and
writes the output. Backward, it computes that activation again rather than reading it from memory; the gradients of the
weights are then products over all tokens, which other programs take in parts that are added up in a fixed order, so
that a gradient is the same each time. Products are of the stream's type, sums fp32.
"""

from typing import Any

import torch
from torch import Tensor

from adapterxfer.kernels import launch
from adapterxfer.kernels.low_rank_kernels import backward, forward, over_tokens

ROWS = 32  # tokens of a tile where modules take turns
_BLOCKS = 256  # programs that fill a large card twice over


def _sizes(x: Tensor, rank: int, grouped: bool) -> dict[str, Any]:
    """Return what a launch needs to know of sizes: enough programs to fill a card, blocks that fit into registers."""
    padded = launch.power(rank)
    rows = 64 if x.shape[0] >= 64 * _BLOCKS and padded < 256 else ROWS
    return {
        "ROWS": ROWS if grouped else rows,
        "COLUMNS": 64 if x.dtype != torch.float32 else 32 if padded < 256 else 16,  # what fits into shared memory
        "RANK": padded,
        "PRODUCT": launch.product_type(x),
        "GROUPED": grouped,
        "num_warps": 8 if padded >= 128 else 4,
    }


class LowRank(torch.autograd.Function):
    """beside + scale x (f(x D' + d) U' + u) for a stream x [tokens, inputs]; a reference stands beside each use."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        down: Tensor,
        down_bias: Tensor | None,
        up: Tensor,
        up_bias: Tensor | None,
        beside: Tensor | None,
        scale: float,
        activation: str,
        groups: Any,
        in_place: bool,
    ) -> Tensor:
        """Return the stream [tokens, outputs].

        Args:
            ctx: of torch.
            x: [tokens, inputs].
            down: [rank, inputs]; with groups [modules, rank, inputs], as one more dimension leads all weights there.
            down_bias: [rank], or None.
            up: [outputs, rank].
            up_bias: [outputs], or None.
            beside: [tokens, outputs], or None.
            scale: of what is added to it.
            activation: relu, gelu, swish, tanh or none.
            groups: which token is whose (grouped.py), or None.
            in_place: whether the output replaces `beside`.
        """
        x = launch.by_rows(x)
        ctx.types = [None if weight is None else weight.dtype for weight in (down, down_bias, up, up_bias)]
        given = (down, down_bias, up, up_bias)
        low = [None if weight is None else weight.detach().to(x.dtype).contiguous() for weight in given]
        outputs = up.shape[-2]
        if in_place:
            assert beside is not None
            ctx.mark_dirty(beside)
            out = beside
        else:
            beside = None if beside is None else launch.by_rows(beside)
            out = torch.empty(x.shape[0], outputs, dtype=x.dtype, device=x.device)
        ctx.save_for_backward(x, *low)
        ctx.scale, ctx.activation, ctx.groups = scale, activation, groups
        if len(x):
            ctx.sizes = _sizes(x, down.shape[-2], groups is not None)
            with launch.on(x):
                forward[(_tiles(x, ctx),)](
                    *(x, *low, beside, out, groups and groups.tiles),
                    *(x.shape[0], x.shape[1], outputs, down.shape[-2], scale),
                    *(x.stride(0), 0 if beside is None else beside.stride(0), out.stride(0)),
                    ACTIVATION=activation,
                    DOWN_BIAS=down_bias is not None,
                    UP_BIAS=up_bias is not None,
                    BESIDE=beside is not None,
                    **ctx.sizes,
                )
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        """Return the gradients of x, the weights and `beside`; what needs none gets None."""
        x, down, down_bias, up, up_bias = ctx.saved_tensors
        of_beside = gradients[0] if ctx.needs_input_grad[5] else None
        gradient = launch.by_rows(gradients[0])
        weights = any(ctx.needs_input_grad[1:5])
        of_x = torch.empty(x.shape, dtype=x.dtype, device=x.device) if ctx.needs_input_grad[0] else None
        found: list[Tensor | None] = [None] * 4
        if not len(x):
            zeros = [None if weight is None else torch.zeros_like(weight) for weight in (down, down_bias, up, up_bias)]
            found = [zero if needed else None for zero, needed in zip(zeros, ctx.needs_input_grad[1:5], strict=True)]
        elif weights or of_x is not None:
            rank, outputs, groups = down.shape[-2], up.shape[-2], ctx.groups
            hidden, of_low = (
                torch.empty(x.shape[0], rank, dtype=x.dtype, device=x.device) if weights else None for _ in range(2)
            )
            with launch.on(x):
                backward[(_tiles(x, ctx),)](
                    *(x, gradient, down, down_bias, up, of_x, hidden, of_low, groups and groups.tiles),
                    *(x.shape[0], x.shape[1], outputs, rank, ctx.scale, x.stride(0), gradient.stride(0)),
                    ACTIVATION=ctx.activation,
                    DOWN_BIAS=down_bias is not None,
                    OF_X=of_x is not None,
                    OF_WEIGHTS=weights,
                    **ctx.sizes,
                )
                if weights:
                    assert hidden is not None
                    assert of_low is not None
                    of_up, of_up_bias = _weight_gradient(gradient, hidden, ctx, ctx.scale, up_bias is not None)
                    of_down, _ = _weight_gradient(x, of_low, ctx, 1.0, False)
                    found = [of_down.transpose(-1, -2), None, of_up, of_up_bias]
                    if down_bias is not None:
                        found[1] = _sums(of_low, groups)
        typed = [
            one.to(dtype) if one is not None and needed else None
            for one, dtype, needed in zip(found, ctx.types, ctx.needs_input_grad[1:5], strict=True)
        ]
        return of_x, *typed, of_beside, None, None, None, None


def _tiles(x: Tensor, ctx: Any) -> int:
    return len(ctx.groups.tiles) if ctx.groups is not None else -(-x.shape[0] // ctx.sizes["ROWS"])


def _weight_gradient(
    left: Tensor, right: Tensor, ctx: Any, scale: float, with_sums: bool
) -> tuple[Tensor, Tensor | None]:
    """Return scale x left' right, [size, rank] in fp32 for each module, and left's sums over the tokens."""
    groups, size, rank = ctx.groups, left.shape[1], right.shape[1]
    modules = 1 if groups is None else len(groups.sizes)
    sizes = ctx.sizes | {"ROWS": 32}
    blocks = -(-size // sizes["COLUMNS"])
    parts = max(1, min(-(-_BLOCKS // (blocks * modules)), -(-len(left) // (8 * sizes["ROWS"]))))
    out = torch.empty(modules, parts, size, rank, dtype=torch.float32, device=left.device)
    sums = torch.empty(modules, parts, size, dtype=torch.float32, device=left.device) if with_sums else None
    over_tokens[(modules * parts, blocks)](
        *(left, right, out, sums, groups and groups.starts),
        *(len(left), size, rank, parts, scale, left.stride(0)),
        LEFT_SUMS=with_sums,
        **sizes,
    )
    total, summed = out.sum(1), None if sums is None else sums.sum(1)
    if groups is None:
        return total[0], None if summed is None else summed[0]
    return total, summed


def _sums(values: Tensor, groups: Any) -> Tensor:
    """Return the sums over the tokens [rank] in fp32, for each module where there are groups."""
    if groups is None:
        return values.sum(0, dtype=torch.float32)
    return torch.stack([part.sum(0, dtype=torch.float32) for part in values.split(groups.sizes)])
