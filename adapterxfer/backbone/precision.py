"""The precision policy: which frozen weight is stored how, and in what each part of the model computes.

`components` is the one place that says it; the properties of `Policy` read it, `docs/precision.md` shows it, and a test
holds every cell of it to a model that trains.
"""

import contextlib
import functools
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapterxfer.errors import UserError

if TYPE_CHECKING:
    import torch

PRECISIONS = ("fp32", "bf16", "fp16", "int8", "nf4")
_WORTH_IT = 1.4  # bf16 must be so many times as fast as fp32: it is less exact, and machines have quiet moments
QUANTISED = ("int8", "nf4")  # offered for small cards, never what "auto" stands for

# The linear maps of the layers, 54% of XLM-R Large and nearly all of its arithmetic. Embeddings and LayerNorms stay
# fp32: an embedding is looked up and not multiplied, so a low precision would gain memory only, and lose accuracy.
_LINEAR = re.compile(
    r"encoder\.layer\.\d+\.(attention\.self\.(query|key|value)|attention\.output\.dense|intermediate\.dense"
    r"|output\.dense)\.(weight|bias)$"
)
_TORCH = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16", "int8": "int8", "nf4": "uint8"}

_WEIGHTS, _BIASES, _STREAM, _SCALED = "frozen linear weights", "frozen linear biases", "residual stream", "loss scaling"


def components(precision: str, low: str) -> dict[str, str]:
    """Return the type of every component of a model at a precision.

    Args:
        precision: one of `PRECISIONS`.
        low: what the quantised precisions compute in, which depends on the machine: bf16, fp16 or fp32.
    """
    quantised = precision in QUANTISED
    stream = low if quantised else precision
    return {
        _WEIGHTS: precision,
        "scales of quantised weights": "fp32" if quantised else "-",
        _BIASES: stream,
        "frozen linear products": stream,
        "embeddings": "fp32",
        "LayerNorm weights": "fp32",
        "LayerNorm arithmetic": "fp32",
        _STREAM: stream,
        "attention": stream,
        "adapter, LoRA and fusion weights": "fp32",
        "adapter, LoRA and fusion products": stream,
        "adapter, LoRA and fusion gradients": "fp32",
        "activation gradients": stream,
        "heads": "fp32",
        "loss": "fp32",
        "optimiser state": "fp32",
        _SCALED: "yes" if stream == "fp16" else "no",
    }


@dataclass(frozen=True)
class Policy:
    """How the model is stored and run: a function of `precision`, one of `PRECISIONS`, and of this machine."""

    precision: str

    @property
    def components(self) -> dict[str, str]:
        """The type of every component on this machine."""
        return components(self.precision, best_precision()[0] if self.quantised else self.precision)

    @property
    def quantised(self) -> bool:
        """Whether bitsandbytes holds the frozen linear weights."""
        return self.precision in QUANTISED

    @property
    def stream_dtype(self) -> "torch.dtype":
        """The type of the hidden states between and inside the layers."""
        return _dtype(self.components[_STREAM])

    @property
    def scaled(self) -> bool:
        """Whether training needs loss scaling: only where gradients are fp16, which underflow."""
        return self.components[_SCALED] == "yes"

    def quantises(self, parameter: str) -> bool:
        """Whether a weight of `XLMRobertaModel`, by its name in the state dict, is held by bitsandbytes."""
        return self.quantised and _LINEAR.match(parameter) is not None and parameter.endswith(".weight")

    def storage_dtype(self, parameter: str) -> "torch.dtype":
        """Return the type in which a weight of `XLMRobertaModel` is kept, by its name in the state dict.

        For nf4 that is uint8, each holding two weights.
        """
        if _LINEAR.match(parameter) is None:
            return _dtype(self.components["embeddings"])
        return _dtype(self.components[_WEIGHTS if parameter.endswith(".weight") else _BIASES])

    def autocast(self, device: "torch.device | str") -> contextlib.AbstractContextManager[None]:
        """Return the context in which the libraries' own forward must run.

        Autocast leaves the frozen weights alone, as they are stored in its type already, or quantised; it casts
        activations, and the fp32 master weights of whatever is trained.
        """
        import torch

        if self.stream_dtype == torch.float32:
            return contextlib.nullcontext()
        return torch.autocast(torch.device(device).type, self.stream_dtype)


def policy_of(precision: str) -> Policy:
    """Return the policy of a precision; "auto" is what suits this machine.

    Raises:
        UserError: when the precision is unknown.
    """
    if precision == "auto":
        return Policy(best_precision()[0])
    if precision not in PRECISIONS:
        raise UserError(f"unknown precision {precision!r}: it is one of auto, {', '.join(PRECISIONS)}.")
    return Policy(precision)


def best_precision() -> tuple[str, str]:
    """Return the precision "auto" stands for on this machine, and the reason as a phrase."""
    import torch

    if torch.cuda.is_available():
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bf16", "the GPU computes in bf16"
        return "fp16", "the GPU has no bf16; fp16 is trained with loss scaling"
    # torch has no public question for one instruction set; a test calls this, so that a change is seen.
    if not (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()):
        return "fp32", "the CPU has no bf16 instructions"
    ratio = _bf16_speed()
    if ratio < _WORTH_IT:
        return "fp32", f"the CPU has bf16 instructions, but multiplies at {ratio:.1f} times the speed of fp32 with them"
    return "bf16", f"the CPU multiplies in bf16 at {ratio:.1f} times the speed of fp32"


@functools.cache
def _bf16_speed() -> float:
    """Return how many times as fast as fp32 this CPU multiplies matrices of a layer's size in bf16.

    Instructions do not tell: without AMX, Intel's are slower than its fp32 ones, and AMD's are twice as fast.
    """
    import torch

    best: dict[torch.dtype, float] = {}
    operands = {dtype: torch.ones(512, 768, dtype=dtype) for dtype in (torch.float32, torch.bfloat16)}
    for _ in range(15):  # in turn, so that whatever else the machine does meets both
        for dtype, operand in operands.items():
            started = time.perf_counter()
            torch.nn.functional.linear(operand, operand)
            best[dtype] = min(best.get(dtype, float("inf")), time.perf_counter() - started)
    return best[torch.float32] / best[torch.bfloat16]


def _dtype(word: str) -> "torch.dtype":
    import torch

    dtype: torch.dtype = getattr(torch, _TORCH[word])
    return dtype
