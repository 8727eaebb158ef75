"""Specs: what a fresh module looks like. `bottleneck(reduction=16)`, `lora(r=8, alpha=16, targets=(query, value))`.

The modules themselves come from the libraries: bottlenecks, compacters and prefixes from `adapters`, LoRA and (IA)3
from `peft`.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

from adapterxfer.errors import UserError

# Where each linear map stands in an XLM-R layer. Anchored at the layer, so that neither the projections of an
# AdapterFusion nor the pooler match (both carry names such as `query` and `dense`).
LINEAR_MAPS = {
    "query": r"attention\.self\.query",
    "key": r"attention\.self\.key",
    "value": r"attention\.self\.value",
    "attention_output": r"attention\.output\.dense",
    "intermediate": r"intermediate\.dense",
    "output": r"output\.dense",
}
_IA3_MAPS = ("key", "value", "output")
_BOTTLENECK_KINDS = ("pfeiffer", "houlsby", "parallel")
_ACTIVATIONS = ("relu", "gelu", "swish", "tanh")


def value_text(value: Any) -> str:
    """Return the value of an option as text that parses back to it."""
    if isinstance(value, tuple):
        return "(" + ", ".join(map(value_text, value)) + ("," if len(value) == 1 else "") + ")"
    return str(value)


@dataclass(frozen=True)
class Spec(ABC):
    """A fresh module, not trained yet. `top_layers` K puts it in the K uppermost layers only (AdapterDrop)."""

    word: ClassVar[str] = "spec"
    kind_of_file: ClassVar[str] = "bottleneck"  # which library format it is kept in: bottleneck, prefix, lora or ia3
    default_learning_rate: ClassVar[float] = 1e-4

    def __str__(self) -> str:
        """Return the spec as text that parses back to it; fields at their default are left out."""
        given = [
            f"{f.name}={value_text(getattr(self, f.name))}" for f in fields(self) if getattr(self, f.name) != f.default
        ]
        return f"{self.word}({', '.join(given)})"

    def with_top_layers(self, top_layers: int | None) -> "Spec":
        """Return the same spec in the `top_layers` uppermost layers."""
        return replace(self, top_layers=top_layers)  # type: ignore[call-arg]

    @property
    def form(self) -> str:
        """Which of `nesting.FORMS` it is: what may be composed with what hangs on it."""
        return self.word

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

    def _pattern(self, layers: int, maps: tuple[str, ...]) -> str:
        """Return the regular expression of these linear maps in the layers that get a module."""
        left_out = set(self.left_out(layers))
        kept = "|".join(str(layer) for layer in range(layers) if layer not in left_out)
        return rf"(.*\.)?encoder\.layer\.({kept})\.({'|'.join(LINEAR_MAPS[name] for name in maps)})"


def _truth(spec: Spec, *names: str) -> None:
    for name in names:
        if not isinstance(getattr(spec, name), bool):
            raise UserError(f"{spec.word}: {name}={getattr(spec, name)} must be True or False.")


def _positive(spec: Spec, *names: str) -> None:
    for name in names:
        value = getattr(spec, name)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            raise UserError(f"{spec.word}: {name}={value} must be a whole number of at least 1.")


@dataclass(frozen=True)
class Bottleneck(Spec):
    """A bottleneck adapter: down-projection to hidden/reduction, activation, up-projection, residual.

    `kind` is pfeiffer (after the feed-forward block, Pfeiffer et al. 2021), houlsby (also after attention, Houlsby et
    al. 2019) or parallel (beside the feed-forward block, He et al. 2022). `invertible` adds a coupling layer at the
    embeddings, as language adapters have it (MAD-X, Pfeiffer et al. 2020).

    Raises:
        UserError: for a value outside these sets.
    """

    word: ClassVar[str] = "bottleneck"
    default_learning_rate: ClassVar[float] = 1e-3

    reduction: int = 16
    kind: str = "pfeiffer"
    activation: str = "relu"
    invertible: bool = False
    top_layers: int | None = None

    def __post_init__(self) -> None:
        _positive(self, "reduction", "top_layers")
        _truth(self, "invertible")
        if self.kind not in _BOTTLENECK_KINDS:
            raise UserError(f"bottleneck: kind={self.kind} is not one of {', '.join(_BOTTLENECK_KINDS)}.")
        if self.invertible and self.kind == "parallel":
            raise UserError("bottleneck: a parallel one has no invertible part; write kind=pfeiffer or kind=houlsby.")
        if self.activation not in _ACTIVATIONS:
            raise UserError(f"bottleneck: activation={self.activation} is not one of {', '.join(_ACTIVATIONS)}.")

    @property
    def form(self) -> str:
        """Its kind, or invertible."""
        return "invertible" if self.invertible else self.kind

    def configuration(self, layers: int, hidden: int) -> Any:
        """Return the `adapters` configuration for a backbone of `layers` layers and width `hidden`."""
        from adapters import DoubleSeqBnConfig, ParBnConfig, SeqBnConfig

        if self.reduction > hidden:
            raise UserError(f"{self}: reduction={self.reduction} leaves nothing of a hidden size of {hidden}.")
        classes = {"pfeiffer": SeqBnConfig, "houlsby": DoubleSeqBnConfig, "parallel": ParBnConfig}
        return classes[self.kind](
            reduction_factor=self.reduction,
            non_linearity=self.activation,
            leave_out=self.left_out(layers),
            inv_adapter="nice" if self.invertible else None,
            inv_adapter_reduction_factor=2 if self.invertible else None,
        )


@dataclass(frozen=True)
class Compacter(Spec):
    """A Houlsby bottleneck whose maps are sums of `terms` Kronecker products (Karimi Mahabadi et al. 2021).

    Raises:
        UserError: for a value outside what there is.
    """

    word: ClassVar[str] = "compacter"
    default_learning_rate: ClassVar[float] = 1e-3

    reduction: int = 16
    terms: int = 4
    top_layers: int | None = None

    def __post_init__(self) -> None:
        _positive(self, "reduction", "terms", "top_layers")

    def configuration(self, layers: int, hidden: int) -> Any:
        """Return the `adapters` configuration for a backbone of `layers` layers and width `hidden`."""
        from adapters import CompacterConfig

        if hidden % self.terms or (hidden // self.reduction) % self.terms or self.reduction > hidden:
            raise UserError(
                f"{self}: terms={self.terms} must divide the hidden size {hidden} and the inner one, "
                f"{hidden} / {self.reduction}; choose other terms or another reduction."
            )
        return CompacterConfig(reduction_factor=self.reduction, phm_dim=self.terms, leave_out=self.left_out(layers))


@dataclass(frozen=True)
class Prefix(Spec):
    """`length` learned key and value vectors before those of the text, in each layer (Li and Liang 2021).

    Raises:
        UserError: for a value outside what there is.
    """

    word: ClassVar[str] = "prefix"
    kind_of_file: ClassVar[str] = "prefix"
    default_learning_rate: ClassVar[float] = 1e-3

    length: int = 30
    bottleneck: int = 512
    top_layers: int | None = None

    def __post_init__(self) -> None:
        _positive(self, "length", "bottleneck", "top_layers")

    def configuration(self, layers: int, hidden: int) -> Any:
        """Return the `adapters` configuration for a backbone of `layers` layers and width `hidden`."""
        from adapters import PrefixTuningConfig

        return PrefixTuningConfig(
            prefix_length=self.length, bottleneck_size=self.bottleneck, leave_out=self.left_out(layers)
        )


@dataclass(frozen=True)
class Ia3(Spec):
    """(IA)3: learned factors on keys, values and the feed-forward block's inner states (Liu et al. 2022)."""

    word: ClassVar[str] = "ia3"
    kind_of_file: ClassVar[str] = "ia3"
    default_learning_rate: ClassVar[float] = 3e-3

    top_layers: int | None = None

    def __post_init__(self) -> None:
        _positive(self, "top_layers")

    def configuration(self, layers: int, hidden: int) -> Any:
        """Return the `peft` configuration for a backbone of `layers` layers."""
        from peft import IA3Config

        return IA3Config(
            target_modules=self._pattern(layers, _IA3_MAPS), feedforward_modules=self._pattern(layers, ("output",))
        )


@dataclass(frozen=True)
class Lora(Spec):
    """A low-rank update of linear layers: W x + (alpha / r) B A x (Hu et al. 2022), B zero at the start.

    `targets` are taken from query, key, value, attention_output, intermediate and output. `rslora` scales by
    alpha / sqrt(r) instead (Kalajdzievski 2023); `dora` learns the length of each row of the weights apart from its
    direction (Liu et al. 2024).

    Raises:
        UserError: for a value outside these sets.
    """

    word: ClassVar[str] = "lora"
    kind_of_file: ClassVar[str] = "lora"
    default_learning_rate: ClassVar[float] = 1e-3

    r: int = 8
    alpha: int = 16
    targets: tuple[str, ...] = ("query", "value")
    dropout: float = 0.0
    dora: bool = False
    rslora: bool = False
    top_layers: int | None = None

    def __post_init__(self) -> None:
        if isinstance(self.targets, str):
            object.__setattr__(self, "targets", (self.targets,))
        object.__setattr__(self, "targets", tuple(self.targets))
        _positive(self, "r", "alpha", "top_layers")
        _truth(self, "dora", "rslora")
        unknown = [target for target in self.targets if target not in LINEAR_MAPS]
        if unknown or not self.targets:
            raise UserError(f"lora: targets={value_text(self.targets)} must be some of {', '.join(LINEAR_MAPS)}.")
        if not isinstance(self.dropout, int | float) or not 0 <= self.dropout < 1:
            raise UserError(f"lora: dropout={self.dropout} must be at least 0 and below 1.")

    @property
    def form(self) -> str:
        """Lora or dora."""
        return "dora" if self.dora else "lora"

    def configuration(self, layers: int, hidden: int) -> Any:
        """Return the `peft` configuration for a backbone of `layers` layers and width `hidden`."""
        from peft import LoraConfig

        if self.r > hidden:
            raise UserError(f"{self}: a rank of {self.r} is more than the hidden size of {hidden}.")
        return LoraConfig(
            r=self.r,
            lora_alpha=self.alpha,
            lora_dropout=self.dropout,
            use_dora=self.dora,
            use_rslora=self.rslora,
            target_modules=self._pattern(layers, self.targets),
        )


def bottleneck(
    reduction: int = 16,
    kind: str = "pfeiffer",
    activation: str = "relu",
    invertible: bool = False,
    top_layers: int | None = None,
) -> Bottleneck:
    """Specify a bottleneck adapter; see `Bottleneck`."""
    return Bottleneck(reduction, kind, activation, invertible, top_layers)


def compacter(reduction: int = 16, terms: int = 4, top_layers: int | None = None) -> Compacter:
    """Specify a compacter; see `Compacter`."""
    return Compacter(reduction, terms, top_layers)


def prefix(length: int = 30, bottleneck: int = 512, top_layers: int | None = None) -> Prefix:
    """Specify a prefix; see `Prefix`."""
    return Prefix(length, bottleneck, top_layers)


def lora(
    r: int = 8,
    alpha: int = 16,
    targets: tuple[str, ...] = ("query", "value"),
    dropout: float = 0.0,
    dora: bool = False,
    rslora: bool = False,
    top_layers: int | None = None,
) -> Lora:
    """Specify a LoRA; see `Lora`."""
    return Lora(r, alpha, targets, dropout, dora, rslora, top_layers)


def ia3(top_layers: int | None = None) -> Ia3:
    """Specify an (IA)3; see `Ia3`."""
    return Ia3(top_layers)


SPECS: dict[str, type[Spec]] = {spec.word: spec for spec in (Bottleneck, Compacter, Prefix, Lora, Ia3)}
