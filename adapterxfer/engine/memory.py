"""How many tokens fit into one forward pass, and what to do when they do not."""

import contextlib
import gc
from pathlib import Path

import torch

from adapterxfer.engine.encoder import program_of
from adapterxfer.engine.sites import Fusion
from adapterxfer.modules.attach import Attached

# More tokens at a time only cost memory on a CPU; on a GPU they fill its units.
_MOST = {"cpu": 8192, "cuda": 65536}
_MOST_WITHOUT_GRADIENT = {"cpu": 4096, "cuda": 65536}
_LEAST = 512  # what is tried however little memory seems free: the estimate is rough
_SHARE = {"cpu": 0.5, "cuda": 0.8}  # of what is free: other processes use a machine's memory, but rarely a GPU's


def free_memory(device: torch.device | str = "cpu") -> int:
    """Return the bytes that this process may still take on a device.

    On a CPU that is what the machine has left, or its control group if less; on a GPU what its driver has left, and
    what torch holds for reuse.
    """
    if torch.device(device).type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    free = 0
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1]) * 1024
    group = Path("/sys/fs/cgroup")
    with contextlib.suppress(OSError, ValueError):  # ValueError: "max", no bound
        bound = int((group / "memory.max").read_text()) - int((group / "memory.current").read_text())
        free = max(0, min(free, bound))
    return free


def bytes_per_token(attached: Attached, width: int, depth: int, training: bool) -> int:
    """Return the memory that a token takes in a forward pass, and in its backward pass where there is one.

    In each layer from `depth` on, a training keeps about ten vectors of the hidden size, two of the wide one (before
    and after the activation) and the attention weights; a fusion also keeps what it mixes. Without gradients only one
    layer's worth lives at a time.

    Args:
        attached: the backbone with its modules.
        width: tokens of a row.
        depth: layers below everything that trains.
        training: whether gradients are taken.
    """
    config, layers = attached.backbone.config, attached.backbone.layers
    mixed = 0
    for layer in program_of(attached).layers:
        steps = [*layer.after_attention.steps, *layer.after_feed_forward.steps]
        mixed = max(mixed, sum(len(step.children) + 3 for step in steps if isinstance(step, Fusion)))
    vectors = (10 + mixed) * config.hidden_size + 2 * config.intermediate_size + config.num_attention_heads * width
    kept = max(1, layers - depth) if training else 1
    return int(vectors * attached.backbone.policy.stream_dtype.itemsize * (kept + 1))


def token_budget(attached: Attached, width: int, depth: int = 0, training: bool = True) -> int:
    """Return how many tokens, padding included, one forward pass should hold: what fits, up to what is faster.

    Args:
        attached: the backbone with its modules.
        width: tokens of the longest row.
        depth: layers below everything that trains; nothing of theirs is kept.
        training: whether gradients are taken.
    """
    device = next(attached.model.parameters()).device
    most = (_MOST if training else _MOST_WITHOUT_GRADIENT)[device.type]
    fits = int(free_memory(device) * _SHARE[device.type]) // bytes_per_token(attached, width, depth, training)
    return max(min(most, fits), _LEAST)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory, the GPU's or the machine's, is used up."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    # torch has no type of its own for the CPU's allocator
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator: can't allocate memory" in str(error)


def release() -> None:
    """Give back what a failed pass has left behind."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
