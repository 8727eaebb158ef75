"""The modules of several models in one launch: tokens stand sorted by module, each slice goes through its own pair."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from adapterxfer.kernels import launch
from adapterxfer.kernels.low_rank import ROWS, LowRank

_FUNCTIONS = {
    "none": lambda x: x,
    "relu": functional.relu,
    "gelu": functional.gelu,
    "swish": functional.silu,
    "tanh": torch.tanh,
}


@dataclass(frozen=True)
class Groups:
    """Which tokens are whose: the first `sizes[0]` are module 0's, and so on. Made once a batch, used by every layer.

    Attributes:
        sizes: tokens of each module; 0 is one, too.
        starts: int32 [modules + 1], the first token of each, and the number of all.
        tiles: int32 [tiles, 3], a block of tokens of one module: its number, the first token, the module's last + 1.
    """

    sizes: tuple[int, ...]
    starts: Tensor
    tiles: Tensor

    @classmethod
    def of(cls, sizes: Sequence[int], device: torch.device | str) -> "Groups":
        """Return the groups of these sizes on a device."""
        starts = [0, *itertools.accumulate(sizes)]
        tiles = [
            (module, first, starts[module + 1])
            for module in range(len(sizes))
            for first in range(starts[module], starts[module + 1], ROWS)
        ]
        return cls(
            tuple(sizes),
            torch.tensor(starts, dtype=torch.int32, device=device),
            torch.tensor(tiles, dtype=torch.int32, device=device).view(-1, 3),
        )


def grouped(
    x: Tensor,
    beside: Tensor | None,
    groups: Groups,
    downs: Sequence[Tensor],
    ups: Sequence[Tensor],
    scale: float = 1.0,
    activation: str = "none",
    biases: tuple[Sequence[Tensor], Sequence[Tensor]] | None = None,
) -> Tensor:
    """Return, for the tokens of each module, beside + scale x (f(x down' + down's bias) up' + up's bias).

    Args:
        x: the stream [tokens, inputs], sorted by module.
        beside: [tokens, outputs], or None.
        groups: whose tokens they are.
        downs: [rank, inputs] of each module; all of one shape.
        ups: [outputs, rank] of each module.
        scale: of what is added, the same for all.
        activation: relu, gelu, swish, tanh or none (a LoRA).
        biases: those of the down and of the up maps, or None.

    Raises:
        ValueError: when the sizes do not add up to the tokens.
    """
    if sum(groups.sizes) != len(x):
        raise ValueError(f"groups of {groups.sizes} tokens, but the stream has {len(x)}")
    if downs[0].shape[0] <= launch.LARGEST_RANK and launch.takes(x, beside):
        down_bias, up_bias = (torch.stack(list(each)) for each in biases) if biases else (None, None)
        joined: Tensor = LowRank.apply(
            *(x, torch.stack(list(downs)), down_bias, torch.stack(list(ups)), up_bias, beside),
            *(float(scale), activation, groups, False),
        )
        return joined
    return reference(x, beside, groups, downs, ups, scale, activation, biases)


def reference(
    x: Tensor,
    beside: Tensor | None,
    groups: Groups,
    downs: Sequence[Tensor],
    ups: Sequence[Tensor],
    scale: float = 1.0,
    activation: str = "none",
    biases: tuple[Sequence[Tensor], Sequence[Tensor]] | None = None,
) -> Tensor:
    """Return what `grouped` returns, by plain PyTorch: one module after the other."""
    results = []
    for module, own in enumerate(x.split(groups.sizes)):
        down_bias, up_bias = (each[module].to(x.dtype) for each in biases) if biases else (None, None)
        low = _FUNCTIONS[activation](functional.linear(own, downs[module].to(x.dtype), down_bias))
        results.append(functional.linear(low, ups[module].to(x.dtype), up_bias) * scale)
    output = torch.cat(results)
    return output if beside is None else output + beside
