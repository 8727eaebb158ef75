"""Attention over a stream, in both layouts, against torch's own; and the way into a stream and back."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from adapterxfer.engine import attention
from adapterxfer.engine.attention import Packed, Padded, _Plain, layout_of

LENGTHS = st.lists(st.integers(1, 9), min_size=1, max_size=5)


def mask_of(lengths, width=None):
    return (torch.arange(width or max(lengths)) < torch.tensor(lengths)[:, None]).long()


@settings(max_examples=100, deadline=None)
@given(
    st.data(),
    LENGTHS,
    st.integers(1, 3),
    st.integers(1, 6),
    st.integers(0, 3),
    st.booleans(),
    st.sampled_from([1, 100, 1 << 20]),
)
def test_plain_attention_and_its_gradients_are_torch_s_in_float64(data, lengths, heads, size, spare, biased, chunk):
    """With padding or without, all rows at a time or a few, and whichever of query, key and value need gradients."""
    rows, width = len(lengths), max(lengths) + spare
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 99)))
    needs = data.draw(st.tuples(*[st.booleans()] * 3).filter(any))

    def drawn():
        # as the heads of a stream: not contiguous
        return torch.randn(rows, width, heads, size, generator=generator, dtype=torch.float64).transpose(1, 2)

    parts = [drawn().requires_grad_(need) for need in needs]
    bias = layout_of(mask_of(lengths, width), torch.float64).bias if biased else None
    above = drawn()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attention, "_SCORES_PER_CHUNK", chunk)
        ours = _Plain.apply(*parts, bias)
        needed = [part for part in parts if part.requires_grad]
        got = torch.autograd.grad(ours, needed, above)
    theirs = functional.scaled_dot_product_attention(*parts, attn_mask=bias)
    torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=1e-12)
    for one, other in zip(got, torch.autograd.grad(theirs, needed, above), strict=True):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=1e-12)


def test_a_chunk_is_as_many_rows_as_the_scores_allow(monkeypatch):
    """Four rows of 2 heads and 3 tokens are 72 scores: 40 at a time are two rows."""
    seen = []
    real = torch.softmax
    monkeypatch.setattr(torch, "softmax", lambda x, *rest, **more: (seen.append(len(x)), real(x, *rest, **more))[1])
    part = torch.randn(4, 2, 3, 5)
    for scores, rows in ((40, [2, 2]), (1, [1] * 4), (72, [4])):
        monkeypatch.setattr(attention, "_SCORES_PER_CHUNK", scores)
        seen.clear()
        _Plain.apply(part, part, part, None)
        assert seen == rows


def test_plain_attention_refuses_a_second_derivative():
    part = torch.randn(1, 1, 2, 3, requires_grad=True)
    (first,) = torch.autograd.grad(_Plain.apply(part, part, part, None).pow(2).sum(), part, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


@settings(max_examples=60, deadline=None)
@given(LENGTHS, st.integers(0, 3), st.sampled_from([(), (4,), (2, 3)]))
def test_pack_and_unpack_take_each_token_to_its_place_and_back(lengths, spare, trailing):
    width = max(lengths) + spare
    mask = mask_of(lengths, width)
    padded = torch.randn(len(lengths), width, *trailing)
    one_by_one = torch.cat([row[:length] for row, length in zip(padded, lengths, strict=True)])
    packed = layout_of(mask, torch.float32, packed=True)
    assert isinstance(packed, Packed)
    stream = packed.pack(padded)
    assert torch.equal(stream, one_by_one)
    back = packed.unpack(stream)
    assert torch.equal(back, padded * mask.view(*mask.shape, *[1] * len(trailing)))
    assert torch.equal(packed.pack(back), stream)
    assert (packed.lengths, packed.width, packed.rows) == (lengths, width, len(lengths))
    assert packed.starts.tolist() == [sum(lengths[:row]) for row in range(len(lengths) + 1)]
    beside = layout_of(mask, torch.float32, packed=False)
    assert isinstance(beside, Padded)
    assert torch.equal(beside.unpack(beside.pack(padded)), padded)
    assert torch.equal(beside.pack(padded), padded.flatten(0, 1))


def test_the_gradient_of_a_packed_stream_goes_to_its_tokens_only():
    packed = layout_of(mask_of([2, 4]), torch.float32, packed=True)
    padded = torch.randn(2, 4, 3, requires_grad=True)
    packed.unpack(packed.pack(padded)).sum().backward()
    assert padded.grad[..., 0].tolist() == [[1, 1, 0, 0], [1, 1, 1, 1]]


@settings(max_examples=60, deadline=None)
@given(LENGTHS, st.integers(1, 3), st.integers(1, 4), st.integers(0, 2))
def test_both_layouts_attend_within_each_row_alone(lengths, heads, size, spare):
    """Against torch's attention over one row at a time, in float64, with the gradients."""
    mask = mask_of(lengths, max(lengths) + spare)
    parts = [torch.randn(*mask.shape, heads * size, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    above = torch.randn(sum(lengths), heads * size, dtype=torch.float64)
    rows = []
    for row, length in enumerate(lengths):
        split = (part[row, :length].view(length, heads, size).transpose(0, 1) for part in parts)
        rows.append(functional.scaled_dot_product_attention(*split).transpose(0, 1).reshape(length, heads * size))
    wanted = torch.cat(rows)
    of_wanted = torch.autograd.grad(wanted, parts, above)
    for packed in (False, True):
        layout = layout_of(mask, torch.float64, packed)
        mixed = layout.attend(*(layout.pack(part) for part in parts), heads)
        got = layout.unpack(mixed)[mask.bool()]
        torch.testing.assert_close(got, wanted, atol=1e-12, rtol=1e-12)
        for one, other in zip(torch.autograd.grad(got, parts, above), of_wanted, strict=True):
            torch.testing.assert_close(one, other, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("width", [47, 48, 49])
def test_attention_is_the_same_whichever_way_it_is_computed(width, dtype):
    """Short rows and rows that train go the plain way; long ones that do not, torch's fused one."""
    layout = layout_of(mask_of([width, 3, 20]), dtype, packed=False)
    parts = [torch.randn(3 * width, 8, generator=torch.Generator().manual_seed(seed)) for seed in range(3)]
    exact = layout_of(mask_of([width, 3, 20]), torch.float32, packed=True)
    wanted = exact.attend(*(exact.pack(part.to(dtype).float().view(3, width, 8)) for part in parts), 2)
    tolerance = {torch.float32: 1e-5, torch.bfloat16: 2e-2, torch.float16: 2e-3}[dtype]
    for trains in (False, True):
        mixed = layout.attend(*(part.to(dtype).requires_grad_(trains) for part in parts), 2)
        assert mixed.dtype == dtype
        assert (type(mixed.grad_fn).__name__ != "NoneType") == trains
        got = exact.pack(layout.unpack(mixed.float()))
        torch.testing.assert_close(got, wanted, atol=tolerance, rtol=0)


def test_the_layout_is_padded_on_a_cpu_and_has_no_bias_where_nothing_is_padded():
    assert layout_of(mask_of([3, 3]), torch.float32) == Padded(2, 3, None)
    bias = layout_of(mask_of([3, 1]), torch.bfloat16).bias
    lowest = torch.finfo(torch.bfloat16).min
    assert bias.dtype == torch.bfloat16
    assert bias[:, 0].tolist() == [[[0, 0, 0]] * 3, [[0, lowest, lowest]] * 3]
