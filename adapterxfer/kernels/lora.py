"""LoRA's update of a linear map's output (Hu et al. 2022): y + scale x up(down(x)), in y's own place."""

from torch import Tensor
from torch.nn import functional

from adapterxfer.kernels import launch
from adapterxfer.kernels.low_rank import LowRank


def add_lora(y: Tensor, x: Tensor, down: Tensor, up: Tensor, scale: float) -> Tensor:
    """Return y + scale x (x down') up'; the kernel overwrites `y` where it can, so nobody may need it any more.

    Args:
        y: the linear map's output [tokens, outputs].
        x: its input [tokens, inputs], of the same type.
        down: [rank, inputs], fp32 master weights as a rule.
        up: [outputs, rank].
        scale: of the update.
    """
    if down.shape[0] <= launch.LARGEST_RANK and launch.takes(x, y):
        # torch lets nobody write into a part of a split tensor
        in_place = y._base is None and not (y.is_leaf and y.requires_grad) and y.stride(-1) == 1
        updated: Tensor = LowRank.apply(x, down, None, up, None, y, float(scale), "none", None, in_place)
        return updated
    return y + product(x, down, up, scale)


def product(x: Tensor, down: Tensor, up: Tensor, scale: float) -> Tensor:
    """Return scale x (x down') up' by plain PyTorch; the fp32 weights are used in the type of `x`."""
    low = functional.linear(x, down.to(x.dtype))
    return functional.linear(low, (up * scale).to(x.dtype))
