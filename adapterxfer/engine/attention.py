"""Self-attention over a stream of tokens, in the layout that costs least on the device.

A stream is [tokens, hidden]. On CUDA it is packed: the rows stand one behind the other, without padding. On the CPU
rows of like lengths stand side by side, padded to the longest of them: products of many small rows are slow there.
"""

import itertools
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

# On a CPU torch's fused attention has a slow backward (8 times slower than plain products at 20 tokens in bf16, on
# an AVX-512 machine), and its forward loses to them below this many tokens.
_FUSED_FORWARD_FROM = 48
_SCORES_PER_CHUNK = 1 << 20  # scores that are worked on at a time, so that they stay in the processor's cache


@dataclass(frozen=True)
class Padded:
    """Rows side by side: token t of row r stands at r x width + t.

    `bias` [rows, 1, width, width] is -inf (the type's lowest number) at padded keys; None where nothing is padded.
    """

    rows: int
    width: int
    bias: Tensor | None

    def attend(self, query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
        """Return softmax(query key' / sqrt(size)) value per head, for streams [rows x width, hidden]."""
        hidden = query.shape[-1]

        def split(stream: Tensor) -> Tensor:
            return stream.view(self.rows, self.width, heads, hidden // heads).transpose(1, 2)

        parts = split(query), split(key), split(value)
        trains = torch.is_grad_enabled() and any(part.requires_grad for part in parts)
        if query.device.type != "cpu" or (not trains and self.width >= _FUSED_FORWARD_FROM):
            mixed = functional.scaled_dot_product_attention(*parts, attn_mask=self.bias)
        else:
            mixed = _Plain.apply(*parts, self.bias)
        return mixed.transpose(1, 2).reshape(self.rows * self.width, hidden)

    def pack(self, padded: Tensor) -> Tensor:
        """Return a [rows, width, ...] tensor as the stream."""
        return padded.reshape(self.rows * self.width, *padded.shape[2:])

    def unpack(self, stream: Tensor) -> Tensor:
        """Return the stream as [rows, width, ...]."""
        return stream.view(self.rows, self.width, *stream.shape[1:])


@dataclass(frozen=True)
class Packed:
    """Rows one behind the other. `places` [tokens] are their tokens' places among rows x width padded ones."""

    rows: int
    width: int
    lengths: list[int]
    starts: Tensor
    places: Tensor

    def attend(self, query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
        """Return softmax(query key' / sqrt(size)) value per head and row, for streams [tokens, hidden]."""
        hidden = query.shape[-1]
        query, key, value = (stream.view(-1, heads, hidden // heads) for stream in (query, key, value))
        if query.device.type == "cuda" and query.dtype in (torch.bfloat16, torch.float16):
            from torch.nn.attention.varlen import varlen_attn

            # no dropout there is: the frozen encoder has none here either
            mixed: Any = varlen_attn(query, key, value, self.starts, self.starts, self.width, self.width)
            return mixed.reshape(-1, hidden)
        rows = zip(*(part.split(self.lengths) for part in (query, key, value)), strict=True)
        mixed = [functional.scaled_dot_product_attention(*(one.transpose(0, 1) for one in row)) for row in rows]
        return torch.cat(mixed, 1).transpose(0, 1).reshape(-1, hidden)

    def pack(self, padded: Tensor) -> Tensor:
        """Return a [rows, width, ...] tensor as the stream."""
        return padded.reshape(self.rows * self.width, *padded.shape[2:])[self.places]

    def unpack(self, stream: Tensor) -> Tensor:
        """Return the stream as [rows, width, ...], zero at padding."""
        padded = stream.new_zeros(self.rows * self.width, *stream.shape[1:])
        return padded.index_copy(0, self.places, stream).view(self.rows, self.width, *stream.shape[1:])


Layout = Padded | Packed


def layout_of(mask: Tensor, dtype: torch.dtype, packed: bool | None = None) -> Layout:
    """Return how the rows of a mask [rows, width] stand in a stream of type `dtype`.

    Args:
        mask: 1 at tokens and 0 at padding, which is on the right.
        dtype: of the stream.
        packed: which layout; None: packed on CUDA, padded on the CPU.
    """
    rows, width = mask.shape
    if packed is None:
        packed = mask.device.type == "cuda"
    if packed:
        lengths = mask.sum(1).tolist()
        starts = torch.tensor([0, *itertools.accumulate(lengths)], dtype=torch.int32, device=mask.device)
        return Packed(rows, width, lengths, starts, mask.flatten().nonzero().squeeze(1))
    if bool(mask.all()):
        return Padded(rows, width, None)
    bias = torch.zeros(rows, 1, 1, width, dtype=dtype, device=mask.device)
    bias.masked_fill_(mask[:, None, None, :] == 0, torch.finfo(dtype).min)
    return Padded(rows, width, bias.expand(rows, 1, width, width))


class _Plain(torch.autograd.Function):
    """Attention by plain products on [rows, heads, width, size], a few rows at a time."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> Tensor:
        query, key, value = (part.contiguous() for part in (query, key, value))
        rows, heads, width, size = query.shape
        ctx.scale, ctx.step = size**-0.5, max(1, _SCORES_PER_CHUNK // (heads * width * width))
        weights = torch.empty(rows, heads, width, width, dtype=query.dtype)
        mixed = torch.empty_like(query)
        for first in range(0, rows, ctx.step):
            part = slice(first, first + ctx.step)
            scores = torch.matmul(query[part], key[part].transpose(-1, -2)).mul_(ctx.scale)
            if bias is not None:
                scores += bias[part]
            torch.softmax(scores, -1, out=weights[part])
            torch.matmul(weights[part], value[part], out=mixed[part])
        ctx.save_for_backward(query, key, value, weights)
        return mixed

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, weights = ctx.saved_tensors
        gradient = gradients[0].contiguous()
        # in the first layer that trains, query, key or value may have no gradient
        of_query, of_key, of_value = (
            torch.empty_like(part) if needed else None
            for part, needed in zip((query, key, value), ctx.needs_input_grad[:3], strict=True)
        )
        for first in range(0, len(query), ctx.step):
            part = slice(first, first + ctx.step)
            if of_value is not None:
                torch.matmul(weights[part].transpose(-1, -2), gradient[part], out=of_value[part])
            if of_query is None and of_key is None:
                continue
            of_weights = torch.matmul(gradient[part], value[part].transpose(-1, -2))
            of_scores = torch._softmax_backward_data(of_weights, weights[part], -1, weights.dtype).mul_(ctx.scale)
            if of_query is not None:
                torch.matmul(of_scores, key[part], out=of_query[part])
            if of_key is not None:
                torch.matmul(of_scores.transpose(-1, -2), query[part], out=of_key[part])
        return of_query, of_key, of_value, None
