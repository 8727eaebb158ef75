"""The precision policy: which frozen weight is stored how, and in what the forward pass computes.

Adapters, LoRA and heads are no business of this policy: they are fp32 at every precision.
"""

import contextlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapterxfer.errors import UserError

if TYPE_CHECKING:
    import torch

PRECISIONS = ("fp32", "bf16", "fp16")

# The linear maps of the layers, 54% of XLM-R Large and nearly all of its arithmetic. Embeddings and LayerNorms stay
# fp32: an embedding is looked up and not multiplied, so a low precision would gain memory only, and lose accuracy.
_LINEAR = re.compile(
    r"encoder\.layer\.\d+\.(attention\.self\.(query|key|value)|attention\.output\.dense|intermediate\.dense"
    r"|output\.dense)\.(weight|bias)$"
)


@dataclass(frozen=True)
class Policy:
    """How the frozen encoder is stored and run. `precision` is one of `PRECISIONS`."""

    precision: str

    @property
    def _low(self) -> "torch.dtype | None":
        import torch

        return {"bf16": torch.bfloat16, "fp16": torch.float16}.get(self.precision)

    @property
    def scaled(self) -> bool:
        """Whether training needs loss scaling: only fp16, whose gradients underflow."""
        return self.precision == "fp16"

    def storage_dtype(self, parameter: str) -> "torch.dtype":
        """Return the type in which a weight of `XLMRobertaModel` is kept, by its name in the state dict."""
        import torch

        return self._low if self._low is not None and _LINEAR.match(parameter) else torch.float32

    def autocast(self, device: "torch.device | str") -> contextlib.AbstractContextManager[None]:
        """Return the context in which the encoder must run.

        Autocast leaves the frozen weights alone, as they are stored in its type already; it casts activations, and
        the fp32 master weights of whatever is trained.
        """
        import torch

        if self._low is None:
            return contextlib.nullcontext()
        return torch.autocast(torch.device(device).type, self._low)


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
    if torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported():
        return "bf16", "the CPU has bf16 instructions"
    return "fp32", "the CPU has no bf16 instructions"
