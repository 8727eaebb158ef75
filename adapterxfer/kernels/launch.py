"""When the Triton kernels run, and what all their launches share.

They run on CUDA where Triton is installed and can compile for the card, unless ADAPTERXFER_KERNELS=0 is set. Triton is
not even imported on a machine without a GPU, except under its interpreter (TRITON_INTERPRET=1), with which the tests
run the kernels on a CPU.
"""

import contextlib
import functools
import importlib.util
import os
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

SWITCH = "ADAPTERXFER_KERNELS"
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
AVAILABLE = importlib.util.find_spec("triton") is not None and (INTERPRETED or torch.cuda.is_available())
LARGEST_RANK = 256  # the widest hidden activation that a block of tokens keeps in registers

_TYPES = (torch.float32, torch.bfloat16, torch.float16)

if AVAILABLE:
    import triton
    import triton.language as tl

    jit: Callable[[Any], Any] = triton.jit
    constexpr: Any = tl.constexpr
else:
    constexpr = Any

    def jit(kernel: Any) -> Any:
        """Leave a kernel as it is: it is never launched here."""
        return kernel


def takes(x: Tensor, *others: Tensor | None) -> bool:
    """Whether the kernels compute this: on this device, for a stream [tokens, size] and these other inputs."""
    if not AVAILABLE or not (x.is_cuda or INTERPRETED) or os.environ.get(SWITCH) == "0":
        return False
    if x.dim() != 2 or x.dtype not in _TYPES or any(other is not None and other.dtype != x.dtype for other in others):
        return False
    return INTERPRETED or _compiles(x.device, x.dtype)


@functools.cache
def _compiles(device: torch.device, dtype: torch.dtype) -> bool:
    """Try one small kernel: a machine may lack a C compiler, and a card the type."""
    numbers = torch.arange(4, device=device).to(dtype)
    doubled = torch.zeros_like(numbers)
    try:
        with on(numbers):
            _double[(1,)](numbers, doubled, 4, 16)
        return bool((doubled == 2 * numbers).all())
    except Exception as failed:  # whatever Triton raises: the plain path gives the same numbers
        sys.stderr.write(f"Triton does not run here ({type(failed).__name__}); plain PyTorch computes the modules.\n")
        return False


@jit
def _double(numbers, doubled, count, BLOCK: constexpr):
    places = tl.arange(0, BLOCK)
    held = places < count
    twice = 2 * tl.load(numbers + places, mask=held).to(tl.float32)
    tl.store(doubled + places, twice.to(doubled.dtype.element_ty), mask=held)


def on(x: Tensor) -> contextlib.AbstractContextManager[Any]:
    """Return the context in which kernels are launched on the device of `x`."""
    return torch.cuda.device(x.device) if x.is_cuda else contextlib.nullcontext()


def by_rows(x: Tensor) -> Tensor:
    """Return a matrix whose rows are contiguous, the same one where they are: rows may stand apart, columns not."""
    return x if x.stride(-1) == 1 and x.stride(0) >= x.shape[-1] else x.contiguous()


def power(size: int, least: int = 16) -> int:
    """Return the smallest power of two that holds `size`, and no less than what Triton's products take."""
    return max(least, 1 << (size - 1).bit_length())


def product_type(x: Tensor) -> Any:
    """Return the type of a product's factors, which are summed in fp32.

    It is that of the stream; Triton's interpreter would multiply the bits of bfloat16 as whole numbers, so there it is
    fp32.
    """
    if INTERPRETED and x.dtype == torch.bfloat16:
        return tl.float32
    return {torch.float32: tl.float32, torch.bfloat16: tl.bfloat16, torch.float16: tl.float16}[x.dtype]
