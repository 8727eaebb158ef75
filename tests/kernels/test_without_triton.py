"""Without Triton, and on a CPU, the kernels' functions are their plain references, and Triton is not imported."""

import os
import subprocess
import sys

import torch
from torch import nn

from adapterxfer import kernels
from adapterxfer.kernels import launch

ALONE = """
import sys
if {hidden}:
    sys.modules["triton"] = None  # importing it fails, as where it is not installed
import torch
from torch import nn
from adapterxfer import kernels
out = kernels.bottleneck(torch.ones(3, 8), None, nn.Linear(8, 2), nn.ReLU(), nn.Linear(2, 8))
assert out.shape == (3, 8)
assert {hidden} or "triton" not in sys.modules, "a CPU has no use for it"
"""


def alone(hidden: bool) -> None:
    given = {key: value for key, value in os.environ.items() if not key.startswith("TRITON_")}
    code = ALONE.format(hidden=hidden)
    if hidden:
        code = "import importlib.util as u; find = u.find_spec\n" + (
            "u.find_spec = lambda name, *more: None if name == 'triton' else find(name, *more)\n" + code
        )
    ran = subprocess.run([sys.executable, "-c", code], env=given, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


def test_everything_works_without_triton():
    alone(hidden=True)


def test_a_cpu_does_not_import_triton():
    if not torch.cuda.is_available():
        alone(hidden=False)


def test_on_a_cpu_the_plain_arithmetic_runs_bit_for_bit():
    torch.manual_seed(0)
    x, down, up = torch.randn(7, 12), nn.Linear(12, 3), nn.Linear(3, 12)
    assert not launch.takes(x)
    assert torch.equal(kernels.bottleneck(x, x, down, nn.GELU(), up, 0.5), up(nn.functional.gelu(down(x))) * 0.5 + x)
    low, high, y = torch.randn(3, 12), torch.randn(20, 3), torch.randn(7, 20)
    before = y.clone()
    assert torch.equal(kernels.add_lora(y, x, low, high, 2.0), y + x @ low.T @ (high * 2.0).T)
    assert torch.equal(y, before), "only the kernel may write into y"
    inputs, probe, offset = torch.randn(7, 4, 12), torch.randn(7, 12), torch.randn(7)
    weights = torch.softmax((inputs @ probe[..., None]).squeeze(-1) + offset[:, None], -1)
    assert torch.equal(kernels.mixture(inputs, probe, offset), (weights[:, None] @ inputs).squeeze(1))


def test_a_group_without_tokens_adds_nothing():
    torch.manual_seed(0)
    x = torch.randn(5, 8)
    downs, ups = [torch.randn(2, 8) for _ in range(3)], [torch.randn(8, 2) for _ in range(3)]
    found = kernels.grouped(x, x, kernels.Groups.of((2, 0, 3), "cpu"), downs, ups, 0.5)
    wanted = torch.cat([x[:2] + 0.5 * x[:2] @ downs[0].T @ ups[0].T, x[2:] + 0.5 * x[2:] @ downs[2].T @ ups[2].T])
    torch.testing.assert_close(found, wanted)
