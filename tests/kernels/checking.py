"""What the checks of the kernels share: where they run, poisoned inputs, and how far off a result may be."""

import torch

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
TYPES = (torch.float32, torch.bfloat16, torch.float16)
# of the error's norm to the norm of what is wanted
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 1e-2, torch.float16: 2e-3}


def poisoned(*shape, dtype=torch.float32, seed=0, scale=1.0):
    """Random numbers in the middle of a larger tensor of NaN, whose rows stand further apart than they are long."""
    generator = torch.Generator().manual_seed(seed + 1000 * len(shape) + sum(shape))
    whole = torch.full([size + 2 for size in shape], float("nan"))
    middle = tuple(slice(1, 1 + size) for size in shape)
    whole[middle] = torch.randn(shape, generator=generator) * scale
    return whole.to(DEVICE, dtype)[middle]


def weight(*shape, seed=0):
    """Master weights in fp32, with values of the size that keeps activations near 1."""
    generator = torch.Generator().manual_seed(seed + sum(shape))
    drawn = torch.randn(shape, generator=generator) / max(1, shape[-1]) ** 0.5
    return torch.nn.Parameter(drawn.to(DEVICE))


def exact(tensor):
    """The same numbers in fp64, a leaf of its own."""
    return None if tensor is None else tensor.detach().double().requires_grad_()


def rounded(tensor, dtype):
    """Master weights as the stream's type holds them, in fp64: what a product in that type can know of them."""
    return None if tensor is None else tensor.detach().to(dtype).double().requires_grad_()


def assert_close(found, wanted, dtype, what):
    assert (found is None) == (wanted is None), what
    if found is None:
        return
    assert found.shape == wanted.shape, what
    found, wanted = found.detach(), wanted.detach()
    assert not found.isnan().any(), f"{what}: something was read that is not there"
    if wanted.numel():
        off = found.double() - wanted
        assert off.norm() <= TOLERANCE[dtype] * wanted.norm(), f"{what}: off by {float(off.norm() / wanted.norm()):.1e}"
        # no single value may hide in the norm
        assert off.abs().max() <= 4 * TOLERANCE[dtype] * wanted.abs().max(), f"{what}: {float(off.abs().max()):.1e}"
