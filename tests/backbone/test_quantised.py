"""Backbones whose linear weights bitsandbytes holds: what is quantised, shared, computed, and saved."""

import json
import math
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from bitsandbytes.nn import Linear4bit, Linear8bitLt
from torch.nn import functional

import adapterxfer as ax
import adapterxfer.backbone.precision as precision_module
from adapterxfer.backbone import PRECISIONS, Policy, load_backbone
from adapterxfer.backbone.precision import QUANTISED
from adapterxfer.backbone.quantised import quantise
from adapterxfer.engine.encoder import encode, encode_by_library, path_of
from adapterxfer.errors import UserError
from adapterxfer.modules.attach import attach, attach_run, bare
from adapterxfer.modules.parse import parse_expression

CLASSES = {"int8": Linear8bitLt, "nf4": Linear4bit}
SIX = ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense")
SIX += ("intermediate.dense", "output.dense")
PAGE = Path(__file__).resolve().parents[2] / "docs" / "precision.md"
QUICK = {"steps": 4, "max_examples": 32, "max_eval_examples": 8, "batch_size": 8, "seed": 0}


def pointers(model):
    """Where the quantised weights and their scales stand in memory."""
    found = []
    for module in model.roberta.modules():
        if isinstance(module, Linear8bitLt):
            found += [module.weight.data_ptr(), module.scales.data_ptr(), module.weight.SCB.data_ptr()]
        elif isinstance(module, Linear4bit):
            found += [module.weight.data_ptr(), module.quant_state.absmax.data_ptr()]
    return found


@pytest.mark.parametrize("precision", QUANTISED)
def test_exactly_the_six_linear_maps_of_each_layer_are_quantised(every_precision, precision):
    backbone = every_precision[precision]
    model = backbone.new_model()
    found = {name for name, module in model.roberta.named_modules() if isinstance(module, tuple(CLASSES.values()))}
    assert found == {f"encoder.layer.{layer}.{one}" for layer in range(backbone.layers) for one in SIX}
    assert all(isinstance(model.roberta.get_submodule(name), CLASSES[precision]) for name in found)
    assert {f"{name}.weight" for name in found} == set(backbone.quantised)
    assert not set(backbone.quantised) & set(backbone.state)
    tensors = [*model.named_parameters(), *model.named_buffers()]
    assert not any(tensor.requires_grad or tensor.is_meta for _, tensor in tensors)


@pytest.mark.parametrize("precision", QUANTISED)
def test_models_share_the_quantised_weights_also_with_modules_on_them(every_precision, expressions, precision):
    backbone = every_precision[precision]
    wanted = pointers(backbone.new_model())
    assert len(wanted) == {"int8": 3, "nf4": 2}[precision] * 6 * backbone.layers
    for kind in ("bottleneck", "lora", "fuse"):
        assert pointers(attach(backbone, expressions[kind], "fresh", 0).model) == wanted


@pytest.mark.parametrize("precision", QUANTISED)
def test_the_digest_is_that_of_the_stored_weights(every_precision, tiny, precision):
    assert every_precision[precision].digest == tiny.digest


@pytest.mark.parametrize("shape", [(32, 64), (64, 32), (48, 96), (6, 10), (384, 384)])
@pytest.mark.parametrize("precision", QUANTISED)
def test_a_weight_comes_back_within_half_a_step(precision, shape):
    torch.manual_seed(0)
    weight = torch.randn(shape)
    weight[0] = 0
    back = quantise(weight, precision).linear().unpacked(torch.float32)
    assert back.shape == weight.shape
    # 254 steps between the largest weight of an output and its negative; the widest gap of nf4 is 0.3 of its block's
    if precision == "int8":
        step = weight.abs().amax(1, keepdim=True) / 127
    else:
        blocks = functional.pad(weight.flatten(), (0, -weight.numel() % 64)).view(-1, 64)
        step = 0.31 * blocks.abs().amax(1).repeat_interleave(64)[: weight.numel()].view(shape)
    assert ((back - weight).abs() <= step / 2 + 1e-3).all()
    assert not back[0].any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("precision", QUANTISED)
def test_a_product_and_its_gradient_are_those_of_the_unpacked_weight(precision, dtype):
    torch.manual_seed(0)
    module = quantise(torch.randn(48, 32), precision).linear()
    module.bias = torch.nn.Parameter(torch.randn(48), requires_grad=False)
    x, above = torch.randn(2, 5, 32, dtype=dtype), torch.randn(2, 5, 48, dtype=dtype)
    results = []
    for run in (module, lambda x: functional.linear(x, module.unpacked(dtype), module.bias.to(dtype))):
        one = x.clone().requires_grad_()
        output = run(one)
        output.backward(above)
        results.append((output, one.grad))
    assert all(torch.equal(ours, plain) and ours.dtype == dtype for ours, plain in zip(*results, strict=True))
    assert module.bias.dtype == torch.float32, "a shared bias keeps its type"


@pytest.mark.parametrize("precision", QUANTISED)
def test_under_autocast_a_product_has_its_type_as_a_plain_linear_map_has(precision):
    module = quantise(torch.randn(48, 32), precision).linear()
    module.bias = torch.nn.Parameter(torch.zeros(48), requires_grad=False)
    with torch.autocast("cpu", torch.bfloat16):
        assert module(torch.randn(3, 32)).dtype == torch.nn.Linear(32, 48)(torch.randn(3, 32)).dtype == torch.bfloat16
    assert module(torch.randn(3, 32)).dtype == torch.float32


@pytest.mark.parametrize("precision", QUANTISED)
def test_nothing_is_kept_for_the_backward_pass(precision):
    module = quantise(torch.randn(48, 32), precision).linear()
    module.bias = torch.nn.Parameter(torch.zeros(48), requires_grad=False)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor) or tensor, lambda tensor: tensor):
        module(torch.randn(3, 32, requires_grad=True))
    assert not kept


@pytest.mark.parametrize("precision", QUANTISED)
def test_a_dora_and_two_loras_stand_on_quantised_maps(every_precision, precision):
    from peft import LoraConfig

    from adapterxfer.modules.storage import inject_peft

    backbone = every_precision[precision]
    pattern = r"encoder\.layer\.\d+\.(attention\.self\.query|output\.dense)"
    batch = backbone.tokenizer(["Der Hund schläft.", "ok"], return_tensors="pt", padding=True)
    for options in ([{"use_dora": True}], [{}, {}]):
        attached = bare(backbone)
        model = attached.model
        names = []
        for number, option in enumerate(options):
            torch.manual_seed(number)
            names.append(f"l{number}")
            config = LoraConfig(r=4, target_modules=pattern, init_lora_weights=False, **option)
            inject_peft(model, config, names[-1])
        for module in model.roberta.modules():
            if hasattr(module, "lora_A") and hasattr(module, "set_adapter"):
                module.set_adapter(names)
        model.to(next(iter(backbone.state.values())).device)
        assert pointers(model) == pointers(backbone.new_model())
        batch = batch.to(next(iter(backbone.state.values())).device)
        before = encode(bare(backbone), batch["input_ids"], batch["attention_mask"])
        hidden = encode(attached, batch["input_ids"], batch["attention_mask"])
        library = encode_by_library(attached, batch["input_ids"], batch["attention_mask"])
        real = batch["attention_mask"] == 1
        assert (hidden - before)[real].float().norm() > 0.01 * before[real].float().norm()
        assert (hidden - library)[real].float().norm() < 0.03 * hidden[real].float().norm()
        hidden.float().pow(2).sum().backward()
        gradients = [parameter.grad for parameter in model.parameters() if parameter.requires_grad]
        assert gradients
        assert all(one is not None and one.isfinite().all() and one.dtype == torch.float32 for one in gradients)


@pytest.mark.parametrize(
    ("trained_at", "read_at", "spec"),
    [("nf4", "fp32", ax.lora(r=4)), ("int8", "fp32", ax.bottleneck(reduction=4)), ("fp32", "nf4", ax.lora(r=4))],
)
def test_a_run_can_be_evaluated_at_another_precision(every_precision, tiny_folder, tmp_path, trained_at, read_at, spec):
    run = ax.train_target("sample_nli", every_precision[trained_at], spec, out=tmp_path / "run", **QUICK)
    assert json.loads((run.folder / "run.json").read_text())["backbone"]["precision"] == trained_at
    scores = ax.evaluate(run, backbone=str(tiny_folder), precision=read_at, languages=["de"], max_eval_examples=8)
    assert "de" in scores.table()


def test_a_lora_trained_on_four_bits_is_what_plain_peft_loads(every_precision, tiny, tiny_folder, tmp_path):
    from peft import PeftModel
    from transformers import XLMRobertaModel

    attached = attach(every_precision["nf4"], parse_expression("lora(r=4, targets=(query, output))"), "fresh", 0)
    for parameter in attached.trainable().values():
        parameter.data.normal_(std=0.2)
    attached.save(tmp_path)
    plain = XLMRobertaModel.from_pretrained(tiny_folder, add_pooling_layer=False)
    loaded = PeftModel.from_pretrained(plain, tmp_path / "module").eval()
    batch = tiny.tokenizer(["Der Hund schläft.", "ok"], return_tensors="pt", padding=True)
    record = {
        "backbone": {"name": "tiny", "digest": tiny.digest},
        "composition": attached.describe(),
        "trained_on": [],
        "protected": [],
    }
    (tmp_path / "run.json").write_text(json.dumps(record))
    with torch.no_grad():
        ours = encode(attach_run(tiny, tmp_path), batch["input_ids"], batch["attention_mask"])
        theirs = loaded(**batch)[0]
    assert path_of(attached) == "own"
    assert (ours - theirs)[batch["attention_mask"] == 1].abs().max() < 1e-4


def test_without_bitsandbytes_one_sentence_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(UserError, match=r"^precision nf4 needs the package bitsandbytes, .* or choose bf16\.$"):
        load_backbone("mini", "nf4")


def pooled(backbone, texts) -> np.ndarray:
    device = next(iter(backbone.state.values())).device
    batch = backbone.tokenizer(texts, return_tensors="pt", padding=True).to(device)
    with torch.inference_mode():
        hidden = encode(bare(backbone), batch["input_ids"], batch["attention_mask"]).float()
    mask = batch["attention_mask"][..., None]
    return functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1).cpu().numpy()


def memory(backbone) -> dict[str, float]:
    """What the weights take, in MiB: those of the layers, and all."""
    layers = sum(weight.nbytes for weight in backbone.quantised.values())
    layers += sum(tensor.nbytes for name, tensor in backbone.state.items() if name.startswith("encoder."))
    rest = sum(tensor.nbytes for name, tensor in backbone.state.items() if not name.startswith("encoder."))
    return {"layers": layers / 2**20, "all": (layers + rest) / 2**20}


def said_by_the_page() -> dict[str, list[float]]:
    """Its numbers by precision: layers and all of mini, mean and lowest cosine, layers and all of XLM-R Large."""
    row = r"^\| (\w+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| (\d+) \| (\d+) \|$"
    rows = re.findall(row, PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return {word: [float(one) for one in rest] for word, *rest in rows}


def test_on_mini_each_precision_is_as_small_and_as_close_as_the_page_says(mini, monkeypatch):
    """Sentences are the bundled ones, in nine languages; the page shows a machine whose best precision is bf16."""
    monkeypatch.setattr(precision_module, "best_precision", lambda: ("bf16", ""))
    folder = Path(ax.__file__).parent / "sample" / "data" / "sample_nli"
    texts = []
    for path in sorted(folder.glob("test.*.tsv")):
        texts += [line.split("\t")[1] for line in path.read_text(encoding="utf-8").splitlines()[1:5]]
    assert len(texts) == 36
    exact = pooled(mini, texts)
    said = said_by_the_page()
    assert set(said) == set(PRECISIONS)
    for precision in PRECISIONS:
        backbone = mini if precision == "fp32" else load_backbone("mini", precision)
        layers, everything, mean, least = said[precision][:4]
        took = memory(backbone)
        assert took["layers"] == pytest.approx(layers, abs=0.1)
        assert took["all"] == pytest.approx(everything, abs=0.1)
        cosines = (exact * pooled(backbone, texts)).sum(1)
        print(precision, took, round(float(cosines.mean()), 5), round(float(cosines.min()), 5))
        slack = {"nf4": 0.003, "int8": 0.0003}.get(precision, 0.0001)
        assert cosines.mean() > mean - slack
        assert cosines.min() > least - 3 * slack


def test_the_page_s_memory_of_xlm_r_large_follows_from_its_shapes(monkeypatch):
    from transformers import XLMRobertaConfig

    from adapterxfer.backbone.model import shapes

    monkeypatch.setattr(precision_module, "best_precision", lambda: ("bf16", ""))
    sizes = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096}
    config = XLMRobertaConfig(vocab_size=250002, max_position_embeddings=514, type_vocab_size=1, **sizes)
    weights = shapes(config)
    for precision, (*_, layers, everything) in said_by_the_page().items():
        policy = Policy(precision)
        took = {True: 0.0, False: 0.0}
        for name, shape in weights.items():
            count = math.prod(shape)
            if policy.quantises(name):
                bits = {"int8": 8 * count + 32 * shape[0], "nf4": 4 * count + 32 * count / 64}[precision]
            else:
                bits = 8 * count * policy.storage_dtype(name).itemsize
            took[name.startswith("encoder.")] += bits / 8 / 2**20
        assert took[True] == pytest.approx(layers, abs=1)
        assert sum(took.values()) == pytest.approx(everything, abs=1)
