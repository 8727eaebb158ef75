"""The two sites of a layer against the library's own: every choice of its configurations, and random compositions."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from adapterxfer.engine.linears import UnsupportedError
from adapterxfer.engine.sites import norm_of, site_of


def site(layer):
    """A site with the composition that is active."""
    return site_of(layer, layer.get_active_setup())


def configurations():
    """Bottlenecks by a name that says what is unusual in them; all stand after the feed-forward block."""
    from adapters import BnConfig

    def make(**options):
        given = {"mh_adapter": False, "output_adapter": True, "reduction_factor": 4, "non_linearity": "relu"}
        return BnConfig(**given | options)

    found = {"plain": make(), "scaled": make(scaling=2.0), "wide": make(reduction_factor=1)}
    for before, after, residual in itertools.product((True, False), (True, False), (True, False, "post_add")):
        if before or residual != "post_add":  # without a sum before the norm there is nothing to add
            name = f"{before:d}{after:d}_{str(residual).lower()}"
            found[name] = make(original_ln_before=before, original_ln_after=after, residual_before_ln=residual)
    for name in ("gelu", "swish", "tanh"):
        found[name] = make(non_linearity=name)
    found["parallel"] = make(is_parallel=True)
    found["parallel_scaled"] = make(is_parallel=True, scaling=4.0, original_ln_after=False)
    return found


FUSIONS = [("plain", "wide"), ("plain", "10_true", "gelu"), ("tanh", "parallel"), ("parallel", "parallel_scaled")]
NAMES = list(configurations())


@pytest.fixture(scope="module")
def layer(tiny, library_modules, enliven):
    """The output of a layer with all of them on it, none active, in float64."""
    fusions = [list(names) for names in FUSIONS]
    attached = enliven(library_modules(tiny, None, fusions, **configurations()))
    attached.model.double()
    return attached.model.roberta.encoder.layer[1].output, attached.model


def setups():
    from adapters.composition import Fuse

    return st.lists(st.sampled_from([*NAMES, *(Fuse(*names) for names in FUSIONS)]), min_size=1, max_size=4)


def compare(layer, setup):
    """Check a site's output and the gradients of its inputs and modules against the library's, all in float64.

    The softmax of a fusion is computed in fp32 nevertheless. Its key's bias has no gradient but rounding: it adds the
    same to the scores of all modules.
    """
    output, model = layer
    model.set_active_adapters(setup)
    generator = torch.Generator().manual_seed(0)
    x, residual, above = (torch.randn(2, 5, 32, generator=generator, dtype=torch.float64) for _ in range(3))
    inputs = [x.requires_grad_(), residual.requires_grad_()]
    inputs += [one for name, one in output.named_parameters() if one.requires_grad and not name.endswith("key.bias")]
    ours = site(output)(x.flatten(0, 1), residual.flatten(0, 1)).view_as(x)
    theirs = output.bottleneck_layer_forward(x, residual, output.LayerNorm)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    found = [torch.autograd.grad(run, inputs, above, allow_unused=True) for run in (ours, theirs)]
    for one, other in zip(*found, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            assert (one - other).norm() <= 1e-5 * other.norm() + 1e-5
    return theirs


@pytest.mark.parametrize("name", NAMES)
def test_each_configuration_is_computed_as_the_library_does(layer, name):
    without = compare(layer, None)
    assert (compare(layer, name) - without).abs().max() > 0.05


def test_the_choices_are_different_ones(layer):
    results = [compare(layer, name) for name in ("plain", "scaled", "parallel", "00_true", "11_true", "10_post_add")]
    for one, other in itertools.combinations(results, 2):
        assert (one - other).abs().max() > 0.05


@settings(max_examples=80, deadline=None)
@given(st.deferred(setups))
def test_any_stack_of_bottlenecks_and_fusions_is_computed_as_the_library_does(layer, children):
    from adapters.composition import Stack

    compare(layer, Stack(*children))


@pytest.mark.parametrize("names", FUSIONS)
def test_a_fusion_alone_is_computed_as_the_library_does(layer, names):
    from adapters.composition import Fuse

    compare(layer, Fuse(*names))


def test_a_stack_passes_over_what_stands_elsewhere(tiny, library_modules, enliven):
    from adapters import SeqBnConfig
    from adapters.composition import Stack

    every, top = SeqBnConfig(reduction_factor=4), SeqBnConfig(reduction_factor=4, leave_out=[0, 1])
    attached = enliven(library_modules(tiny, Stack("a", "top"), a=every, top=top))
    attached.model.double()
    layers = attached.model.roberta.encoder.layer
    assert [len(site(layer.output).steps) for layer in layers] == [1, 1, 2]
    assert [len(site(layer.attention.output).steps) for layer in layers] == [0, 0, 0]
    compare((layers[1].output, attached.model), Stack("a", "top"))
    compare((layers[2].output, attached.model), Stack("top", "a"))


UNUSUAL = {
    "gated": ({"use_gating": True}, "gates, norms or learned scaling"),
    "norm before": ({"ln_before": True}, "gates, norms or learned scaling"),
    "norm after": ({"ln_after": True}, "gates, norms or learned scaling"),
    "learned scaling": ({"scaling": "learned"}, "gates, norms or learned scaling"),
    "scaling by channel": ({"scaling": "channel"}, "gates, norms or learned scaling"),
    "hypercomplex": ({"phm_layer": True, "phm_dim": 2}, "a bottleneck of another build"),
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_a_bottleneck_of_another_build_is_left_to_the_library(tiny, library_modules, name):
    from adapters import SeqBnConfig

    options, says = UNUSUAL[name]
    attached = library_modules(tiny, "x", x=SeqBnConfig(reduction_factor=4, **options))
    with pytest.raises(UnsupportedError, match=says):
        site(attached.model.roberta.encoder.layer[0].output)


@pytest.mark.parametrize(
    "options",
    [
        {"value": False},
        {"key": False},
        {"query": False},
        {"value_before_softmax": False},
        {"residual_before": True},
        {"temperature": True},
    ],
)
def test_a_fusion_of_another_build_is_left_to_the_library(tiny, options):
    from adapters import DynamicAdapterFusionConfig, SeqBnConfig
    from adapters.composition import Fuse

    from adapterxfer.modules.attach import bare

    model = bare(tiny).model
    for name in ("a", "b"):
        model.add_adapter(name, config=SeqBnConfig(reduction_factor=4))
    model.add_adapter_fusion(["a", "b"], DynamicAdapterFusionConfig(**options))
    model.set_active_adapters(Fuse("a", "b"))
    with pytest.raises(UnsupportedError, match="a fusion of another build"):
        site(model.roberta.encoder.layer[0].output)


def test_compositions_that_are_not_computed_here_are_left_to_the_library(layer):
    from adapters.composition import BatchSplit, Parallel, Split, Stack

    output, model = layer
    for setup, says in (
        (Parallel("plain", "wide"), "a Parallel in a composition"),
        (Split("plain", "wide", splits=[2, 3]), "a Split in a composition"),
        (BatchSplit("plain", "wide", batch_sizes=[1, 1]), "a BatchSplit in a composition"),
        (Stack("plain", Parallel("wide", "gelu")), "a Parallel in a composition"),
    ):
        model.set_active_adapters(setup)
        with pytest.raises(UnsupportedError, match=says):
            site(output)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_the_norm_computes_in_fp32_and_keeps_the_stream_s_type(dtype):
    torch.manual_seed(0)
    module = torch.nn.LayerNorm(32, eps=1e-12)
    module.weight.data.normal_()
    x = (torch.randn(9, 32) + 30).to(dtype)  # a mean that leaves a half type few digits
    got = norm_of(module)(x)
    assert got.dtype == dtype
    wanted = module(x.float())
    rounding = {torch.float32: 1e-5, torch.bfloat16: 2**-8, torch.float16: 2**-11}[dtype]
    torch.testing.assert_close(got.float(), wanted, atol=1e-5, rtol=rounding)
