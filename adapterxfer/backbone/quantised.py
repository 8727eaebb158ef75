"""Frozen linear maps whose weights bitsandbytes holds in 8 or 4 bits.

The weights alone are quantised. Each product unpacks them into the type of its input, and again in the backward pass,
so that nothing but the codes is kept in memory. The classes are those of bitsandbytes, on which `peft` knows to put a
LoRA, with a forward pass of our own; theirs does not suit a model that is frozen, shared and evaluated between updates:

- the int8 one rounds activations to 8 bits as well, on most paths: a product's error was four times ours, and on a CPU
  it took four times as long;
- the 4-bit one, on a CPU with bf16 instructions, repacks its weights in place at the first product without gradients,
  and from then on passes no gradient to what is below (bitsandbytes 0.50.2);
- the 4-bit one, on a CPU, is wrong for inputs that are no multiple of 64;
- both change their bias in place to the type of whatever comes in.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import bitsandbytes
import torch
from bitsandbytes.nn import Int8Params, Linear4bit, Linear8bitLt, Params4bit
from torch import Tensor, nn
from torch.nn import functional

_BLOCK = 64  # weights that share a scale at nf4, as in QLoRA (Dettmers et al. 2023)


@dataclass(frozen=True)
class Quantised:
    """One weight [outputs, inputs]; any number of models share it.

    Attributes:
        codes: int8 [outputs, inputs], or uint8 with two nf4 codes each.
        scales: fp32, the largest weight of each output (int8) or of each block of 64 weights (nf4).
        state: what bitsandbytes says of the nf4 codes; None for int8.
    """

    codes: Tensor
    scales: Tensor
    state: Any = None

    @property
    def nbytes(self) -> int:
        """The memory it takes."""
        return self.codes.nbytes + self.scales.nbytes

    def linear(self) -> nn.Module:
        """Return a new linear map over these very tensors; its bias has no memory until one is loaded."""
        return Int8Linear(self.codes, self.scales) if self.state is None else Nf4Linear(self.codes, self.state)


def quantise(weight: Tensor, precision: str) -> Quantised:
    """Quantise a weight [outputs, inputs] on the device where it is; `precision` is "int8" or "nf4"."""
    if precision == "int8":
        # the kernels take fp16, whose rounding is a tenth of the step between two codes
        codes, scales, _ = bitsandbytes.functional.int8_vectorwise_quant(weight.half())
        return Quantised(codes, scales)
    # the scales could be quantised once more, which saves 0.4 bits a weight and unpacks more slowly
    codes, state = bitsandbytes.functional.quantize_4bit(
        weight.float().contiguous(), blocksize=_BLOCK, compress_statistics=False, quant_type="nf4"
    )
    return Quantised(codes, state.absmax, state)


class _Product(torch.autograd.Function):
    """x W' + b for a frozen W that is unpacked anew each time."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, bias: Tensor, unpack: Callable[[torch.dtype], Tensor]) -> Tensor:
        ctx.unpack = unpack
        return functional.linear(x, unpack(x.dtype), bias)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return gradients[0] @ ctx.unpack(gradients[0].dtype), None, None


def _product(x: Tensor, bias: Tensor, unpack: Callable[[torch.dtype], Tensor]) -> Tensor:
    """Compute in the type of autocast where it is on, as a plain linear map would, else in that of x."""
    if torch.is_autocast_enabled(x.device.type):
        x = x.to(torch.get_autocast_dtype(x.device.type))
    product: Tensor = _Product.apply(x, bias.to(x.dtype), unpack)
    return product


class Int8Linear(Linear8bitLt):
    """A frozen linear map with 8-bit weights and a scale for each output."""

    def __init__(self, codes: Tensor, scales: Tensor) -> None:
        super().__init__(codes.shape[1], codes.shape[0], has_fp16_weights=False, device="meta")
        self.weight = Int8Params(codes, requires_grad=False, has_fp16_weights=False, SCB=scales)  # `peft` reads SCB
        self.register_buffer("scales", scales, persistent=False)

    def unpacked(self, dtype: torch.dtype) -> Tensor:
        """Return the weight [outputs, inputs] in a type; it is rounded once, from fp32."""
        weight = torch.empty(self.weight.shape, dtype=dtype, device=self.weight.device)
        return torch.mul(self.weight.data, (self.scales / 127)[:, None], out=weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map [..., inputs] to [..., outputs]."""
        return _product(x, self.bias, self.unpacked)


class Nf4Linear(Linear4bit):
    """A frozen linear map with 4-bit weights (NormalFloat) and a scale for every 64 of them."""

    def __init__(self, codes: Tensor, state: Any) -> None:
        outputs, inputs = state.shape
        super().__init__(inputs, outputs, compress_statistics=False, quant_type="nf4", device="meta")
        self.quant_state = copy.copy(state)  # moving a model to another device changes it in place
        self.weight = Params4bit(
            codes,
            requires_grad=False,
            quant_state=self.quant_state,
            blocksize=_BLOCK,
            compress_statistics=False,
            quant_type="nf4",
            module=self,
            bnb_quantized=True,
        )

    def unpacked(self, dtype: torch.dtype) -> Tensor:
        """Return the weight [outputs, inputs] in a type; it is rounded once, from fp32."""
        state = self.quant_state
        count = state.shape.numel()
        # The CPU kernel begins a new block at each row, which is wrong for rows that are no multiple of a block: it is
        # told of rows that are one (bitsandbytes 0.50.2).
        rows = (count // _BLOCK, _BLOCK) if count % _BLOCK == 0 else (1, count)
        weight: Tensor = torch.ops.bitsandbytes.dequantize_4bit(
            self.weight.data, state.absmax, _BLOCK, state.quant_type, rows, dtype
        )
        return weight.view(state.shape)

    def forward(self, x: Tensor) -> Tensor:
        """Map [..., inputs] to [..., outputs]."""
        return _product(x, self.bias, self.unpacked)
