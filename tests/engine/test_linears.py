"""Linear maps with LoRA and DoRA against `peft`'s own forward: values, gradients, folding, and what is left to it."""

import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional

from adapterxfer.engine.linears import Linear, UnsupportedError, linear_of


class Holder(nn.Module):
    """Where `peft` finds the map it puts its modules on."""

    def __init__(self, bias=True):
        super().__init__()
        torch.manual_seed(0)
        self.dense = nn.Linear(12, 8, bias=bias)


def on_a_map(*options, bias=True, config="LoraConfig"):
    """Return a map with the modules of these options on it, all active, with distinct non-zero weights."""
    import peft

    holder = Holder(bias)
    names = [f"l{number}" for number in range(len(options))]
    for name, option in zip(names, options, strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # several modules on one map
            given = getattr(peft, config)(target_modules=["dense"], **option)
            peft.inject_adapter_in_model(given, holder, adapter_name=name)
    holder.dense.set_adapter(names)
    generator = torch.Generator().manual_seed(1)
    for name, parameter in holder.named_parameters():
        if "magnitude" in name:
            parameter.data *= 1 + 0.3 * torch.randn(parameter.shape, generator=generator)
        elif "lora" in name:
            parameter.data.normal_(std=0.3, generator=generator)
    holder.requires_grad_(False)
    for name, parameter in holder.named_parameters():
        parameter.requires_grad_("base_layer" not in name)
    return holder.dense.eval()


@pytest.fixture
def x():
    return torch.randn(7, 12, generator=torch.Generator().manual_seed(2))


DORA, RS = {"r": 3, "use_dora": True}, {"r": 4, "use_rslora": True, "lora_alpha": 5}
UPDATES = {
    "LoRA": [{"r": 3, "lora_alpha": 7}],
    "rank-stabilised": [RS],
    "dropout, not training": [{"r": 3, "lora_dropout": 0.5}],
    "two": [{"r": 3}, {"r": 2, "lora_alpha": 1}],
    "DoRA": [DORA],
    "LoRA and DoRA": [RS, DORA],
    "DoRA and LoRA": [DORA, RS],
    "two DoRAs": [DORA, {"r": 2, "use_dora": True, "lora_alpha": 3}],
}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", UPDATES)
def test_a_map_with_its_updates_and_their_gradients_are_peft_s(x, name, bias):
    module = on_a_map(*UPDATES[name], bias=bias)
    linear = linear_of(module)
    assert len(linear.updates) == len(UPDATES[name])
    trained = [x.requires_grad_(), *(one for one in module.parameters() if one.requires_grad)]
    ours, theirs = linear(x), module(x)
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)
    assert (theirs - module.base_layer(x)).abs().max() > 0.1
    above = torch.randn(theirs.shape)
    found = [torch.autograd.grad(run, trained, above) for run in (ours, theirs)]
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", UPDATES)
def test_a_folded_map_is_one_product_and_does_not_touch_the_frozen_one(x, name, bias):
    module = on_a_map(*UPDATES[name], bias=bias)
    linear = linear_of(module)
    weight = module.base_layer.weight.clone()
    folded = linear.folded()
    assert folded.updates == ()
    assert folded.base.bias is module.base_layer.bias
    assert not folded.base.weight.requires_grad
    wanted = module(x)
    torch.testing.assert_close(folded(x), wanted, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(folded(x), functional.linear(x, folded.base.weight, folded.base.bias))
    assert torch.equal(module.base_layer.weight, weight)
    for parameter in module.parameters():
        if parameter.requires_grad:
            parameter.data *= 2
    torch.testing.assert_close(folded(x), wanted, atol=1e-6, rtol=1e-5)
    assert (linear(x) - wanted).abs().max() > 0.1, "the map itself follows its weights"


@pytest.mark.parametrize("name", ["LoRA", "DoRA"])
def test_a_map_works_in_the_type_of_its_stream_and_folds_into_that_of_its_weight(x, name):
    module = on_a_map(*UPDATES[name])
    exact = module(x)
    module.base_layer.bfloat16()
    linear = linear_of(module)
    for one in (linear, linear.folded()):
        got = one(x.bfloat16())
        assert got.dtype == one.base.weight.dtype == torch.bfloat16
        assert (got.float() - exact).norm() < 0.02 * exact.norm()
    linear(x.bfloat16()).float().sum().backward()
    assert {parameter.grad.dtype for parameter in module.parameters() if parameter.requires_grad} == {torch.float32}


def test_only_active_updates_count_in_their_order(x):
    module = on_a_map({"r": 3}, {"r": 2}, DORA)
    for names in (["l0"], ["l1"], ["l2", "l0"], ["l0", "l2"]):
        module.set_adapter(names)
        linear = linear_of(module)
        wanted = [module.lora_A[name].weight for name in names]
        assert all(one.down is weight for one, weight in zip(linear.updates, wanted, strict=True))
        torch.testing.assert_close(linear(x), module(x), atol=1e-6, rtol=1e-5)


def test_a_map_without_updates_is_the_frozen_map_itself(x):
    plain = Holder().dense
    linear = linear_of(plain)
    assert linear == Linear(plain)
    assert linear.folded() is linear
    assert torch.equal(linear(x), plain(x))


def merged():
    module = on_a_map({"r": 3})
    module.merge()
    return module


def disabled():
    module = on_a_map({"r": 3})
    module.enable_adapters(False)
    return module


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (merged, r"peft\.tuners\.lora\.layer\.Linear on a linear map"),
        (disabled, r"peft\.tuners\.lora\.layer\.Linear on a linear map"),
        (lambda: on_a_map({"feedforward_modules": []}, config="IA3Config"), r"peft\.tuners\.ia3\.layer\.Linear on"),
        (lambda: on_a_map({"r": 3}, config="LoHaConfig"), r"peft\.tuners\.loha\.layer\.\w+ on a linear map"),
        (lambda: on_a_map({"r": 3, "lora_bias": True}), "a variant of LoRA"),
        (lambda: on_a_map(DORA | {"lora_dropout": 0.1}), "a variant of LoRA"),
        (lambda: nn.Embedding(3, 4), "Embedding for a linear map"),
    ],
)
def test_what_is_not_computed_here_is_refused_by_name(make, says):
    with pytest.raises(UnsupportedError, match=says):
        linear_of(make())
