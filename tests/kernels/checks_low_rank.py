"""Bottleneck, LoRA and the grouped product against fp64 arithmetic, forward and every gradient."""

import pytest
import torch
from checking import DEVICE, TYPES, assert_close, exact, poisoned, rounded, weight
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional
from transformers.activations import get_activation

from adapterxfer import kernels
from adapterxfer.kernels import launch
from adapterxfer.kernels.bottleneck import reference
from adapterxfer.kernels.low_rank import LowRank

ACTIVATIONS = {name: get_activation(name) for name in ("relu", "gelu", "swish", "tanh")}
SHAPES = [(1, 7, 3), (5, 33, 16), (70, 100, 17)]  # tokens, hidden, rank


@pytest.fixture(autouse=True)
def _counted(monkeypatch):
    """No check may pass because the plain path ran."""
    calls = []
    monkeypatch.setattr(LowRank, "apply", lambda *a, apply=LowRank.apply: (calls.append(1), apply(*a))[1])
    yield
    assert calls, "the kernel did not run"


def linear(outputs, inputs, bias=True, seed=0):
    module = nn.Linear(inputs, outputs, bias=bias).to(DEVICE)
    module.weight = weight(outputs, inputs, seed=seed)
    if bias:
        module.bias = weight(outputs, seed=seed)
    return module


def run_bottleneck(tokens, hidden, rank, activation, dtype, scaling=1.0, beside=True, bias=True):
    x = poisoned(tokens, hidden, dtype=dtype).requires_grad_()
    residual = poisoned(tokens, hidden, dtype=dtype, seed=1).requires_grad_() if beside else None
    down, up = linear(rank, hidden, bias), linear(hidden, rank, bias, seed=1)
    out = kernels.bottleneck(x, residual, down, ACTIVATIONS[activation], up, scaling)
    gradient = poisoned(tokens, hidden, dtype=dtype, seed=2)
    inputs = [x, residual, down.weight, down.bias, up.weight, up.bias]
    given_in = [one for one in inputs if one is not None]
    found = torch.autograd.grad(out, given_in, gradient)

    ours = [exact(x), exact(residual), *(rounded(one, dtype) for one in inputs[2:])]
    x64, beside64, *weights = ours
    low = ACTIVATIONS[activation](functional.linear(x64, weights[0], weights[1]))
    wanted = functional.linear(low, weights[2], weights[3]) * scaling
    wanted = wanted if beside64 is None else wanted + beside64
    of_wanted = torch.autograd.grad(wanted, [one for one in ours if one is not None], gradient.double())
    assert out.dtype == dtype
    assert_close(out, wanted, dtype, "output")
    names = [name for name, one in zip(["x", "beside", "down", "d", "up", "u"], inputs, strict=True) if one is not None]
    for name, one, other, inlet in zip(names, found, of_wanted, given_in, strict=True):
        assert one.dtype == inlet.dtype, name
        assert_close(one, other, dtype, f"gradient of {name}")


@pytest.mark.parametrize("dtype", TYPES[:2], ids=str)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_bottleneck_and_its_gradients(shape, activation, dtype):
    run_bottleneck(*shape, activation, dtype)


@pytest.mark.parametrize(("scaling", "beside", "bias"), [(0.5, True, False), (2.0, False, True)])
def test_a_bottleneck_with_scaling_and_without_residual_or_biases(scaling, beside, bias):
    run_bottleneck(19, 40, 12, "gelu", torch.float32, scaling, beside, bias)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(1, 90), st.integers(1, 80), st.integers(1, 40), st.sampled_from(sorted(ACTIVATIONS)))
def test_a_bottleneck_of_any_shape(tokens, hidden, rank, activation):
    run_bottleneck(tokens, hidden, rank, activation, torch.float32)


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_no_token_at_all(dtype):
    x = torch.empty(0, 24, dtype=dtype, device=DEVICE, requires_grad=True)
    down, up = linear(5, 24), linear(24, 5)
    out = kernels.bottleneck(x, x, down, nn.ReLU(), up)
    out.sum().backward()
    assert out.shape == x.grad.shape == (0, 24)
    assert not down.weight.grad.any()
    assert not up.bias.grad.any()


def test_what_is_frozen_gets_no_gradient_and_the_rest_does():
    x = poisoned(9, 24).requires_grad_()
    down, up = linear(5, 24), linear(24, 5)
    for parameter in (*down.parameters(), *up.parameters()):
        parameter.requires_grad_(False)
    kernels.bottleneck(x, None, down, nn.Tanh(), up).sum().backward()
    assert down.weight.grad is None
    assert not x.grad.isnan().any()
    down.weight.requires_grad_()
    kernels.bottleneck(x.detach(), None, down, nn.Tanh(), up).sum().backward()
    assert down.weight.grad.any()
    assert up.weight.grad is None


def test_a_hidden_activation_is_not_kept():
    x = poisoned(16, 24).requires_grad_()
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda one: (kept.append(one.shape), one)[1], lambda one: one):
        kernels.bottleneck(x, x, linear(5, 24), nn.ReLU(), linear(24, 5))
    assert torch.Size((16, 5)) not in kept


def test_a_number_that_is_none_is_seen_through_relu():
    x = poisoned(9, 24).clone()
    x[4, 3] = float("nan")
    out = kernels.bottleneck(x, None, linear(5, 24), nn.ReLU(), linear(24, 5))
    assert out[4].isnan().all()
    assert not out[torch.arange(9) != 4].isnan().any()


def test_the_reference_gives_the_same():
    x = poisoned(21, 24)
    down, up = linear(5, 24), linear(24, 5)
    fused = kernels.bottleneck(x, x, down, ACTIVATIONS["gelu"], up, 0.5)
    assert_close(fused, reference(x, x, down, ACTIVATIONS["gelu"], up, 0.5).double(), torch.float32, "output")


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("shape", [(1, 8, 8, 4), (37, 24, 50, 8), (64, 65, 31, 2)], ids=str)
def test_a_lora_is_added_in_place_with_its_gradients(shape, dtype):
    tokens, inputs, outputs, rank = shape
    x = poisoned(tokens, inputs, dtype=dtype).requires_grad_()
    base, down, up = poisoned(outputs, inputs, dtype=dtype), weight(rank, inputs), weight(outputs, rank, seed=1)
    base = base * inputs**-0.5
    y = functional.linear(x, base)
    before = y.detach().clone()
    out = kernels.add_lora(y, x, down, up, 2.0)
    assert out.data_ptr() == y.data_ptr()
    gradient = poisoned(tokens, outputs, dtype=dtype, seed=3)
    found = torch.autograd.grad(out, [x, down, up], gradient)
    x64, down64, up64 = exact(x), rounded(down, dtype), rounded(up, dtype)
    plain = functional.linear(x64, base.double())
    plain = plain + (before.double() - plain).detach()  # the first product's own rounding is not the kernel's
    wanted = plain + 2.0 * x64 @ down64.T @ up64.T
    assert_close(out, wanted, dtype, "output")
    for name, one, other in zip(
        ("x", "down", "up"), found, torch.autograd.grad(wanted, [x64, down64, up64], gradient.double()), strict=True
    ):
        assert_close(one, other, dtype, f"gradient of {name}")


def test_two_loras_stand_on_one_map():
    x = poisoned(10, 12).requires_grad_()
    pairs = [(weight(3, 12, seed=n), weight(20, 3, seed=n)) for n in (1, 2)]
    base = weight(20, 12)
    y = functional.linear(x, base)
    for down, up in pairs:
        y = kernels.add_lora(y, x, down, up, 0.5)
    y.square().sum().backward()
    x64, weights = exact(x), [exact(one) for pair in pairs for one in pair]
    wanted = functional.linear(x64, base.detach().double())
    for down, up in zip(weights[::2], weights[1::2], strict=True):
        wanted = wanted + 0.5 * x64 @ down.T @ up.T
    wanted.square().sum().backward()
    assert_close(y.detach(), wanted.detach(), torch.float32, "output")
    assert_close(x.grad, x64.grad, torch.float32, "gradient of x")
    for pair, down, up in zip(pairs, weights[::2], weights[1::2], strict=True):
        assert_close(pair[0].grad, down.grad, torch.float32, "gradient of down")
        assert_close(pair[1].grad, up.grad, torch.float32, "gradient of up")


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("sizes", [(5,), (3, 0, 41), (1, 33, 32, 7)], ids=str)
@pytest.mark.parametrize("activation", ["none", "swish"])
def test_each_slice_goes_through_its_own_pair(sizes, activation, dtype):
    hidden, rank, tokens = 20, 5, sum(sizes)
    x = poisoned(tokens, hidden, dtype=dtype).requires_grad_()
    beside = poisoned(tokens, hidden, dtype=dtype, seed=1).requires_grad_()
    downs = [weight(rank, hidden, seed=n) for n in range(len(sizes))]
    ups = [weight(hidden, rank, seed=9 + n) for n in range(len(sizes))]
    biases = None if activation == "none" else ([weight(rank, seed=n) for n in range(len(sizes))], [])
    if biases:
        biases = (biases[0], [weight(hidden, seed=n) for n in range(len(sizes))])
    given_in = [x, beside, *downs, *ups, *(biases[0] + biases[1] if biases else [])]
    out = kernels.grouped(x, beside, kernels.Groups.of(sizes, DEVICE), downs, ups, 1.5, activation, biases)
    gradient = poisoned(tokens, hidden, dtype=dtype, seed=3)
    found = torch.autograd.grad(out, given_in, gradient)

    ours = [exact(x), exact(beside), *(rounded(one, dtype) for one in given_in[2:])]
    count, first, wanted = len(sizes), 0, []
    for n, size in enumerate(sizes):
        part = slice(first, first + size)
        low = functional.linear(ours[0][part], ours[2 + n], ours[2 + 2 * count + n] if biases else None)
        low = functional.silu(low) if activation == "swish" else low
        high = functional.linear(low, ours[2 + count + n], ours[2 + 3 * count + n] if biases else None)
        wanted.append(ours[1][part] + 1.5 * high)
        first += size
    wanted = torch.cat(wanted)
    assert_close(out, wanted, dtype, "output")
    for one, other in zip(found, torch.autograd.grad(wanted, ours, gradient.double()), strict=True):
        assert_close(one, other, dtype, "gradient")


def test_a_machine_where_triton_does_not_work_is_found_out(monkeypatch, capsys):
    try_it = launch._compiles.__wrapped__
    assert all(try_it(torch.device(DEVICE), dtype) for dtype in TYPES)
    assert not capsys.readouterr().err
    monkeypatch.setattr(launch, "_double", None)
    assert not try_it(torch.device(DEVICE), torch.float32)
    assert "plain PyTorch computes the modules" in capsys.readouterr().err
    run_bottleneck(3, 8, 2, "relu", torch.float32)


def test_what_the_kernels_do_not_hold_is_computed_plainly(monkeypatch):
    assert not launch.takes(torch.zeros(4, 8, dtype=torch.float64, device=DEVICE))
    assert not launch.takes(torch.zeros(2, 4, 8, device=DEVICE))
    assert not launch.takes(torch.zeros(4, 8, device=DEVICE), torch.zeros(4, 8, dtype=torch.bfloat16, device=DEVICE))
    run_bottleneck(3, 8, 2, "relu", torch.float32)
    monkeypatch.setenv(launch.SWITCH, "0")
    assert not launch.takes(torch.zeros(4, 8, device=DEVICE))
