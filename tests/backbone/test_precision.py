"""Every cell of the precision table, measured on a model that trains: its types, gradients and progress."""

import dataclasses
import re
from pathlib import Path

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import adapterxfer.backbone.precision as precision_module
from adapterxfer.backbone import PRECISIONS, Policy, best_precision, load_backbone
from adapterxfer.backbone.precision import QUANTISED, components
from adapterxfer.engine.encoder import encode, encode_by_library
from adapterxfer.errors import UserError

PAGE = Path(__file__).resolve().parents[2] / "docs" / "precision.md"
WORDS = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16", torch.int8: "int8", torch.uint8: "nf4"}
KINDS = ("bottleneck", "lora", "fuse")
SIX = {"attention.self.query", "attention.self.key", "attention.self.value"}
SIX |= {"attention.output.dense", "intermediate.dense", "output.dense"}
# How far a gradient may turn from fp32's on this small random encoder, whose weights forgive less than trained ones.
SAME_DIRECTION = {"fp32": 0.99999, "bf16": 0.99, "fp16": 0.999, "int8": 0.98, "nf4": 0.85}


class Products(TorchDispatchMode):
    """The types that go into matrix products, and those of the sums and weights of LayerNorm."""

    def __init__(self):
        super().__init__()
        self.products, self.norms = set(), set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if name in ("mm", "addmm", "bmm", "baddbmm") or "scaled_dot_product" in name:
            self.products |= {WORDS[one.dtype] for one in args if isinstance(one, torch.Tensor)}
        if name == "native_layer_norm":
            self.norms |= {WORDS[one.dtype] for one in (args[2], args[3], result[1], result[2])}
        return result


def frozen_linears(model):
    """The linear maps of the layers themselves, by their place, whatever stands on them."""
    found = {}
    for name, module in model.roberta.named_modules():
        match = re.fullmatch(r"encoder\.layer\.(\d+)\.(.+?)(\.base_layer)?", name)
        if match and match[2] in SIX:
            found[match[1], match[2]] = getattr(module, "base_layer", module)
    return found


def loss_of(bench, run=encode):
    mask = bench.batch["attention_mask"]
    hidden = run(bench.attached, bench.batch["input_ids"], mask)
    logits = bench.head(hidden, mask)
    return hidden, logits, bench.head.loss(logits, bench.batch)


def gradient(bench, run=encode):
    bench.attached.set_training(True)
    loss_of(bench, run)[2].backward()
    return {name: parameter.grad for name, parameter in bench.attached.trainable().items()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_cell_of_the_table_is_what_a_training_step_shows(workbench, precision, kind):
    bench = workbench(precision, kind)
    table = bench.backbone.policy.components
    measured = {"loss scaling": "yes" if bench.backbone.policy.scaled else "no"}
    linears = frozen_linears(bench.attached.model)
    assert len(linears) == 6 * bench.backbone.layers

    def one(dtypes):
        words = {WORDS[dtype] for dtype in dtypes}
        assert len(words) == 1, words
        return words.pop()

    measured["frozen linear weights"] = one(module.weight.dtype for module in linears.values())
    measured["frozen linear biases"] = one(module.bias.dtype for module in linears.values())
    measured["scales of quantised weights"] = "-"
    if precision in QUANTISED:
        scales = [module.scales if precision == "int8" else module.quant_state.absmax for module in linears.values()]
        measured["scales of quantised weights"] = one(scale.dtype for scale in scales)
    encoder = bench.attached.model.roberta
    measured["embeddings"] = one(parameter.dtype for parameter in encoder.embeddings.parameters())
    norms = [module for module in encoder.modules() if isinstance(module, torch.nn.LayerNorm)]
    measured["LayerNorm weights"] = one(parameter.dtype for norm in norms for parameter in norm.parameters())
    trained = bench.attached.trainable()
    measured["adapter, LoRA and fusion weights"] = one(parameter.dtype for parameter in trained.values())
    measured["heads"] = one(parameter.dtype for parameter in bench.head.parameters())

    bench.attached.set_training(True)
    optimiser = torch.optim.AdamW([*trained.values(), *bench.head.parameters()])
    mask = bench.batch["attention_mask"]
    with Products() as seen:
        hidden = encode(bench.attached, bench.batch["input_ids"], mask)
        middle = encode(bench.attached, bench.batch["input_ids"], mask, layer=1)
    # one kind of product within the encoder: the frozen maps', the modules' and the attention's
    assert len(seen.products) == len(seen.norms) == 1
    for name in ("frozen linear products", "attention", "adapter, LoRA and fusion products"):
        measured[name] = next(iter(seen.products))
    measured["LayerNorm arithmetic"] = next(iter(seen.norms))
    measured["residual stream"] = one({hidden.dtype, middle.dtype})

    logits = bench.head(hidden, mask)
    loss = bench.head.loss(logits, bench.batch)
    measured["loss"] = one({logits.dtype, loss.dtype})
    (above,) = torch.autograd.grad(loss, hidden, retain_graph=True)
    loss.backward(inputs=list(bench.head.parameters()), retain_graph=True)
    with Products() as seen:
        hidden.backward(above)
    assert len(seen.products) == 1, "no product below the head in another type"
    measured["activation gradients"] = next(iter(seen.products))
    measured["adapter, LoRA and fusion gradients"] = one(parameter.grad.dtype for parameter in trained.values())
    optimiser.step()
    state = [value for one in optimiser.state.values() for value in one.values()]
    measured["optimiser state"] = one(value.dtype for value in state)
    assert measured == table


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_gradients_are_finite_and_point_where_those_of_fp32_point(workbench, precision, kind):
    exact = gradient(workbench("fp32", kind))
    for run in (encode, encode_by_library):
        rough = gradient(workbench(precision, kind), run)
        assert rough.keys() == exact.keys()
        assert all(one is not None and one.isfinite().all() for one in rough.values())
        both = [torch.cat([one[name].flatten() for name in sorted(exact)]) for one in (exact, rough)]
        cosine = torch.nn.functional.cosine_similarity(*both, dim=0).item()
        print(precision, kind, run.__name__, round(cosine, 5))
        assert cosine > SAME_DIRECTION[precision]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("precision", QUANTISED)
def test_a_quantised_gradient_is_that_of_plain_fp32_layers_with_the_rounded_weights(
    workbench, every_precision, monkeypatch, precision, kind
):
    monkeypatch.setattr(precision_module, "best_precision", lambda: ("fp32", ""))
    quantised = every_precision[precision]
    rounded = {name: weight.linear().unpacked(torch.float32) for name, weight in quantised.quantised.items()}
    others = {name: tensor.float() for name, tensor in quantised.state.items()}  # biases, stored in this machine's type
    fp32 = dataclasses.replace(every_precision["fp32"], state={**others, **rounded})
    monkeypatch.setitem(every_precision, "fp32", fp32)
    monkeypatch.setitem(every_precision, precision, dataclasses.replace(quantised, state=others))
    for run in (encode, encode_by_library):
        expected, got = gradient(workbench("fp32", kind), run), gradient(workbench(precision, kind), run)
        for name, one in expected.items():
            assert torch.allclose(got[name], one, rtol=1e-4, atol=1e-6 * float(one.abs().max()) + 1e-7), name


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_gradients_are_the_same_after_an_evaluation(workbench, precision, kind):
    bench = workbench(precision, kind)
    before = gradient(bench)
    for parameter in bench.attached.trainable().values():
        parameter.grad = None
    bench.attached.set_training(False)
    with torch.inference_mode():
        loss_of(bench)
    after = gradient(bench)
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_own_driver_and_the_library_agree_within_the_precision(workbench, precision, kind):
    bench = workbench(precision, kind)
    mask = bench.batch["attention_mask"]
    with torch.no_grad():
        own, library = (loss_of(bench, run)[0].float()[mask == 1] for run in (encode, encode_by_library))
    noise = {"fp32": 1e-5, "fp16": 3e-3, "bf16": 2e-2}[bench.backbone.policy.components["residual stream"]]
    assert ((own - library).norm() / library.norm()).item() < noise


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_few_updates_move_the_loss_down_and_no_frozen_weight(workbench, precision, kind):
    bench = workbench(precision, kind)
    trained = list(bench.attached.trainable().values())
    moving = {parameter.data_ptr() for parameter in trained}
    frozen = {
        name: tensor.clone()
        for name, tensor in bench.attached.model.state_dict().items()
        if tensor.data_ptr() not in moving
    }
    optimiser = torch.optim.AdamW([*trained, *bench.head.parameters()], lr=5e-3)
    device = bench.batch["input_ids"].device.type
    scaler = torch.amp.GradScaler(device, enabled=bench.backbone.policy.scaled)
    bench.attached.set_training(True)
    losses = []
    for _ in range(20):
        loss = loss_of(bench)[2]
        losses.append(loss.item())
        scaler.scale(loss).backward()
        scaler.step(optimiser)
        scaler.update()
        optimiser.zero_grad()
    assert losses[-1] < 0.75 * losses[0]
    now = bench.attached.model.state_dict()
    assert len(frozen) > 6 * bench.backbone.layers
    assert all(torch.equal(now[name], tensor) for name, tensor in frozen.items())


def test_what_is_stored_follows_the_weight_s_name():
    for name in ("embeddings.word_embeddings.weight", "encoder.layer.0.output.LayerNorm.weight"):
        assert {Policy(precision).storage_dtype(name) for precision in PRECISIONS} == {torch.float32}
        assert not any(Policy(precision).quantises(name) for precision in PRECISIONS)
    query = "encoder.layer.0.attention.self.query."
    assert [Policy(precision).quantises(query + "weight") for precision in PRECISIONS] == [False] * 3 + [True] * 2
    assert not any(Policy(precision).quantises(query + "bias") for precision in PRECISIONS)


@pytest.mark.parametrize(
    ("best", "dtype"), [("bf16", torch.bfloat16), ("fp16", torch.float16), ("fp32", torch.float32)]
)
def test_quantised_precisions_compute_in_what_is_best_here(monkeypatch, best, dtype):
    monkeypatch.setattr(precision_module, "best_precision", lambda: (best, ""))
    for word in QUANTISED:
        policy = Policy(word)
        assert policy.stream_dtype == policy.storage_dtype("encoder.layer.0.output.dense.bias") == dtype
        assert policy.scaled == (best == "fp16")
        with policy.autocast("cpu"):
            assert torch.is_autocast_enabled("cpu") == (best != "fp32")
    assert [Policy(word).stream_dtype for word in ("fp32", "bf16", "fp16")] == [
        torch.float32,
        torch.bfloat16,
        torch.float16,
    ]


def test_auto_is_never_a_quantised_precision():
    precision, reason = best_precision()
    assert precision in ("fp32", "bf16", "fp16")
    assert reason


def test_an_unknown_precision_is_named_with_the_known_ones():
    with pytest.raises(UserError, match="unknown precision 'int3': it is one of auto, fp32, bf16, fp16, int8, nf4"):
        load_backbone("mini", "int3")


def test_the_page_shows_the_table_of_the_policy():
    """A machine with bf16 is shown; what the others compute in at int8 and nf4 stands below the table."""
    columns = [components(precision, "bf16") for precision in PRECISIONS]
    lines = ["| | " + " | ".join(PRECISIONS) + " |", "|---" * (len(PRECISIONS) + 1) + "|"]
    lines += ["| " + " | ".join([name, *(column[name] for column in columns)]) + " |" for name in columns[0]]
    assert "\n".join(lines) in PAGE.read_text(encoding="utf-8")
