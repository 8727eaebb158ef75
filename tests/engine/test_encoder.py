"""The encoder driver against the plain padded forward of the libraries, and the work that it does not do."""

import dataclasses

import pytest
import torch
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from adapterxfer.backbone import load_backbone
from adapterxfer.engine.encoder import LINEARS, encode, encode_by_library, path_of, program_of
from adapterxfer.modules.attach import bare

SIX = "targets=(query, key, value, attention_output, intermediate, output)"
EXPRESSIONS = [
    "bottleneck(reduction=4)",
    "bottleneck(reduction=4, kind=houlsby)",
    "bottleneck(reduction=4, kind=parallel)",
    "bottleneck(reduction=4, top_layers=1)",
    "lora(r=4)",
    f"lora(r=4, {SIX})",
    "Stack({a}, bottleneck(reduction=4))",
    "Stack({a}, {b}, bottleneck(reduction=4, kind=houlsby))",
    "Stack({l}, lora(r=2))",
    "Stack({l}, {m}, lora(r=2))",
    "Stack({l}, bottleneck(reduction=4))",
    "Stack({a}, lora(r=4))",
    "Fuse({a}, {b})",
    "Stack(Fuse({a}, {b}), bottleneck(reduction=4))",
    "Stack({h}, bottleneck(reduction=4, kind=houlsby))",
    "Stack({p}, bottleneck(reduction=4))",
    "Average({a}, {a2}, weights=(0.7, 0.3))",
    "Average({h}, {h2})",
    "Average({p}, {p2}, weights=(1, 3))",
    "Stack({a}, Average({b}, {b2}, weights=(0.7, 0.3)), bottleneck(reduction=4))",
    "Average({l}, {m}, weights=(0.7, 0.3))",
    "Stack(Average({l}, {m}, weights=(0.9, 0.1)), lora(r=4))",
    "Fuse({l}, {m})",
    "Fuse({l}, {m}, gate=weights)",
    "Stack({a}, Fuse({l}, {m}), lora(r=4))",
    "Stack(Fuse({l}, {m}, gate=weights), bottleneck(reduction=4))",
    "Stack({a}, Fuse({a2}, {b}), bottleneck(reduction=4))",
    "Stack(Merge(ties, {l}, {m}), bottleneck(reduction=4))",
    "Continue(Merge(arithmetic, {a}, {a2}, weights=(1, -0.5)))",
    "lora(r=4, dora=True)",
    "Stack({l}, lora(r=4, dora=True))",
    "Continue({a})",
    "Continue({l})",
    "Stack({a}, Continue({b}))",
]
LORAS = {"DoRA": [{"use_dora": True}], "DoRA and LoRA": [{"use_dora": True}, {"r": 2, "use_rslora": True}]}
OWN = [*EXPRESSIONS, *LORAS]


@pytest.fixture(scope="session")
def bf16(tiny_folder):
    return load_backbone(str(tiny_folder), "bf16")


@pytest.fixture
def build(tiny, compose, loras):
    """Make one of the compositions of `OWN`."""

    def made(name, backbone=tiny):
        return loras(backbone, *LORAS[name]) if name in LORAS else compose(backbone, name)

    return made


def by_the_library(attached, ids, mask):
    with attached.backbone.policy.autocast("cpu"):
        return attached.model.roberta(input_ids=ids, attention_mask=mask)[0]


def gradients(attached, states):
    """The gradient of a weighted sum of the states, by parameter; in the mean, 1e-5 would be about all of it."""
    weights = torch.randn(states.shape, generator=torch.Generator().manual_seed(0))
    trained = attached.trainable()
    found = torch.autograd.grad((states.float() * weights).sum(), list(trained.values()), allow_unused=True)
    return dict(zip(trained, found, strict=True))


@pytest.fixture
def library_calls(monkeypatch):
    """The layers, and parts of layers, whose own forward ran."""
    from transformers.models.xlm_roberta import modeling_xlm_roberta

    calls = []
    for name in ("Layer", "Attention", "SelfAttention", "SdpaSelfAttention", "SelfOutput", "Intermediate", "Output"):
        part = getattr(modeling_xlm_roberta, f"XLMRoberta{name}")

        def counted(self, *given, real=part.__call__, name=name, **options):
            calls.append(name)
            return real(self, *given, **options)

        monkeypatch.setattr(part, "__call__", counted)
    return calls


def check_gradients(attached, states, wanted, tolerance):
    for name, one in gradients(attached, states).items():
        if wanted[name] is None:  # a fusion where its modules leave the layer out
            assert one is None
        elif name.endswith("key.bias"):  # of a fusion: the softmax over its modules does not see it
            assert max(one.norm(), wanted[name].norm()) < 1e-4
        else:
            least = 0.1 if ".delta_fusion." in name else 1  # a gate only shares out what the LoRAs do
            assert wanted[name].norm() > least, f"{name} does nothing here"
            assert (one - wanted[name]).norm() <= tolerance * max(wanted[name].norm(), 1), name


@pytest.mark.parametrize("name", OWN)
def test_states_and_gradients_are_those_of_the_plain_padded_forward_per_token(
    tiny, build, enliven, rows, library_calls, name
):
    attached = enliven(build(name))
    ids, mask = rows
    kept = mask.bool()
    assert path_of(attached) == "own"
    ours = [encode(attached, ids, mask, packed=packed)[kept] for packed in (False, True)]
    assert not library_calls, "a composition that must take the fast path went through the library"
    theirs = by_the_library(attached, ids, mask)[kept]
    assert library_calls.count("Layer") == tiny.layers
    assert (theirs - encode(bare(tiny), ids, mask)[kept]).abs().max() > 1e-2, "the modules do nothing here"
    wanted = gradients(attached, theirs)
    for states in ours:
        torch.testing.assert_close(states, theirs, atol=1e-5, rtol=1e-5)
        check_gradients(attached, states, wanted, 1e-5)


# one of each kind: the rest of `OWN` repeats their parts
BF16 = [*EXPRESSIONS[:3], *EXPRESSIONS[4:6], *EXPRESSIONS[9:14], *LORAS]


@pytest.mark.parametrize("name", BF16)
def test_the_noise_of_bf16_is_at_most_twice_that_of_the_library_under_autocast(tiny, bf16, build, enliven, rows, name):
    """The exact model has the rounded weights, so that what is compared is the noise of the arithmetic alone.

    The bottlenecks have a smooth activation: where a ReLU turns at one token, that token's gradient is most of the
    error, on whichever side it happens. Our stream is bf16 between the layers, too; the library's is fp32 there.
    """
    ids, mask = rows
    kept = mask.bool()
    rounded = dataclasses.replace(tiny, state={key: tensor.float() for key, tensor in bf16.state.items()})
    exact, rough = (enliven(build(name, backbone)) for backbone in (rounded, bf16))
    for attached in (exact, rough):
        for module in attached.model.modules():
            if type(module).__name__ == "Activation_Function_Class":
                module.f = torch.nn.GELU()

    def flat(found):
        kinds = {one.dtype for one in found.values() if one is not None}
        assert kinds == {torch.float32}
        return torch.cat([one.flatten() for one in found.values() if one is not None])

    def error(one, other):
        return ((one.float() - other).norm() / other.norm()).item()

    def errors(found):
        return error(found[kept], states), error(flat(gradients(rough, found[kept])), wanted)

    states = by_the_library(exact, ids, mask)[kept]
    wanted = flat(gradients(exact, states))
    library = errors(by_the_library(rough, ids, mask))
    for packed in (False, True):
        ours = errors(encode(rough, ids, mask, packed=packed))
        print(name, packed, *(round(own / one, 2) for own, one in zip(ours, library, strict=True)))
        assert all(own < 2 * one for own, one in zip(ours, library, strict=True)), (packed, ours, library)
    with torch.no_grad():
        folded = encode(rough, ids, mask, program=program_of(rough).folded())[kept]
    assert error(folded, states) < 2 * library[0]


def foreign(kind):
    """Modules that the driver does not compute: the active composition, and configurations of `adapters` by name."""
    import adapters
    from adapters import composition

    plain = {"a": adapters.SeqBnConfig(reduction_factor=4), "b": adapters.SeqBnConfig(reduction_factor=2)}
    return {
        "prefix tuning": lambda: ("x", {"x": adapters.PrefixTuningConfig(prefix_length=3)}),
        "prompt tuning": lambda: ("x", {"x": adapters.PromptTuningConfig(prompt_length=3)}),
        "invertible": lambda: ("x", {"x": adapters.SeqBnInvConfig(reduction_factor=4)}),
        "compacter": lambda: ("x", {"x": adapters.CompacterConfig(phm_dim=2, reduction_factor=4)}),
        "gated": lambda: ("x", {"x": adapters.SeqBnConfig(reduction_factor=4, use_gating=True)}),
        "LoRA of adapters": lambda: ("x", {"x": adapters.LoRAConfig(r=4)}),
        "ReFT": lambda: ("x", {"x": adapters.NoReftConfig(r=2)}),
        "Parallel": lambda: (composition.Parallel("a", "b"), plain),
    }[kind]()


REASONS = {
    "prefix tuning": "prefix tuning",
    "prompt tuning": "modules at the embeddings",
    "invertible": "modules at the embeddings",
    "compacter": "a bottleneck of another build",
    "gated": "a bottleneck with gates, norms or learned scaling",
    "LoRA of adapters": "LoRALinearTorch for a linear map",
    "ReFT": "ReFT",
    "Parallel": "a Parallel in a composition",
}


@pytest.mark.parametrize("kind", REASONS)
def test_what_the_driver_cannot_do_takes_the_library_s_path_and_says_why(
    tiny, library_modules, enliven, rows, library_calls, kind
):
    setup, configs = foreign(kind)
    attached = enliven(library_modules(tiny, setup, **configs))
    ids, mask = rows
    ids, mask = ids[:, :60].clone(), mask[:, :60]  # room for what stands before the first token
    assert path_of(attached) == f"library: {REASONS[kind]}"
    ours = encode(attached, ids, mask)
    assert library_calls.count("Layer") == tiny.layers
    theirs = by_the_library(attached, ids, mask)
    assert ours.shape == theirs.shape
    # Parallel gives all rows once for each of its modules, prompt tuning its own tokens before those of each row
    kept = functional.pad(mask, (theirs.shape[1] - mask.shape[1], 0), value=1).bool()
    kept = kept.repeat(len(theirs) // len(mask), 1)
    torch.testing.assert_close(ours[kept], theirs[kept], atol=1e-5, rtol=1e-5)
    unlike_bare = encode(bare(tiny), ids, mask)[mask.bool()]
    ours = ours[: len(mask), -mask.shape[1] :][mask.bool()]
    assert (ours - unlike_bare).abs().max() > 1e-2, "the modules do nothing here"


def test_ia3_of_peft_takes_the_library_s_path(tiny, enliven, rows, library_calls):
    from peft import IA3Config, inject_adapter_in_model

    attached = bare(tiny)
    config = IA3Config(target_modules=r".*layer\.\d+\.attention\.self\.(key|value)", feedforward_modules=[])
    inject_adapter_in_model(config, attached.model.roberta)
    enliven(attached)
    ids, mask = rows
    assert path_of(attached) == "library: peft.tuners.ia3.layer.Linear on a linear map"
    ours = encode(attached, ids, mask)[mask.bool()]
    assert library_calls.count("Layer") == tiny.layers
    torch.testing.assert_close(ours, by_the_library(attached, ids, mask)[mask.bool()], atol=1e-5, rtol=1e-5)
    assert (ours - encode(bare(tiny), ids, mask)[mask.bool()]).abs().max() > 1e-2


class Products(TorchDispatchMode):
    """Counts the matrix products: the rows of each one with a weight, and those of each one of attention's."""

    def __init__(self):
        super().__init__()
        self.linear, self.attention = [], []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func._overloadpacket.__name__
        if name in ("mm", "addmm"):
            self.linear.append(args[name == "addmm"].shape[0])
        elif name in ("bmm", "baddbmm"):
            self.attention.append(args[name == "baddbmm"].shape[-2])
        return func(*args, **(kwargs or {}))


# the frozen maps of three layers, and what stands on them: two of a bottleneck, two of each LoRA
MAPS = {"bottleneck(reduction=4)": 18 + 6, "lora(r=4)": 18 + 12, "Stack({l}, bottleneck(reduction=4))": 18 + 12 + 6}


@pytest.mark.parametrize("name", MAPS)
def test_no_map_and_no_attention_of_the_packed_layout_sees_padding(build, rows, name):
    attached = build(name)
    ids, mask = rows
    lengths = mask.sum(1).tolist()
    with torch.no_grad():
        hidden = encode(attached, ids, mask, layer=0)
        with Products() as seen:
            encode(attached, ids, mask, start=0, hidden=hidden, packed=True)
    # down- and up-projection give [tokens, r]; each product has the rows of its input
    assert seen.linear == [sum(lengths)] * MAPS[name]
    assert sorted(seen.attention) == sorted(lengths * 2 * 3), "two products a row and layer"


def test_positions_begin_at_two_in_each_row(tiny, rows):
    ids, mask = rows
    weights = {name.removeprefix("embeddings."): tensor for name, tensor in tiny.state.items() if "embeddings" in name}
    states = encode(bare(tiny), ids, mask, layer=0, packed=True)
    for row, length, state in zip(ids, mask.sum(1), states, strict=True):
        summed = weights["word_embeddings.weight"][row[:length]] + weights["token_type_embeddings.weight"][0]
        summed = summed + weights["position_embeddings.weight"][2 : 2 + length]
        norm = weights["LayerNorm.weight"], weights["LayerNorm.bias"]
        torch.testing.assert_close(state[:length], functional.layer_norm(summed, (32,), *norm, 1e-12))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", ["bottleneck(reduction=4)", "lora(r=4)", "Fuse({a}, {b})"])
def test_a_row_s_states_hang_neither_on_its_neighbours_nor_on_its_place_nor_on_the_width(build, rows, name, packed):
    attached = build(name)
    ids, mask = rows
    lengths = mask.sum(1).tolist()
    with torch.no_grad():
        states = encode(attached, ids, mask, packed=packed)
        order = [4, 0, 2, 3, 1]
        turned = encode(attached, ids[order], mask[order], packed=packed)
        for place, row in enumerate(order):
            length = lengths[row]
            wanted = states[row, :length]
            torch.testing.assert_close(turned[place, :length], wanted, atol=1e-5, rtol=0)
            for width in {length, min(length + 37, 512)}:
                alone = encode(attached, ids[row : row + 1, :width], mask[row : row + 1, :width], packed=packed)
                torch.testing.assert_close(alone[0, :length], wanted, atol=1e-5, rtol=0)
    assert (states[0, :2] - states[3, :2]).abs().max() < 1e-5, "both are <s></s>"


# The products of the backward pass, with weights and in attention. A down and an up on an input that has no gradient
# take 3 (two weights, one input), else 4. A frozen map above what trains takes 1, towards its input: query, key and
# value where the layer's input has a gradient, the other three of a layer where theirs has one. Attention takes one
# for the weights' gradient, and one each towards query, key and value where that has a gradient: its input has, or
# there is a LoRA on it.
BACKWARD = {
    "bottleneck(reduction=4)": (3 + 2 * (6 + 4), 2 * 4),
    "bottleneck(reduction=4, top_layers=2)": (3 + 6 + 4, 4),
    "bottleneck(reduction=4, top_layers=1)": (3, 0),
    "Stack({a}, bottleneck(reduction=4, top_layers=1))": (3, 0),
    "lora(r=4, top_layers=2)": (2 * 3 + 3 + 6 + 2 * 4, 3 + 4),
    "lora(r=4, top_layers=1)": (2 * 3 + 3, 3),
    "lora(r=4, top_layers=1, targets=(value,))": (3 + 3, 1),
    "lora(r=4, top_layers=1, targets=(output,))": (3, 0),
    "Stack({l}, lora(r=4, top_layers=1))": (2 * 3 + 3, 3),
    "Stack({a}, lora(r=4, top_layers=1))": (2 * 3 + 3 + 2, 3),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", BACKWARD)
def test_nothing_is_done_backward_below_the_first_layer_that_trains(compose, tiny, rows, name, packed):
    attached = compose(tiny, name)
    attached.set_training(True)
    ids, mask = rows
    first = min(int(name.split(".layer.")[1].split(".")[0]) for name in attached.trainable())
    below = encode(attached, ids, mask, layer=first, packed=packed)
    assert below.grad_fn is None
    assert not below.requires_grad
    states = encode(attached, ids, mask, packed=packed)
    with Products() as seen:
        states.sum().backward()
    maps, attention = BACKWARD[name]
    assert len(seen.linear) == maps
    assert len(seen.attention) == attention * len(ids), "row by row in either layout, as one is so long"


def test_in_training_nothing_drops_but_what_trains(compose, tiny, rows):
    assert min(tiny.config.hidden_dropout_prob, tiny.config.attention_probs_dropout_prob) > 0
    ids, mask = rows
    for name in ("bottleneck(reduction=4)", "lora(r=4, top_layers=1)", "Fuse({a}, {b})"):
        attached = compose(tiny, name)
        for packed in (False, True):
            states = []
            for training in (False, True, True):
                attached.set_training(training)
                states.append(encode(attached, ids, mask, packed=packed))
            assert torch.equal(states[0], states[1]), name
            assert torch.equal(states[1], states[2]), name


def test_the_dropout_of_a_lora_is_that_of_the_library(compose, tiny, enliven, rows):
    ids, mask = rows
    kept = mask.bool()
    attached = enliven(compose(tiny, "lora(r=4, dropout=0.5, top_layers=2)"))
    still = encode(attached, ids, mask)
    attached.set_training(True)
    results = []
    for run in (encode, by_the_library, encode):
        torch.manual_seed(len(results) // 2)
        states = run(attached, ids, mask)[kept]
        results.append((states, gradients(attached, states)))
    (ours, of_ours), (theirs, of_theirs), (other, _) = results
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    for name, one in of_ours.items():
        assert (one - of_theirs[name]).norm() <= 1e-5 * of_theirs[name].norm(), name
    for different in (still[kept], other):
        assert (ours - different).abs().max() > 0.1
    assert torch.equal(encode(attached, ids, mask, layer=1), encode(attached, ids, mask, layer=1)), "the frozen prefix"
    same = ids[:, :2].contiguous(), mask[:, :2].contiguous()  # no padding: the packed stream is the padded one
    torch.manual_seed(0)
    packed = encode(attached, *same, packed=True)
    torch.manual_seed(0)
    torch.testing.assert_close(packed, encode(attached, *same, packed=False), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", ["lora(r=4)", "Stack(Fuse({a}, {b}), bottleneck(reduction=4))"])
def test_going_on_from_any_layer_is_the_whole_run_bit_for_bit(
    tiny, bf16, build, enliven, rows, name, precision, packed
):
    attached = enliven(build(name, {"fp32": tiny, "bf16": bf16}[precision]))
    ids, mask = rows
    whole = encode(attached, ids, mask, packed=packed)[mask.bool()]
    assert whole.dtype == attached.backbone.policy.stream_dtype
    for layer in range(tiny.layers + 1):
        hidden = encode(attached, ids, mask, layer=layer, packed=packed)
        on = encode(attached, ids, mask, start=layer, hidden=hidden, packed=packed)
        assert torch.equal(on[mask.bool()], whole), layer


@pytest.mark.parametrize("layer", [0, 2])
def test_going_on_works_by_the_library_too(tiny, library_modules, enliven, rows, layer):
    setup, configs = foreign("prefix tuning")
    attached = enliven(library_modules(tiny, setup, **configs))
    ids, mask = rows
    hidden = encode_by_library(attached, ids, mask, layer)
    on = encode(attached, ids, mask, start=layer, hidden=hidden)
    assert torch.equal(on, encode(attached, ids, mask))


FOLDED = ["lora(r=4)", f"lora(r=4, {SIX})", "Stack({l}, {m}, lora(r=2))", "Stack({l}, bottleneck(reduction=4))", *LORAS]


@pytest.mark.parametrize("name", FOLDED)
def test_a_folded_program_gives_the_same_states_by_frozen_maps_alone(tiny, build, enliven, rows, name):
    attached = enliven(build(name))
    ids, mask = rows
    folded = program_of(attached).folded()
    kinds = {len(getattr(layer, one).updates) for layer in folded.layers for one in LINEARS}
    assert kinds == {0}
    weights = {key: tensor.clone() for key, tensor in tiny.state.items()}
    with torch.no_grad():
        for packed in (False, True):
            got = encode(attached, ids, mask, program=folded, packed=packed)[mask.bool()]
            wanted = encode(attached, ids, mask, packed=packed)[mask.bool()]
            torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-5)
    assert all(torch.equal(tensor, weights[key]) for key, tensor in tiny.state.items()), "the backbone is shared"
    assert any(layer.query.updates for layer in program_of(attached).layers), "the program itself goes on training"


@pytest.mark.parametrize("precision", ["int8", "nf4"])
def test_quantised_maps_are_not_folded(tiny_folder, build, enliven, rows, precision):
    backbone = load_backbone(str(tiny_folder), precision)
    attached = enliven(build("Stack({l}, lora(r=2))", backbone))
    ids, mask = rows
    program = program_of(attached)
    folded = program.folded()
    for layer, one in zip(program.layers, folded.layers, strict=True):
        assert all(getattr(layer, name) is getattr(one, name) for name in LINEARS)
    assert len(folded.layers[0].query.updates) == 2
    assert torch.equal(encode(attached, ids, mask, program=folded), encode(attached, ids, mask))
