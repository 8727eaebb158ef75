"""The encoder driver: our own loop over the layers of the model that `adapters` and `peft` prepared.

It owes the library forward nothing but its result: no pooler, no mask where nothing is padded, and a way to stop
after any layer. Tests hold it to the plain library forward, per token.
"""

from typing import Any

import torch
from torch import Tensor

from adapterxfer.modules.attach import Attached


def attention_bias(mask: Tensor, dtype: torch.dtype) -> Tensor | None:
    """Return the additive mask [rows, 1, tokens, tokens] for SDPA, or None where nothing is padded."""
    if bool(mask.all()):
        return None
    rows, tokens = mask.shape
    bias = torch.zeros(rows, 1, 1, tokens, dtype=dtype, device=mask.device)
    bias.masked_fill_(mask[:, None, None, :] == 0, torch.finfo(dtype).min)
    return bias.expand(rows, 1, tokens, tokens)


def encode(
    attached: Attached,
    input_ids: Tensor,
    mask: Tensor,
    layer: int | None = None,
    *,
    start: int = 0,
    hidden: Tensor | None = None,
) -> Tensor:
    """Run the encoder with its composition.

    Args:
        attached: the backbone with its modules.
        input_ids: [rows, tokens], padded on the right with the tokenizer's pad id.
        mask: [rows, tokens], 1 at tokens and 0 at padding.
        layer: return the output of this many layers (0: the embeddings); None means all of them.
        start: the number of layers whose output `hidden` is; nothing below them runs.
        hidden: [rows, tokens, hidden], the output of the first `start` layers; None: begin at the embeddings.

    Returns:
        Hidden states [rows, tokens, hidden]; those at padding mean nothing.
    """
    from adapters.context import ForwardContext

    encoder: Any = attached.model.roberta
    layers = encoder.encoder.layer[start : layer if layer is not None else len(encoder.encoder.layer)]
    with attached.backbone.policy.autocast(input_ids.device), ForwardContext(encoder, input_ids, attention_mask=mask):
        if hidden is None:
            hidden = encoder.embeddings(input_ids=input_ids)
        bias = attention_bias(mask, hidden.dtype)
        for block in layers:
            hidden = block(hidden, bias)[0]
    return hidden
