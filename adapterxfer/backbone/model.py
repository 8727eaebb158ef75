"""Builds models whose frozen weights are one and the same memory."""

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from adapters import XLMRobertaAdapterModel
from torch import Tensor, nn
from transformers.modeling_utils import no_init_weights

if TYPE_CHECKING:
    from adapterxfer.backbone.quantised import Quantised


class _FirstToken(nn.Module):
    """Stands where the pooler was: `adapters` reads a second output, but an untrained pooler must not be in it."""

    def forward(self, hidden: Tensor) -> Tensor:
        """Return the first position of [rows, tokens, hidden]."""
        return hidden[:, 0]


def skeleton(config: Any) -> Any:
    """Return an `XLMRobertaAdapterModel` without a pooler, whose weights take no memory yet."""
    # A copy of the config, as `adapters` keeps the list of a model's modules in it.
    with torch.device("meta"), no_init_weights():
        model = XLMRobertaAdapterModel(copy.deepcopy(config))
    model.roberta.pooler = _FirstToken()
    return model


def shapes(config: Any) -> dict[str, tuple[int, ...]]:
    """Return the name and shape of every weight of the encoder."""
    return {name: tuple(weight.shape) for name, weight in skeleton(config).roberta.named_parameters()}


def build(config: Any, state: Mapping[str, Tensor], quantised: Mapping[str, "Quantised"]) -> Any:
    """Return a frozen `XLMRobertaAdapterModel` in evaluation mode that uses the given tensors themselves."""
    model = skeleton(config)
    for name, weight in quantised.items():
        model.roberta.set_submodule(name.removesuffix(".weight"), weight.linear())
    if quantised:  # what `transformers` would say of it, and `peft` asks
        bits = "8" if any(weight.state is None for weight in quantised.values()) else "4"
        setattr(model.roberta, f"is_loaded_in_{bits}bit", True)
    # Not strict: the word embeddings have a second name here, in the library's (empty) prompt tuning. The caller has
    # checked the names.
    model.roberta.load_state_dict(state, strict=False, assign=True)
    embeddings = model.roberta.embeddings
    device = embeddings.word_embeddings.weight.device
    # The two buffers are not saved with a model, so they are made again as XLMRobertaEmbeddings makes them.
    positions = torch.arange(config.max_position_embeddings, device=device).expand((1, -1))
    embeddings.register_buffer("position_ids", positions, persistent=False)
    embeddings.register_buffer("token_type_ids", torch.zeros_like(positions), persistent=False)
    model.requires_grad_(False)
    return model.eval()
