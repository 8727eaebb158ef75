"""Specs: what a fresh module looks like. `bottleneck(reduction=16)`, `lora(r=8, alpha=16, targets=(query, value))`.

The modules themselves come from the libraries: bottlenecks from `adapters`, LoRA from `peft`.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

from adapterxfer.errors import UserError

# Where each LoRA target stands in an XLM-R layer. Anchored at the layer, so that neither the projections of an
# AdapterFusion nor the pooler match (both carry names such as `query` and `dense`).
_LORA_TARGETS = {
    "query": r"attention\.self\.query",
    "key": r"attention\.self\.key",
    "value": r"attention\.self\.value",
    "attention_output": r"attention\.output\.dense",
    "intermediate": r"intermediate\.dense",
    "output": r"output\.dense",
}
_BOTTLENECK_KINDS = ("pfeiffer", "houlsby", "parallel")
_ACTIVATIONS = ("relu", "gelu", "swish", "tanh")


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return "(" + ", ".join(map(str, value)) + ")"
    return str(value)


@dataclass(frozen=True)
class Spec(ABC):
    """A fresh module, not trained yet. `top_layers` K puts it in the K uppermost layers only (AdapterDrop)."""

    word: ClassVar[str] = "spec"
    default_learning_rate: ClassVar[float] = 1e-4

    def __str__(self) -> str:
        """Return the spec as text that parses back to it; fields at their default are left out."""
        given = [f"{f.name}={_text(getattr(self, f.name))}" for f in fields(self) if getattr(self, f.name) != f.default]
        return f"{self.word}({', '.join(given)})"

    def with_top_layers(self, top_layers: int | None) -> "Spec":
        """Return the same spec in the `top_layers` uppermost layers."""
        return replace(self, top_layers=top_layers)  # type: ignore[call-arg]

    @abstractmethod
    def configuration(self, layers: int, hidden: int) -> Any:
        """Return its library's configuration for a backbone of `layers` layers and width `hidden`."""

    def left_out(self, layers: int) -> list[int]:
        """Return the indices of the layers (of `layers`) that get no module.

        Raises:
            UserError: when `top_layers` is more than the backbone has.
        """
        top: int | None = getattr(self, "top_layers", None)
        if top is None:
            return []
        if top > layers:
            raise UserError(f"{self}: top_layers={top}, but the backbone has {layers} layers.")
        return list(range(layers - top))


def _positive(spec: Spec, *names: str) -> None:
    for name in names:
        value = getattr(spec, name)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            raise UserError(f"{spec.word}: {name}={value} must be a whole number of at least 1.")


@dataclass(frozen=True)
class Bottleneck(Spec):
    """A bottleneck adapter: down-projection to hidden/reduction, activation, up-projection, residual.

    `kind` is pfeiffer (after the feed-forward block, Pfeiffer et al. 2021), houlsby (also after attention, Houlsby et
    al. 2019) or parallel (beside the feed-forward block, He et al. 2022).

    Raises:
        UserError: for a value outside these sets.
    """

    word: ClassVar[str] = "bottleneck"
    default_learning_rate: ClassVar[float] = 1e-3

    reduction: int = 16
    kind: str = "pfeiffer"
    activation: str = "relu"
    top_layers: int | None = None

    def __post_init__(self) -> None:
        _positive(self, "reduction", "top_layers")
        if self.kind not in _BOTTLENECK_KINDS:
            raise UserError(f"bottleneck: kind={self.kind} is not one of {', '.join(_BOTTLENECK_KINDS)}.")
        if self.activation not in _ACTIVATIONS:
            raise UserError(f"bottleneck: activation={self.activation} is not one of {', '.join(_ACTIVATIONS)}.")

    def configuration(self, layers: int, hidden: int) -> Any:
        """Return the `adapters` configuration for a backbone of `layers` layers and width `hidden`."""
        from adapters import DoubleSeqBnConfig, ParBnConfig, SeqBnConfig

        if self.reduction > hidden:
            raise UserError(f"{self}: reduction={self.reduction} leaves nothing of a hidden size of {hidden}.")
        classes = {"pfeiffer": SeqBnConfig, "houlsby": DoubleSeqBnConfig, "parallel": ParBnConfig}
        return classes[self.kind](
            reduction_factor=self.reduction, non_linearity=self.activation, leave_out=self.left_out(layers)
        )


@dataclass(frozen=True)
class Lora(Spec):
    """A low-rank update of linear layers: W x + (alpha / r) B A x (Hu et al. 2022), B zero at the start.

    `targets` are taken from query, key, value, attention_output, intermediate and output.

    Raises:
        UserError: for a value outside these sets.
    """

    word: ClassVar[str] = "lora"
    default_learning_rate: ClassVar[float] = 1e-3

    r: int = 8
    alpha: int = 16
    targets: tuple[str, ...] = ("query", "value")
    dropout: float = 0.0
    top_layers: int | None = None

    def __post_init__(self) -> None:
        if isinstance(self.targets, str):
            object.__setattr__(self, "targets", (self.targets,))
        object.__setattr__(self, "targets", tuple(self.targets))
        _positive(self, "r", "alpha", "top_layers")
        unknown = [target for target in self.targets if target not in _LORA_TARGETS]
        if unknown or not self.targets:
            raise UserError(f"lora: targets={_text(self.targets)} must be some of {', '.join(_LORA_TARGETS)}.")
        if not isinstance(self.dropout, int | float) or not 0 <= self.dropout < 1:
            raise UserError(f"lora: dropout={self.dropout} must be at least 0 and below 1.")

    def configuration(self, layers: int, hidden: int) -> Any:
        """Return the `peft` configuration for a backbone of `layers` layers and width `hidden`."""
        from peft import LoraConfig

        if self.r > hidden:
            raise UserError(f"{self}: a rank of {self.r} is more than the hidden size of {hidden}.")
        kept = "|".join(str(i) for i in range(layers) if i not in set(self.left_out(layers)))
        targets = "|".join(_LORA_TARGETS[target] for target in self.targets)
        return LoraConfig(
            r=self.r,
            lora_alpha=self.alpha,
            lora_dropout=self.dropout,
            target_modules=rf"(.*\.)?encoder\.layer\.({kept})\.({targets})",
        )


def bottleneck(
    reduction: int = 16, kind: str = "pfeiffer", activation: str = "relu", top_layers: int | None = None
) -> Bottleneck:
    """Specify a bottleneck adapter; see `Bottleneck`."""
    return Bottleneck(reduction, kind, activation, top_layers)


def lora(
    r: int = 8,
    alpha: int = 16,
    targets: tuple[str, ...] = ("query", "value"),
    dropout: float = 0.0,
    top_layers: int | None = None,
) -> Lora:
    """Specify a LoRA; see `Lora`."""
    return Lora(r, alpha, targets, dropout, top_layers)


SPECS: dict[str, type[Spec]] = {Bottleneck.word: Bottleneck, Lora.word: Lora}
