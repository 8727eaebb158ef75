"""A frozen linear map with the LoRA modules that stand on it, in the stream's type; read off the model once."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from adapterxfer import kernels
from adapterxfer.kernels import lora


class UnsupportedError(Exception):
    """The model holds something that this driver does not compute; the library's own forward runs instead."""


@dataclass(frozen=True)
class Update:
    """One LoRA on a linear map: `scale` x up(down(dropout(x))), and the magnitudes where it is a DoRA."""

    down: Tensor
    up: Tensor
    scale: float
    dropout: nn.Module
    magnitude: Tensor | None

    def product(self, x: Tensor) -> Tensor:
        """Return scale x up(down(x)); the fp32 weights are used in the type of `x`."""
        return lora.product(self.dropout(x), self.down, self.up, self.scale)

    def add_to(self, result: Tensor, x: Tensor) -> Tensor:
        """Return result + product(x); on a GPU it may stand in the place of `result`."""
        return kernels.add_lora(result, self.dropout(x), self.down, self.up, self.scale)

    def rescaling(self, weight: Tensor) -> Tensor:
        """Return, for a DoRA, the magnitudes over the norms of the rows of the updated `weight`.

        The norm is a constant to the gradient (Liu et al. 2024, arXiv 2402.09353, section 4.3).
        """
        assert self.magnitude is not None
        with torch.no_grad():
            norm = torch.linalg.norm(weight.float() + self.scale * (self.up.float() @ self.down.float()), dim=1)
        return self.magnitude / norm


@dataclass(frozen=True)
class Mixture:
    """A LoRA Fuse on a linear map: what its gate (modules/lora_fusion.py) makes of the updates of its LoRAs."""

    updates: tuple[Update, ...]
    gate: Any
    magnitude: None = None

    def product(self, x: Tensor) -> Tensor:
        """Return the mixture of the updates of a stream."""
        mixed: Tensor = self.gate(x, *self._factors())
        return mixed

    def delta(self) -> Tensor | None:
        """Return the mixture as one update of the weights; None where it differs by token."""
        delta: Tensor | None = self.gate.delta(*self._factors())
        return delta

    def _factors(self) -> tuple[list[Tensor], list[Tensor]]:
        return [update.down for update in self.updates], [update.up * update.scale for update in self.updates]


@dataclass(frozen=True)
class Linear:
    """`base` is the frozen map (a bitsandbytes one where it is quantised), `updates` its active LoRAs in order.

    A LoRA Fuse comes after them: it adds to what they give.
    """

    base: Any
    updates: tuple[Update | Mixture, ...] = field(default=())

    def __call__(self, x: Tensor) -> Tensor:
        """Return the map of a stream [tokens, inputs], [tokens, outputs] in the type of `x`."""
        return self.updated(x, self.plain(x))

    def plain(self, x: Tensor) -> Tensor:
        """Return what the frozen map alone makes of a stream."""
        if is_quantised(self.base):
            product: Tensor = self.base(x)
            return product.to(x.dtype)
        return functional.linear(x, self.base.weight, self.base.bias)

    def updated(self, x: Tensor, result: Tensor) -> Tensor:
        """Return `result`, which is `plain(x)`, with what the LoRAs add."""
        for update in self.updates:
            if isinstance(update, Mixture):
                result = result + update.product(x)
            elif update.magnitude is None:
                result = update.add_to(result, x)
            else:
                ratio = update.rescaling(self.base.weight).to(x.dtype)
                unbiased = result if self.base.bias is None else result - self.base.bias
                result = result + (ratio - 1) * unbiased + ratio * update.product(x)
        return result

    def folded(self) -> "Linear":
        """Return the same map as one matrix, for inference; a quantised one stays as it is."""
        if not self.updates or is_quantised(self.base):
            return self
        with torch.no_grad():
            weight = self.base.weight.float()
            left: list[Update | Mixture] = []
            for update in self.updates:
                if isinstance(update, Mixture):
                    mixed = update.delta()
                    weight, left = (weight, [*left, update]) if mixed is None else (weight + mixed, left)
                    continue
                delta = update.scale * (update.up.float() @ update.down.float())
                if update.magnitude is None:
                    weight = weight + delta
                else:
                    weight = update.rescaling(self.base.weight)[:, None] * (weight + delta)
        return Linear(_Matrix(weight.to(self.base.weight.dtype), self.base.bias), tuple(left))


@dataclass(frozen=True)
class _Matrix:
    weight: Tensor
    bias: Tensor | None


def is_quantised(module: Any) -> bool:
    """Whether a linear map is one of bitsandbytes', or of a class made of it."""
    return any(kind.__name__ in ("Linear8bitLt", "Linear4bit") for kind in type(module).__mro__)


def linear_of(module: Any, names: list[str] | None = None) -> Linear:
    """Read a linear map of the model, as `adapters` and `peft` left it, with these LoRAs; None: with the active ones.

    Raises:
        UnsupportedError: when something stands there that is neither a linear map nor a LoRA or DoRA on one.
    """
    if not hasattr(module, "base_layer"):
        return Linear(_base(module))
    # (IA)3, VeRA and others of `peft` carry the same class name, but no lora_A
    known = type(module).__name__ in ("Linear", "Linear8bitLt", "Linear4bit") and hasattr(module, "lora_A")
    if not known or module.merged or module.disable_adapters:
        raise UnsupportedError(f"{type(module).__module__}.{type(module).__name__} on a linear map")
    gates = getattr(module, "delta_fusion", {}).values()
    mixtures = [Mixture(tuple(_updates(module, gate.names)), gate) for gate in gates]
    active = module.active_adapters if names is None else names
    return Linear(_base(module.base_layer), (*_updates(module, active), *mixtures))


def _base(module: Any) -> Any:
    own = getattr(module, "loras", None)
    if not (isinstance(module, nn.Linear) or is_quantised(module)) or (own is not None and len(own)):
        raise UnsupportedError(f"{type(module).__name__} for a linear map")
    return module


def _updates(module: Any, names: Iterable[str]) -> Iterable[Update]:
    for name in names:
        if name not in module.lora_A:
            continue
        variant = module.lora_variant.get(name)
        dora = variant is not None and type(variant).__name__ == "DoraLinearVariant"
        dropout = module.lora_dropout[name]
        dropped = not isinstance(dropout, nn.Identity)
        unusual = (variant is not None and not dora) or module.lora_bias.get(name)
        if unusual or (dora and (dropped or is_quantised(module.base_layer))):
            raise UnsupportedError("a variant of LoRA")
        yield Update(
            module.lora_A[name].weight,
            module.lora_B[name].weight,
            float(module.scaling[name]),
            dropout,
            module.lora_magnitude_vector[name].weight if dora else None,
        )
