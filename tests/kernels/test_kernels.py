"""The kernels compute what they should: on the GPU where there is one, else through Triton's interpreter on the CPU.

Triton has to be told of its interpreter before it is first imported, and from then on compiles nothing, so the checks
run in a process of their own.
"""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

HERE = Path(__file__).resolve().parent
needs_triton = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="Triton is not installed: pip install triton (Linux)"
)


def run_checks(name: str, least: int, **environment: str) -> None:
    """Run a file of checks with pytest, and see that it has at least so many that pass, and skips none."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(HERE / name)]
    given = {key: value for key, value in os.environ.items() if not key.startswith(("TRITON_", "ADAPTERXFER_KERNELS"))}
    ran = subprocess.run(command, env=given | environment, cwd=HERE.parents[1], capture_output=True, text=True)
    assert ran.returncode == 0, f"{ran.stdout[-6000:]}\n{ran.stderr[-2000:]}"
    passed = re.search(r"(\d+) passed", ran.stdout)
    assert passed is not None, ran.stdout
    assert int(passed.group(1)) >= least, ran.stdout
    assert " skipped" not in ran.stdout, ran.stdout


@needs_triton
@pytest.mark.parametrize(("name", "least"), [("checks_low_rank.py", 60), ("checks_fusion.py", 16)])
def test_the_kernels_equal_arithmetic_in_fp64(name, least):
    run_checks(name, least, **({} if torch.cuda.is_available() else {"TRITON_INTERPRET": "1"}))


@needs_triton
def test_the_driver_runs_through_the_kernels():
    run_checks("checks_engine.py", 10, **({} if torch.cuda.is_available() else {"TRITON_INTERPRET": "1"}))


@needs_triton
def test_the_kernels_compile_for_real_cards():
    run_checks("checks_compile.py", 8)
