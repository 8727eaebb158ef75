"""AdapterFusion's attention (Pfeiffer et al. 2021): per token, a softmax over the modules, and what it mixes."""

from typing import Any

import torch
from torch import Tensor, nn

from adapterxfer.kernels import launch
from adapterxfer.kernels.launch import constexpr, jit

if launch.AVAILABLE:
    import triton
    import triton.language as tl

_MOST_MODULES = 32
_ELEMENTS = 8192  # of a block [rows, modules, columns], which 256 threads hold in registers


def mixture(inputs: Tensor, probe: Tensor, offset: Tensor, dropout: nn.Module | None = None) -> Tensor:
    """Return sum_k w_k inputs_k with w = softmax(dropout(inputs_k . probe + offset)), per token, in the inputs' type.

    Args:
        inputs: what the modules gave, [tokens, modules, hidden].
        probe: what is asked of it, [tokens, hidden]: the query with the key map already applied to it.
        offset: [tokens], the same for every module: the softmax does not see it, so the kernel leaves it out.
        dropout: on the scores.
    """
    drops = isinstance(dropout, nn.Dropout) and dropout.training and dropout.p > 0
    if not drops and inputs.shape[1] <= _MOST_MODULES and launch.takes(probe, inputs):
        mixed: Tensor = _Mixture.apply(inputs, probe, offset)
        return mixed
    return reference(inputs, probe, offset, dropout)


def reference(inputs: Tensor, probe: Tensor, offset: Tensor, dropout: nn.Module | None = None) -> Tensor:
    """Return what `mixture` returns, by plain PyTorch."""
    scores = (inputs @ probe[..., None]).squeeze(-1) + offset[:, None]
    if dropout is not None:
        scores = dropout(scores)
    weights = torch.softmax(scores.float(), -1).to(inputs.dtype)
    return (weights[:, None] @ inputs).squeeze(1)


@jit
def _mix(
    inputs,
    probe,
    mixed,
    weights,
    tokens,
    modules,
    hidden,
    token_stride,
    module_stride,
    probe_stride,
    ROWS: constexpr,
    MODULES: constexpr,
    COLUMNS: constexpr,
):
    rows = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    numbers = tl.arange(0, MODULES)
    inside = rows < tokens
    there = inside[:, None] & (numbers < modules)[None, :]
    bases = inputs + rows[:, None] * token_stride + numbers[None, :] * module_stride
    scores = tl.zeros((ROWS, MODULES), tl.float32)
    for first in range(0, hidden, COLUMNS):
        columns = first + tl.arange(0, COLUMNS)
        held = columns < hidden
        part = tl.load(
            bases[:, :, None] + columns[None, None, :], mask=there[:, :, None] & held[None, None, :], other=0
        )
        place = probe + rows[:, None] * probe_stride + columns[None, :]
        asked = tl.load(place, mask=inside[:, None] & held[None, :], other=0).to(tl.float32)
        scores += tl.sum(part.to(tl.float32) * asked[:, None, :], 2)
    scores = tl.where((numbers < modules)[None, :], scores, float("-inf"))
    powers = tl.exp(scores - tl.max(scores, 1)[:, None])
    share = powers / tl.sum(powers, 1)[:, None]
    tl.store(weights + rows[:, None] * modules + numbers[None, :], share, mask=there)
    for first in range(0, hidden, COLUMNS):
        columns = first + tl.arange(0, COLUMNS)
        held = columns < hidden
        part = tl.load(
            bases[:, :, None] + columns[None, None, :], mask=there[:, :, None] & held[None, None, :], other=0
        )
        result = tl.sum(part.to(tl.float32) * share[:, :, None], 1)
        place = mixed + rows[:, None] * hidden + columns[None, :]
        tl.store(place, result.to(mixed.dtype.element_ty), mask=inside[:, None] & held[None, :])


@jit
def _unmix(
    inputs,
    probe,
    weights,
    gradient,
    of_inputs,
    of_probe,
    tokens,
    modules,
    hidden,
    token_stride,
    module_stride,
    probe_stride,
    gradient_stride,
    ROWS: constexpr,
    MODULES: constexpr,
    COLUMNS: constexpr,
):
    rows = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    numbers = tl.arange(0, MODULES)
    inside = rows < tokens
    there = inside[:, None] & (numbers < modules)[None, :]
    bases = inputs + rows[:, None] * token_stride + numbers[None, :] * module_stride
    share = tl.load(weights + rows[:, None] * modules + numbers[None, :], mask=there, other=0.0)
    of_share = tl.zeros((ROWS, MODULES), tl.float32)
    for first in range(0, hidden, COLUMNS):
        columns = first + tl.arange(0, COLUMNS)
        held = columns < hidden
        part = tl.load(
            bases[:, :, None] + columns[None, None, :], mask=there[:, :, None] & held[None, None, :], other=0
        )
        place = gradient + rows[:, None] * gradient_stride + columns[None, :]
        back = tl.load(place, mask=inside[:, None] & held[None, :], other=0).to(tl.float32)
        of_share += tl.sum(part.to(tl.float32) * back[:, None, :], 2)
    of_scores = share * (of_share - tl.sum(share * of_share, 1)[:, None])
    for first in range(0, hidden, COLUMNS):
        columns = first + tl.arange(0, COLUMNS)
        held = columns < hidden
        one = inside[:, None] & held[None, :]
        every = there[:, :, None] & held[None, None, :]
        part = tl.load(bases[:, :, None] + columns[None, None, :], mask=every, other=0).to(tl.float32)
        asked = tl.load(probe + rows[:, None] * probe_stride + columns[None, :], mask=one, other=0).to(tl.float32)
        back = tl.load(gradient + rows[:, None] * gradient_stride + columns[None, :], mask=one, other=0)
        result = tl.sum(part * of_scores[:, :, None], 1)
        place = of_probe + rows[:, None] * hidden + columns[None, :]
        tl.store(place, result.to(of_probe.dtype.element_ty), mask=one)
        result = share[:, :, None] * back.to(tl.float32)[:, None, :] + of_scores[:, :, None] * asked[:, None, :]
        place = of_inputs + (rows[:, None, None] * modules + numbers[None, :, None]) * hidden + columns[None, None, :]
        tl.store(place, result.to(of_inputs.dtype.element_ty), mask=every)


class _Mixture(torch.autograd.Function):
    """`reference`, with the weights [tokens, modules] kept for the backward pass, and nothing wider."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, probe: Tensor, offset: Tensor) -> Tensor:
        inputs, probe = inputs if inputs.stride(-1) == 1 else inputs.contiguous(), launch.by_rows(probe)
        tokens, modules, hidden = inputs.shape
        mixed = torch.empty(tokens, hidden, dtype=inputs.dtype, device=inputs.device)
        weights = torch.empty(tokens, modules, dtype=torch.float32, device=inputs.device)
        ctx.blocks = _blocks(modules, hidden)
        ctx.save_for_backward(inputs, probe, offset, weights)
        if tokens:
            with launch.on(inputs):
                _mix[(triton.cdiv(tokens, ctx.blocks["ROWS"]),)](
                    *(inputs, probe, mixed, weights, tokens, modules, hidden),
                    *(inputs.stride(0), inputs.stride(1), probe.stride(0)),
                    **ctx.blocks,
                )
        return mixed

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        inputs, probe, offset, weights = ctx.saved_tensors
        tokens, modules, hidden = inputs.shape
        gradient = launch.by_rows(gradients[0])
        of_inputs = torch.empty(inputs.shape, dtype=inputs.dtype, device=inputs.device)
        of_probe = torch.empty(probe.shape, dtype=probe.dtype, device=probe.device)
        if tokens:
            with launch.on(inputs):
                _unmix[(triton.cdiv(tokens, ctx.blocks["ROWS"]),)](
                    *(inputs, probe, weights, gradient, of_inputs, of_probe, tokens, modules, hidden),
                    *(inputs.stride(0), inputs.stride(1), probe.stride(0), gradient.stride(0)),
                    **ctx.blocks,
                )
        return of_inputs, of_probe, torch.zeros_like(offset)


def _blocks(modules: int, hidden: int) -> dict[str, int]:
    columns = min(128, launch.power(hidden))
    padded = launch.power(modules, least=1)
    return {"ROWS": max(1, _ELEMENTS // (columns * padded)), "MODULES": padded, "COLUMNS": columns, "num_warps": 8}
