"""AdapterFusion's attention against fp64 arithmetic, forward and every gradient."""

import pytest
import torch
from checking import DEVICE, TYPES, assert_close, exact, poisoned
from hypothesis import given, settings
from hypothesis import strategies as st

from adapterxfer import kernels
from adapterxfer.kernels import fusion


@pytest.fixture(autouse=True)
def _counted(monkeypatch):
    """No check may pass because the plain path ran."""
    calls = []
    apply = fusion._Mixture.apply
    monkeypatch.setattr(fusion._Mixture, "apply", lambda *a: (calls.append(1), apply(*a))[1])
    yield
    assert calls, "the kernel did not run"


def run(tokens, modules, hidden, dtype):
    inputs = poisoned(tokens, modules, hidden, dtype=dtype).requires_grad_()
    probe = poisoned(tokens, hidden, dtype=dtype, scale=hidden**-0.5).requires_grad_()
    offset = torch.randn(tokens, device=DEVICE).to(dtype).requires_grad_()
    gradient = poisoned(tokens, hidden, dtype=dtype, seed=1)
    out = kernels.mixture(inputs, probe, offset)
    found = torch.autograd.grad(out, [inputs, probe, offset], gradient)
    inputs64, probe64, offset64 = exact(inputs), exact(probe), exact(offset)
    scores = torch.einsum("tkh,th->tk", inputs64, probe64) + offset64[:, None]
    wanted = torch.einsum("tk,tkh->th", torch.softmax(scores, 1), inputs64)
    of_wanted = torch.autograd.grad(wanted, [inputs64, probe64, offset64], gradient.double())
    assert out.dtype == dtype
    assert_close(out, wanted, dtype, "output")
    for name, one, other in zip(("inputs", "probe"), found, of_wanted, strict=False):
        assert_close(one, other, dtype, f"gradient of {name}")
    assert of_wanted[2].abs().max() < 1e-9, "a softmax does not see what all its scores share"
    assert not found[2].any()


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("shape", [(1, 1, 5), (1, 4, 16), (9, 2, 200), (40, 5, 33)], ids=str)
def test_the_mixture_and_its_gradients(shape, dtype):
    run(*shape, dtype)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(st.integers(1, 50), st.integers(1, 9), st.integers(1, 150), st.sampled_from(TYPES))
def test_a_mixture_of_any_shape(tokens, modules, hidden, dtype):
    run(tokens, modules, hidden, dtype)


def test_no_token_at_all():
    inputs = torch.empty(0, 3, 8, device=DEVICE, requires_grad=True)
    out = kernels.mixture(inputs, torch.empty(0, 8, device=DEVICE), torch.empty(0, device=DEVICE))
    out.sum().backward()
    assert out.shape == (0, 8)
    assert inputs.grad.shape == inputs.shape


def test_large_scores_overflow_nothing():
    inputs = torch.full((2, 3, 8), 100.0, device=DEVICE)
    inputs[:, 1] = 200.0
    out = kernels.mixture(inputs, inputs[:, 0] * 10, torch.zeros(2, device=DEVICE))
    assert torch.equal(out, inputs[:, 1])


def test_the_inputs_may_stand_by_module():
    inputs = poisoned(3, 17, 24).transpose(0, 1)
    probe, offset = poisoned(17, 24), torch.zeros(17, device=DEVICE)
    wanted = fusion.reference(inputs, probe, offset)
    assert_close(kernels.mixture(inputs, probe, offset), wanted.double(), torch.float32, "output")
