"""The kernels compile for real cards, down to machine code, and their blocks fit into the cards' shared memory.

No GPU is needed for that: Triton brings its assembler along. What it cannot show is that they run, and how fast.
"""

import pytest
import torch

torch.cuda.is_available = lambda: True  # in this process only: Triton is imported as on a machine with a GPU

import triton  # noqa: E402
from triton.backends.compiler import GPUTarget  # noqa: E402
from triton.compiler import ASTSource  # noqa: E402

from adapterxfer.kernels import fusion, low_rank, low_rank_kernels  # noqa: E402

# bytes that a block may take: A100 (80), L4 and the RTX cards of 24 GB (86, 89), H100 and H200 (90)
SHARED = {80: 163 * 1024, 86: 99 * 1024, 89: 99 * 1024, 90: 227 * 1024}
TYPES = {torch.bfloat16: "*bf16", torch.float16: "*fp16", torch.float32: "*fp32"}


def check(kernel, capability, aligned, pointers, constants, warps):
    """Compile one kernel; `aligned`: for sizes and addresses that are multiples of 16, as a real encoder has them."""
    signature = dict.fromkeys(kernel.arg_names, "i32") | pointers
    signature |= {name: "fp32" for name in kernel.arg_names if name == "scale"}
    signature |= dict.fromkeys(constants, "constexpr")
    assert set(signature) == set(kernel.arg_names), set(signature) ^ set(kernel.arg_names)
    even = [place for place, name in enumerate(kernel.arg_names) if name not in constants and name != "scale"]
    attributes = {(place,): [["tt.divisibility", 16]] for place in even} if aligned else {}
    source = ASTSource(fn=kernel, signature=signature, constexprs=constants, attrs=attributes)
    made = triton.compile(source, target=GPUTarget("cuda", capability, 32), options={"num_warps": warps})
    assert made.asm["cubin"]
    assert made.metadata.shared <= SHARED[capability], f"{made.metadata.shared} bytes of shared memory"


@pytest.mark.parametrize(
    ("rank", "grouped", "dtype", "capability", "aligned"),
    [
        (16, False, torch.float16, 80, True),
        (64, True, torch.bfloat16, 80, True),
        (64, False, torch.bfloat16, 90, True),
        (256, False, torch.bfloat16, 86, True),
        (256, True, torch.float32, 89, False),
        (256, False, torch.float32, 86, True),
    ],
)
def test_the_low_rank_kernels_compile(rank, grouped, dtype, capability, aligned):
    sizes = low_rank._sizes(torch.empty(1 << 16, 1, dtype=dtype, device="meta"), rank, grouped)
    warps = sizes.pop("num_warps")
    stream = TYPES[dtype]
    tables = {"tiles": "*i32"} if grouped else {}
    missing = {} if grouped else {"tiles": None}
    streams = dict.fromkeys(("x", "down", "down_bias", "up"), stream)
    options = {"ACTIVATION": "gelu", "DOWN_BIAS": True}
    check(
        low_rank_kernels.forward,
        capability,
        aligned,
        streams | dict.fromkeys(("up_bias", "beside", "out"), stream) | tables,
        options | missing | {"UP_BIAS": True, "BESIDE": True} | sizes,
        warps,
    )
    check(
        low_rank_kernels.backward,
        capability,
        aligned,
        streams | dict.fromkeys(("gradient", "of_x", "hidden", "of_low"), stream) | tables,
        options | missing | {"OF_X": True, "OF_WEIGHTS": True} | sizes,
        warps,
    )
    check(
        low_rank_kernels.over_tokens,
        capability,
        aligned,
        {"left": stream, "right": stream, "out": "*fp32", "left_sums": "*fp32"}
        | ({"starts": "*i32"} if grouped else {}),
        ({} if grouped else {"starts": None}) | {"LEFT_SUMS": True} | sizes | {"ROWS": 32},
        warps,
    )


@pytest.mark.parametrize(
    ("modules", "dtype", "capability"), [(4, torch.bfloat16, 90), (32, torch.float32, 86), (3, torch.float16, 80)]
)
def test_the_fusion_kernels_compile(modules, dtype, capability):
    blocks = fusion._blocks(modules, 1024)
    warps = blocks.pop("num_warps")
    streams = dict.fromkeys(("inputs", "probe"), TYPES[dtype]) | {"weights": "*fp32"}
    check(fusion._mix, capability, True, streams | {"mixed": TYPES[dtype]}, blocks, warps)
    written = dict.fromkeys(("gradient", "of_inputs", "of_probe"), TYPES[dtype])
    check(fusion._unmix, capability, True, streams | written, blocks, warps)
