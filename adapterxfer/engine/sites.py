"""The two places of a layer where bottlenecks stand: after attention, and after the feed-forward block.

At a site come together x, the output of the block's last linear map, and r, the residual beside it. Without modules
the layer goes on with norm(x + r). What a bottleneck does to them follows the `adapters` library, whose configurations
name these choices; tests hold each to the library's forward, per token, with its gradients.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from adapterxfer import kernels
from adapterxfer.engine.linears import UnsupportedError
from adapterxfer.kernels.bottleneck import linear

Norm = Callable[[Tensor], Tensor]


def norm_of(module: nn.LayerNorm) -> Norm:
    """Return a LayerNorm as a function of a stream of any type; it computes in fp32 and keeps the stream's type."""
    weight, bias, shape, eps = module.weight, module.bias, module.normalized_shape, module.eps

    def norm(x: Tensor) -> Tensor:
        if x.dtype == weight.dtype or (x.device.type == "cpu" and x.dtype == torch.bfloat16):  # a kernel of mixed types
            return functional.layer_norm(x, shape, weight, bias, eps)
        return functional.layer_norm(x.float(), shape, weight, bias, eps).to(x.dtype)

    return norm


@dataclass(frozen=True)
class State:
    """What passes from one module of a site to the next: the library's hidden states, residuals and last module."""

    hidden: Tensor
    beside: Tensor  # the residual that the next module adds
    last: Any = None


@dataclass(frozen=True)
class Bottleneck:
    """One bottleneck of `adapters`: up(activation(down(x))) x scaling, and its residual unless it is parallel."""

    module: Any

    def __post_init__(self) -> None:
        module = self.module
        normed = module.add_layer_norm_before or module.add_layer_norm_after
        if module.use_gating or normed or not isinstance(module.scaling, float):
            raise UnsupportedError("a bottleneck with gates, norms or learned scaling")
        down = [type(part) for part in module.adapter_down]
        plain = len(down) == 2 and down[0] is nn.Linear and isinstance(module.adapter_up, nn.Linear)
        if not plain or hasattr(module, "DropPath"):
            raise UnsupportedError("a bottleneck of another build")

    @property
    def parallel(self) -> bool:
        """Whether it reads what its block reads, rather than what the block gives."""
        return type(self.module).__name__ == "ParallelAdapter"

    def before(self, state: State, residual: Tensor, norm: Norm, fusion: Any = None) -> tuple[State, Tensor | None]:
        """Return the module's input and residual, and the query of a fusion with this configuration."""
        module = self.module
        if self.parallel:
            return State(residual, residual, state.last), residual if fusion is not None else None
        hidden = state.hidden
        beside = hidden
        query = hidden if fusion is not None and fusion["query_before_ln"] else None
        if module.original_ln_before:
            hidden = hidden + residual
            if module.residual_before_ln == "post_add":
                beside = hidden
            hidden = norm(hidden)
        if not module.residual_before_ln:
            beside = hidden
        if fusion is not None and not fusion["query_before_ln"]:
            query = hidden
        return State(hidden, beside, state.last), query

    def apply(self, state: State) -> State:
        """Return the module's output."""
        output = self._output(state.hidden, None if self.parallel else state.beside, self.module.dropout)
        return State(output, state.beside, self)

    def up(self, state: State) -> Tensor:
        """Return the module's output without its residual: what a fusion mixes."""
        return self._output(state.hidden, None, None)

    def _output(self, hidden: Tensor, beside: Tensor | None, dropout: nn.Module | None) -> Tensor:
        module = self.module
        down, activation = module.adapter_down
        return kernels.bottleneck(hidden, beside, down, activation, module.adapter_up, module.scaling, dropout)

    def after(self, hidden: Tensor, x: Tensor, residual: Tensor, norm: Norm) -> Tensor:
        """Return the site's output: what the library does with the last module's."""
        if self.parallel:
            hidden = hidden + x
        return norm(hidden + residual) if self.module.original_ln_after else hidden


@dataclass(frozen=True)
class Fusion:
    """AdapterFusion (Pfeiffer et al. 2021): per token, attention of the layer's state over the modules' outputs."""

    module: Any
    children: tuple[Bottleneck, ...]

    def __post_init__(self) -> None:
        config = self.module.config
        if not (config["query"] and config["key"] and config["value"]) or not config["value_before_softmax"]:
            raise UnsupportedError("a fusion of another build")
        if config["residual_before"] or config["temperature"]:
            raise UnsupportedError("a fusion of another build")

    def run(self, state: State, residual: Tensor, norm: Norm) -> State:
        """Return the mixture of the children's outputs, which all read the same state."""
        fusion, last = self.module, self.children[-1]
        shared, query = last.before(state, residual, norm, fusion.config)
        assert query is not None
        inputs = torch.stack([child.up(shared) for child in self.children], 1)  # [tokens, modules, hidden]
        # q (K u + b) = (q K) u + q b: one product a token instead of one per module
        asked = linear(fusion.query, query)
        probe, offset = (asked @ part.to(asked.dtype) for part in (fusion.key.weight, fusion.key.bias))
        mixed = kernels.mixture(inputs, probe, offset, fusion.dropout)
        # the value map is linear and has no bias: mixing first needs one product instead of one per module
        return State(linear(fusion.value, mixed) + shared.beside, shared.beside, last)


@dataclass(frozen=True)
class Average:
    """The weighted mean of bottlenecks that read the same state; `absent` is the share of those that are not here.

    One that is not here adds nothing, so its share of the mean is the state itself.
    """

    children: tuple[Bottleneck, ...]
    shares: tuple[float, ...]
    absent: float

    def __post_init__(self) -> None:
        modules = [child.module for child in self.children]
        if len({(child.parallel, child.module.original_ln_after) for child in self.children}) > 1:
            raise UnsupportedError("an average of bottlenecks of several builds")
        if self.absent and any(module.residual_before_ln is not True for module in modules):
            raise UnsupportedError("an average over layers of bottlenecks of another build")

    def run(self, state: State, residual: Tensor, norm: Norm) -> State:
        """Return the mean of the children's outputs."""
        last = self.children[-1]
        mean = state.hidden * self.absent if self.absent and not last.parallel else None
        for child, share in zip(self.children, self.shares, strict=True):
            part = child.apply(child.before(state, residual, norm)[0]).hidden * share
            mean = part if mean is None else mean + part
        assert mean is not None
        return State(mean, state.beside, last)


@dataclass(frozen=True)
class Site:
    """The modules of one site in their order, and the layer's norm."""

    norm: Norm
    steps: tuple[Bottleneck | Fusion | Average, ...] = field(default=())

    def __call__(self, x: Tensor, residual: Tensor) -> Tensor:
        """Return what the layer goes on with; x, residual and output are streams [tokens, hidden]."""
        if not self.steps:
            return self.norm(x + residual)
        state = State(x, residual)
        for step in self.steps:
            if isinstance(step, Fusion | Average):
                state = step.run(state, residual, self.norm)
            else:
                state = step.apply(step.before(state, residual, self.norm)[0])
        return state.last.after(state.hidden, x, residual, self.norm)


def site_of(layer: Any, setup: Any) -> Site:
    """Read a site of the model: the library's output layer, with this composition of its modules, and its norm.

    Raises:
        UnsupportedError: for a composition or a module that is not computed here.
    """
    norm = norm_of(layer.LayerNorm)
    if setup is None:
        return Site(norm)
    return Site(norm, tuple(_steps(layer, list(setup) if type(setup).__name__ == "Stack" else [setup])))


def _steps(layer: Any, children: list[Any]) -> list[Bottleneck | Fusion | Average]:
    steps: list[Bottleneck | Fusion | Average] = []
    for child in children:
        if isinstance(child, str):
            if child in layer.adapters:
                steps.append(Bottleneck(layer.adapters[child]))
            continue
        word = type(child).__name__
        if word not in ("Fuse", "Average") or not all(isinstance(name, str) for name in child):
            raise UnsupportedError(f"a {word} in a composition")
        here = [place for place, name in enumerate(child) if name in layer.adapters]
        mixed = tuple(Bottleneck(layer.adapters[child[place]]) for place in here)
        if mixed and word == "Fuse":
            steps.append(Fusion(layer.adapter_fusion_layer[child.name], mixed))
        elif mixed:
            shares = [weight / len(child.children) for weight in child.weights]  # as the library's own mean has it
            present = tuple(shares[place] for place in here)
            absent = sum(shares) - sum(present) if len(here) < len(shares) else 0.0
            steps.append(Average(mixed, present, absent))
    return steps
