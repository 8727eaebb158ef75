"""Compositions on a backbone: what trains, that nothing else moves, and that the outputs are the libraries' own."""

import hashlib
import json
import subprocess
import sys

import pytest
import torch

from adapterxfer.engine.encoder import encode
from adapterxfer.errors import UserError
from adapterxfer.modules.attach import attach
from adapterxfer.modules.parse import parse_expression

SENTENCES = ["The cat sleeps.", "Der Zug nach Berlin fährt heute nicht, sagte sie.", "猫は寝ています。"]


def built(tiny, folders, text, seed=3):
    return attach(tiny, parse_expression(text.format(**{p.name: p for p in folders.iterdir()})), "target", seed)


def stir(attached, seed=5):
    """Give every trainable parameter a distinct non-zero value; a fusion's are smaller: its scores grow with them."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in attached.trainable().items():
        parameter.data.normal_(std=0.1 if "fusion" in name else 0.3, generator=generator)


def batch(tiny):
    encoded = tiny.tokenizer(SENTENCES, padding=True, return_tensors="pt")
    return encoded["input_ids"], encoded["attention_mask"]


def digest(backbone):
    sha = hashlib.sha256()
    for name in sorted(backbone.state):
        sha.update(name.encode())
        sha.update(backbone.state[name].contiguous().view(torch.uint8).numpy().tobytes())
    return sha.hexdigest()


EXPECTED = {
    "bottleneck(reduction=4)": {".adapters.target."},
    "Stack({a}, bottleneck(reduction=4))": {".adapters.target."},
    "Continue({a})": {".adapters.target."},
    "Fuse({a}, {b})": {".adapter_fusion_layer.a,b."},
    "Stack(Fuse({a}, {b}), bottleneck(reduction=4))": {".adapters.target.", ".adapter_fusion_layer.a,b."},
    "lora(r=4)": {".lora_A.target.", ".lora_B.target."},
    "Stack({l}, lora(r=4))": {".lora_A.target.", ".lora_B.target."},
    "Continue({l})": {".lora_A.target.", ".lora_B.target."},
    "Stack({l}, bottleneck(reduction=4))": {".adapters.target."},
}


@pytest.mark.parametrize("text", EXPECTED)
def test_what_trains_is_the_fresh_module_and_the_fusion_and_nothing_else(tiny, module_folders, text):
    attached = built(tiny, module_folders, text)
    everything = [name for name, _ in attached.model.named_parameters()]
    wanted = {name for name in everything if any(mark in name for mark in EXPECTED[text])}
    assert set(attached.trainable()) == wanted
    for mark in EXPECTED[text]:
        layers = {name.split(".layer.")[1].split(".")[0] for name in wanted if mark in name}
        assert layers == {"0", "1", "2"}, f"{mark} does not train in every layer"


@pytest.mark.parametrize("text", ["Stack({a}, bottleneck(reduction=4))", "Stack({l}, lora(r=4))", "Fuse({a}, {b})"])
def test_training_steps_move_no_bit_of_the_backbone_nor_of_a_frozen_module(tiny, module_folders, text):
    attached = built(tiny, module_folders, text)
    stir(attached)
    before = digest(tiny)
    frozen = {n: p.detach().clone() for n, p in attached.model.named_parameters() if not p.requires_grad}
    moving = {n: p.detach().clone() for n, p in attached.trainable().items()}
    optimizer = torch.optim.AdamW(attached.trainable().values(), lr=1e-2)
    ids, mask = batch(tiny)
    for _ in range(3):
        encode(attached, ids, mask).pow(2).mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    assert digest(tiny) == before
    assert all(torch.equal(p, frozen[n]) for n, p in attached.model.named_parameters() if n in frozen)
    assert any(not torch.equal(p, moving[n]) for n, p in attached.trainable().items())


def test_fresh_weights_depend_on_the_seed_only(tiny, module_folders):
    one, same, other = (built(tiny, module_folders, "Stack({a}, lora(r=4))", seed) for seed in (1, 1, 2))
    for name, parameter in one.trainable().items():
        assert torch.equal(parameter, same.trainable()[name])
    assert any(not torch.equal(p, other.trainable()[n]) for n, p in one.trainable().items())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Fuse({a}, {l})", "a Fuse is of one kind"),
        ("Fuse({a}, {h})", "same places"),
        ("Fuse({a}, {top})", "same places"),
        ("Stack(nowhere/at-all, lora())", "neither a folder nor"),
        ("bottleneck(top_layers=4)", "has 3 layers"),
        ("bottleneck(reduction=64)", "leaves nothing"),
        ("Stack({a}, bottleneck(kind=parallel))", "would be lost"),
        ("Average({a}, {l})", "of one kind"),
        ("Average({a}, {h})", "of one kind"),
        ("Fuse({p}, {p2})", "twice"),
        ("Fuse({a}, {b}, gate=weights)", "without a gate"),
        ("Merge(svd, {a}, {a2})", "svd is for LoRAs"),
        ("Merge(ties, {a}, {b})", "reduction_factor=4"),
        ("Merge(ties, {l}, {k})", "different ranks"),
        ("Stack({l}, ia3())", "peft puts only one"),
    ],
)
def test_compositions_that_cannot_work_are_refused(tiny, module_folders, text, says):
    with pytest.raises(UserError) as caught:
        built(tiny, module_folders, text)
    assert says in str(caught.value)


PLAIN = """
import json, sys, torch, warnings
from adapters import AutoAdapterModel
from peft import PeftModel
from transformers import AutoTokenizer, XLMRobertaModel
base, sentences, folders = json.loads(sys.argv[1])
batch = AutoTokenizer.from_pretrained(base)(sentences, padding=True, return_tensors="pt")
for folder, (kind, out) in folders.items():
    if kind in ("lora", "ia3"):
        plain = XLMRobertaModel.from_pretrained(base, add_pooling_layer=False)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model = PeftModel.from_pretrained(plain, folder).eval()
        hidden = model(**batch)[0]
    else:
        model = AutoAdapterModel.from_pretrained(base)
        name = model.load_adapter(folder, use_safetensors=True)
        model.set_active_adapters(name)
        hidden = model.eval().roberta(**batch)[0]
    torch.save(hidden.detach(), out)
"""
SAVED = [
    "bottleneck(reduction=4)",
    "bottleneck(reduction=4, kind=houlsby)",
    "bottleneck(reduction=4, kind=parallel)",
    "bottleneck(reduction=4, invertible=True)",
    "compacter(reduction=4, terms=2)",
    "prefix(length=3, bottleneck=8, top_layers=2)",
    "lora(r=4)",
    "lora(r=4, targets=(query, output), top_layers=2)",
    "lora(r=4, dora=True)",
    "lora(r=4, rslora=True)",
    "ia3(top_layers=2)",
    "Continue({a})",
    "Continue({l})",
    "Continue(Merge(ties, {l}, {m}))",
]


def in_plain_libraries(tiny_folder, folders, where):
    """What the plain libraries make of modules, all in one fresh process: folder -> hidden states."""
    given = {str(folder): (kind, str(where / f"{number}.pt")) for number, (folder, kind) in enumerate(folders.items())}
    subprocess.run([sys.executable, "-c", PLAIN, json.dumps([str(tiny_folder), SENTENCES, given])], check=True)
    return {folder: torch.load(given[str(folder)][1]) for folder in folders}


def test_modules_saved_here_give_the_same_hidden_states_in_the_plain_libraries_in_a_fresh_process(
    tiny, tiny_folder, module_folders, tmp_path
):
    ids, mask = batch(tiny)
    ours, kinds = {}, {}
    for number, text in enumerate(SAVED):
        attached = built(tiny, module_folders, text)
        stir(attached)
        folder = tmp_path / str(number)
        attached.save(folder)
        ours[folder / "module"] = text, encode(attached, ids, mask)
        kinds[folder / "module"] = attached.parts[0].kind
    for folder, theirs in in_plain_libraries(tiny_folder, kinds, tmp_path).items():
        text, hidden = ours[folder]
        difference = (hidden[mask.bool()] - theirs[mask.bool()]).abs().max()
        assert difference < 2e-5, f"{text} differs by {difference}"


def test_modules_made_by_the_plain_libraries_give_the_same_hidden_states_here(
    tiny, tiny_folder, module_folders, tmp_path
):
    names = {"a": "bottleneck", "h": "bottleneck", "p": "bottleneck", "i": "bottleneck", "c": "bottleneck"}
    names |= {"x": "prefix", "l": "lora", "k": "lora", "d": "lora", "s": "ia3"}
    folders = {module_folders / name: kind for name, kind in names.items()}
    ids, mask = batch(tiny)
    for folder, theirs in in_plain_libraries(tiny_folder, folders, tmp_path).items():
        ours = encode(built(tiny, module_folders, f"Continue({{{folder.name}}})"), ids, mask)
        difference = (ours[mask.bool()] - theirs[mask.bool()]).abs().max()
        assert difference < 2e-5, f"{folder.name} differs by {difference}"


@pytest.mark.parametrize(
    "text",
    ["lora(r=4)", "bottleneck(reduction=4)", "Stack({l}, lora(r=4))", "Fuse({a}, {b})", "Fuse({l}, {m})", "ia3()",
     "Fuse({l}, {m}, gate=weights)", "Stack(Average({a}, {a2}), lora(r=4, dora=True))",
     "prefix(length=3, bottleneck=8)", "compacter(reduction=4, terms=2)", "bottleneck(reduction=4, invertible=True)"],
)  # fmt: skip
def test_what_trains_is_fp32_on_a_bf16_backbone(tiny_folder, module_folders, text):
    from adapterxfer.backbone import load_backbone

    half = load_backbone(str(tiny_folder), "bf16")
    attached = built(half, module_folders, text)
    assert {parameter.dtype for parameter in attached.trainable().values()} == {torch.float32}
    ids, mask = batch(half)
    encode(attached, ids, mask).float().pow(2).mean().backward()
    gradients = [parameter.grad for parameter in attached.trainable().values() if parameter.grad is not None]
    assert {gradient.dtype for gradient in gradients} == {torch.float32}


PLAIN_FUSION = """
import json, sys, torch
from adapters import AutoAdapterModel, Fuse
from transformers import AutoTokenizer
base, run, sentences, out = json.loads(sys.argv[1])
batch = AutoTokenizer.from_pretrained(base)(sentences, padding=True, return_tensors="pt")
model = AutoAdapterModel.from_pretrained(base)
names = [model.load_adapter(f"{run}/frozen/{name}", use_safetensors=True) for name in ("a", "b")]
model.load_adapter_fusion(f"{run}/fusion", use_safetensors=True)
model.set_active_adapters(Fuse(*names))
torch.save(model.eval().roberta(**batch)[0].detach(), out)
"""


def test_a_fusion_saved_here_gives_the_same_hidden_states_in_plain_adapters_in_a_fresh_process(
    tiny, tiny_folder, module_folders, tmp_path
):
    attached = built(tiny, module_folders, "Fuse({a}, {b})")
    stir(attached)
    attached.save(tmp_path)
    out = tmp_path / "hidden.pt"
    arguments = json.dumps([str(tiny_folder), str(tmp_path), SENTENCES, str(out)])
    subprocess.run([sys.executable, "-c", PLAIN_FUSION, arguments], check=True)
    ids, mask = batch(tiny)
    kept = mask.bool()
    torch.testing.assert_close(encode(attached, ids, mask)[kept], torch.load(out)[kept], atol=1e-5, rtol=1e-5)
