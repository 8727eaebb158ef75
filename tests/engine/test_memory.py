"""How many tokens fit into a pass, and what is taken for a lack of memory."""

import pytest
import torch

from adapterxfer.engine import memory
from adapterxfer.engine.encoder import encode
from adapterxfer.engine.memory import bytes_per_token, free_memory, is_out_of_memory, token_budget
from adapterxfer.modules.attach import attach
from adapterxfer.modules.specs import bottleneck


def test_free_memory_is_known_here():
    assert free_memory() > 10**8


def test_the_cpu_allocator_s_refusal_is_told_from_other_errors():
    with pytest.raises(RuntimeError) as refused:
        torch.empty(1 << 50)
    assert is_out_of_memory(refused.value)
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory."))
    assert is_out_of_memory(MemoryError())
    with pytest.raises(RuntimeError) as other:
        torch.zeros(2, 3) @ torch.zeros(2, 3)
    assert not is_out_of_memory(other.value)


def test_the_budget_is_what_fits_up_to_what_is_faster(tiny, monkeypatch):
    attached = attach(tiny, bottleneck(reduction=4), "m", 0)
    each = bytes_per_token(attached, 128, 0, training=True)
    for free, wanted in ((1 << 40, 8192), (2 * 3000 * each, 3000), (1000, 512)):
        monkeypatch.setattr(memory, "free_memory", lambda device, free=free: free)
        assert token_budget(attached, 128) == wanted


def test_layers_below_everything_that_trains_keep_nothing_and_inference_keeps_one_layer(tiny):
    attached = attach(tiny, bottleneck(reduction=4), "m", 0)
    every, two = (bytes_per_token(attached, 128, depth, training=True) for depth in (0, 1))
    assert every * 3 == two * 4  # 3 layers and one that works, 2 and one
    assert bytes_per_token(attached, 128, 0, training=False) * 2 == every


@pytest.mark.parametrize("width", [16, 256])
def test_the_estimate_covers_what_a_training_pass_keeps(mini, width):
    """Counted: every tensor that the graph of a real pass holds on to, once."""
    attached = attach(mini, bottleneck(reduction=16), "m", 0)
    rows = 2048 // width
    ids = torch.randint(5, 1000, (rows, width))
    held: dict[int, int] = {}
    frozen = {tensor.data_ptr() for tensor in mini.state.values()}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if tensor.data_ptr() not in frozen:
            held[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        hidden = encode(attached, ids, torch.ones_like(ids))
    per_token = sum(held.values()) / ids.numel()
    assert hidden.requires_grad
    estimate = bytes_per_token(attached, width, 0, training=True)
    assert per_token < estimate < 2.5 * per_token
