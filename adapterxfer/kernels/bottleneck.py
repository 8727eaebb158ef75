"""A bottleneck adapter (Houlsby et al. 2019): up(f(down(x))) x scaling, and a residual beside it."""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from adapterxfer.kernels import launch
from adapterxfer.kernels.low_rank import LowRank

# The activations that the kernels know, by the classes with which the libraries build them.
_ACTIVATIONS = {"ReLU": "relu", "GELUActivation": "gelu", "SiLU": "swish", "Tanh": "tanh"}


def bottleneck(
    x: Tensor,
    beside: Tensor | None,
    down: nn.Linear,
    activation: nn.Module,
    up: nn.Linear,
    scaling: float = 1.0,
    dropout: nn.Module | None = None,
) -> Tensor:
    """Return beside + dropout(scaling x up(activation(down(x)))), in the type of `x`.

    Args:
        x: the stream [tokens, inputs].
        beside: the residual [tokens, outputs]; None: there is none.
        down: [rank, inputs], fp32 master weights as a rule.
        activation: of the hidden units, a module; what `adapters` wraps in its own class is looked into.
        up: [outputs, rank].
        scaling: of the output.
        dropout: on the output.
    """
    drops = isinstance(dropout, nn.Dropout) and dropout.training and dropout.p > 0
    kind = activation_of(activation)
    if not drops and kind is not None and down.out_features <= launch.LARGEST_RANK and launch.takes(x, beside):
        fused: Tensor = LowRank.apply(
            x, down.weight, down.bias, up.weight, up.bias, beside, float(scaling), kind, None, False
        )
        return fused
    return reference(x, beside, down, activation, up, scaling, dropout)


def activation_of(module: nn.Module) -> str | None:
    """Return the kernels' name of an activation; None where they do not know it."""
    return _ACTIVATIONS.get(type(getattr(module, "f", module)).__name__)


def reference(
    x: Tensor,
    beside: Tensor | None,
    down: nn.Linear,
    activation: Any,
    up: nn.Linear,
    scaling: float = 1.0,
    dropout: nn.Module | None = None,
) -> Tensor:
    """Return what `bottleneck` returns, by plain PyTorch."""
    output = linear(up, activation(linear(down, x)))
    if scaling != 1.0:
        output = output * scaling
    if dropout is not None:
        output = dropout(output)
    return output if beside is None else output + beside


def linear(module: nn.Linear, x: Tensor) -> Tensor:
    """Return an fp32 linear map of `x` in the type of `x`."""
    bias = module.bias
    return functional.linear(x, module.weight.to(x.dtype), bias if bias is None else bias.to(x.dtype))
