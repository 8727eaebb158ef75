"""Merging: LoRAs against peft's own `add_weighted_adapter`, bottlenecks against arithmetic done here by hand."""

import json
import shutil
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from adapterxfer.engine.encoder import encode
from adapterxfer.engine.fold import folded_state
from adapterxfer.errors import UserError
from adapterxfer.files import sha256_file
from adapterxfer.modules.attach import attach
from adapterxfer.modules.compose import compose
from adapterxfer.modules.expression import Merge
from adapterxfer.modules.merging import source_of
from adapterxfer.modules.parse import parse_expression
from adapterxfer.modules.resolve import resolve

LORA_RULES = [
    ("linear", {"weights": (0.7, 0.3)}, "linear", {}),
    ("arithmetic", {"weights": (1.0, -0.5)}, "cat", {}),
    ("arithmetic", {}, "cat", {}),
    ("svd", {"weights": (0.6, 0.9), "r": 3}, "svd", {"svd_rank": 3}),
    ("ties", {"weights": (1.0, 0.8), "density": 0.4}, "ties", {"density": 0.4}),
    ("ties", {}, "ties", {"density": 0.2}),
    ("dare_linear", {"density": 0.5, "seed": 7}, "dare_linear", {"density": 0.5}),
    ("dare_ties", {"density": 0.5, "seed": 7, "weights": (1.0, -1.0)}, "dare_ties", {"density": 0.5}),
    ("magnitude_prune", {"density": 0.3, "weights": (0.5, 0.5)}, "magnitude_prune", {"density": 0.3}),
]


@pytest.fixture(scope="module")
def wrapped(tiny_folder, module_folders):
    from peft import PeftModel
    from transformers import XLMRobertaModel

    plain = XLMRobertaModel.from_pretrained(tiny_folder, add_pooling_layer=False)
    model = PeftModel.from_pretrained(plain, module_folders / "l", adapter_name="l")
    for name in ("m", "k"):
        model.load_adapter(module_folders / name, name)
    return model


def updates(tensors, scale):
    """The update of every map: scale x B A."""
    places = [key for key in tensors if "lora_A" in key]
    return {key: scale * tensors[key.replace("lora_A", "lora_B")] @ tensors[key] for key in places}


@pytest.mark.parametrize(("method", "options", "theirs", "their_options"), LORA_RULES)
def test_a_merge_of_loras_equals_pefts(wrapped, module_folders, monkeypatch, method, options, theirs, their_options):
    merged = source_of(Merge(method, module_folders / "l", module_folders / "m", **options))
    weights = list(options.get("weights", (1.0, 1.0)))
    inject = wrapped.base_model.inject_adapter

    def then_seed(*arguments):  # peft first draws the initial weights of the module it then fills
        inject(*arguments)
        torch.manual_seed(options.get("seed", 0))

    monkeypatch.setattr(wrapped.base_model, "inject_adapter", then_seed)
    name = f"merged-{method}-{len(wrapped.peft_config)}"
    wrapped.add_weighted_adapter(["l", "m"], weights, name, combination_type=theirs, **their_options)
    ours = updates(merged.tensors(), merged.config["lora_alpha"] / merged.config["r"])
    found = 0
    for key, layer in wrapped.base_model.model.named_modules():
        if name in getattr(layer, "lora_A", ()):
            delta = layer.get_delta_weight(name).detach()
            torch.testing.assert_close(ours[f"base_model.model.{key}.lora_A.weight"], delta, atol=1e-6, rtol=1e-6)
            found += 1
    assert found == len(ours) == 6


def test_arithmetic_on_loras_of_different_ranks_and_scales_is_the_sum_of_their_updates(module_folders):
    merged = source_of(Merge("arithmetic", module_folders / "l", module_folders / "k", weights=(0.5, -2)))
    one = updates(load_file(module_folders / "l" / "adapter_model.safetensors"), 8 / 4)
    two = updates(load_file(module_folders / "k" / "adapter_model.safetensors"), 4 / 2**0.5)  # rank-stabilised
    ours = updates(merged.tensors(), 1.0)
    assert merged.config["r"] == merged.config["lora_alpha"] == 6
    for key, value in ours.items():
        torch.testing.assert_close(value, 0.5 * one[key] - 2 * two[key], atol=1e-6, rtol=1e-5)


def test_adamergex_adds_the_difference_of_the_references_to_the_task(module_folders):
    merged = source_of(Merge("adamergex", *[module_folders / name for name in ("l", "m", "k")], factor=0.25))
    scales = {"l": 8 / 4, "m": 9 / 4, "k": 4 / 2**0.5}
    parts = {n: updates(load_file(module_folders / n / "adapter_model.safetensors"), s) for n, s in scales.items()}
    for key, value in updates(merged.tensors(), 1.0).items():
        wanted = parts["l"][key] + 0.25 * (parts["m"][key] - parts["k"][key])
        torch.testing.assert_close(value, wanted, atol=1e-6, rtol=1e-5)


def ties_by_hand(values, weights, density):
    """Keep the largest of each, elect the sign of each place by the sum, average those who agree."""
    trimmed = []
    for value in values:
        keep = int(density * value.numel())
        least = sorted(value.abs().flatten().tolist(), reverse=True)[keep - 1] if keep else float("inf")
        trimmed.append(torch.where(value.abs() >= least, value, torch.zeros(())))
    result = torch.zeros_like(values[0]).flatten()
    for place in range(result.numel()):
        held = [one.flatten()[place].item() for one in trimmed]
        sign = 1 if sum(held) >= 0 else -1
        agreeing = [w * h for w, h in zip(weights, held, strict=True) if h != 0 and (h > 0) == (sign > 0)]
        result[place] = sum(agreeing) / max(1, len(agreeing))
    return result.view_as(values[0])


def pruned_by_hand(values, weights, density):
    total = torch.zeros_like(values[0])
    for value, weight in zip(values, weights, strict=True):
        keep = int(density * value.numel())
        order = value.abs().flatten().argsort(descending=True)[:keep]
        mask = torch.zeros(value.numel())
        mask[order] = 1
        total += weight * value * mask.view_as(value)
    return total


BY_HAND = [
    ("linear", {"weights": (3, 1)}, lambda v: 0.75 * v[0] + 0.25 * v[1]),
    ("arithmetic", {"weights": (1, -0.5)}, lambda v: v[0] - 0.5 * v[1]),
    ("ties", {"density": 0.4, "weights": (1, 0.5)}, lambda v: ties_by_hand(v, (1, 0.5), 0.4)),
    ("magnitude_prune", {"density": 0.4}, lambda v: pruned_by_hand(v, (1, 1), 0.4)),
]


@pytest.mark.parametrize(("method", "options", "by_hand"), BY_HAND)
def test_a_merge_of_bottlenecks_is_the_arithmetic_it_says(module_folders, method, options, by_hand):
    merged = source_of(Merge(method, module_folders / "a", module_folders / "a2", **options)).tensors()
    one, two = (load_file(module_folders / name / "adapter.safetensors") for name in ("a", "a2"))
    assert len(merged) == len(one) == 12
    for key, value in merged.items():
        values = [one[key.replace(".merged.", ".a.")], two[key.replace(".merged.", ".a2.")]]
        torch.testing.assert_close(value, by_hand(values), atol=1e-6, rtol=1e-5)


def test_adamergex_of_bottlenecks_is_that_sum_of_their_weights(module_folders):
    merged = source_of(Merge("adamergex", *[module_folders / name for name in ("a", "a2", "a")], factor=0.5)).tensors()
    one, two = (load_file(module_folders / name / "adapter.safetensors") for name in ("a", "a2"))
    for key, value in merged.items():
        first, second = one[key.replace(".merged.", ".a.")], two[key.replace(".merged.", ".a2.")]
        torch.testing.assert_close(value, first + 0.5 * (second - first), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("method", ["dare_linear", "dare_ties"])
def test_dare_on_bottlenecks_drops_by_its_seed_and_scales_up_what_is_left(module_folders, method):
    def values(seed):
        return source_of(Merge(method, module_folders / "a", module_folders / "a2", density=0.5, seed=seed)).tensors()

    state = torch.get_rng_state()
    first, same, other = values(1), values(1), values(2)
    assert torch.equal(torch.get_rng_state(), state), "a merge moves the random state of its caller"
    assert all(torch.equal(first[key], same[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)
    one, two = (load_file(module_folders / name / "adapter.safetensors") for name in ("a", "a2"))
    for key, value in first.items():
        a, b = 2 * one[key.replace(".merged.", ".a.")], 2 * two[key.replace(".merged.", ".a2.")]
        agreed = (a + b) / 2 if method == "dare_ties" else a + b  # ties averages the two where they agree
        possible = torch.stack([torch.zeros_like(a), a, b, agreed])
        assert ((value - possible).abs().min(0).values < 1e-6).all()


def test_a_merge_in_a_merge_is_merged_first(module_folders):
    a, b = module_folders / "a", module_folders / "a2"
    inner = Merge("linear", a, b)
    outer = source_of(Merge("arithmetic", inner, a, weights=(2, -1))).tensors()
    one, two = (load_file(module_folders / name / "adapter.safetensors") for name in ("a", "a2"))
    for key, value in outer.items():
        torch.testing.assert_close(value, two[key.replace(".merged.", ".a2.")], atol=1e-6, rtol=1e-5)
    assert one.keys() != two.keys()


PLAIN = """
import json, sys, torch
from transformers import AutoTokenizer, XLMRobertaModel
base, root, sentences, names = json.loads(sys.argv[1])
batch = AutoTokenizer.from_pretrained(base)(sentences, padding=True, return_tensors="pt")
for name, kind in names.items():
    if kind == "lora":
        from peft import PeftModel
        model = PeftModel.from_pretrained(XLMRobertaModel.from_pretrained(base, add_pooling_layer=False), root + name)
        hidden = model.eval()(**batch)[0]
    else:
        from adapters import AutoAdapterModel
        model = AutoAdapterModel.from_pretrained(base)
        model.set_active_adapters(model.load_adapter(root + name, use_safetensors=True))
        hidden = model.eval().roberta(**batch)[0]
    torch.save(hidden.detach(), root + name + ".pt")
"""
COMPOSED = {
    "ties-a": ("Merge(ties, {a}, {a2})", "bottleneck"),
    "invertible": ("Merge(linear, {i}, {i2})", "bottleneck"),
    "ties-l": ("Merge(ties, {l}, {m}, density=0.5)", "lora"),
    "sum-l": ("Merge(arithmetic, {l}, {k}, weights=(1, -1))", "lora"),
    "svd-l": ("Merge(svd, {l}, {m}, r=2)", "lora"),
    "average-l": ("Average({l}, {m}, weights=(0.7, 0.3))", "lora"),
    "stack-l": ("Stack({l}, {m})", "lora"),
    "one": ("{h}", "bottleneck"),
}


def test_what_compose_writes_loads_in_the_plain_libraries_in_a_fresh_process_with_equal_outputs(
    tiny, tiny_folder, module_folders, tmp_path
):
    named = {path.name: path for path in module_folders.iterdir()}
    sentences = ["The cat sleeps.", "Der Zug fährt heute nicht."]
    for name, (written, _) in COMPOSED.items():
        compose(written.format(**named), tmp_path / name)
    kinds = {name: kind for name, (_, kind) in COMPOSED.items()}
    arguments = json.dumps([str(tiny_folder), f"{tmp_path}/", sentences, kinds])
    subprocess.run([sys.executable, "-c", PLAIN, arguments], check=True)
    batch = tiny.tokenizer(sentences, padding=True, return_tensors="pt")
    ids, mask = batch["input_ids"], batch["attention_mask"]
    for name, (written, kind) in COMPOSED.items():
        theirs = torch.load(tmp_path / f"{name}.pt")[mask.bool()]
        ours = encode(attach(tiny, parse_expression(written.format(**named)), "t", 0), ids, mask)[mask.bool()]
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5, msg=lambda text, name=name: f"{name}: {text}")
        assert resolve(str(tmp_path / name)).kind == kind


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("Stack({a}, {a2})", "only the updates of LoRAs add up"),
        ("Average({a}, {a2})", "only the updates of LoRAs add up"),
        ("Fuse({l}, {m})", "is not one trained module"),
        ("Stack({l}, lora())", "is not one trained module"),
        ("Stack({l}, Fuse({m}, {k}))", "learns its mixture"),
        ("Continue({a})", "is not one trained module"),
    ],
)
def test_what_is_not_one_module_is_refused_by_compose(module_folders, tmp_path, written, says):
    named = {path.name: path for path in module_folders.iterdir()}
    with pytest.raises(UserError, match=says):
        compose(written.format(**named), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_composed_folder_keeps_the_lineage_of_its_parents(module_folders, tmp_path):
    """Also through a second composition; and compose.json names them with their digests."""
    parents = []
    for name, seen, protected in (("a", ["mnli"], ["xnli", "pawsx"]), ("a2", ["squad", "mnli"], ["xnli"])):
        folder = shutil.copytree(module_folders / name, tmp_path / name / "module").parent
        part = {name: {"folder": "module", "kind": "bottleneck"}}
        composition = {"expression": name, "requested": name, "parts": part, "fusion": None}
        run = {"name": seen[0], "trained_on": seen, "protected": protected, "backbone": {"digest": "d"}}
        (folder / "run.json").write_text(json.dumps(run | {"composition": composition}))
        parents.append(folder)
    first = compose(Merge("ties", *parents), tmp_path / "merged")
    again = resolve(str(compose(first, tmp_path / "packed")))
    assert (again.trained_on, again.protected, again.backbone_digest) == (("mnli", "squad"), ("xnli",), "d")
    record = json.loads((first / "compose.json").read_text())
    digests = [sha256_file(folder / "module" / "adapter.safetensors") for folder in parents]
    assert [parent["digest"] for parent in record["parents"]] == digests
    with pytest.raises(UserError, match="exists already"):
        compose(first, tmp_path / "packed")


FOLDED = {
    "lora": "{l}",
    "dora": "{d}",
    "two": "Stack({l}, {k})",
    "average": "Average({l}, {m}, weights=(0.7, 0.3))",
    "fuse": "Fuse({l}, {m}, gate=weights)",
}


@pytest.mark.parametrize("name", FOLDED)
def test_folded_weights_give_the_same_outputs_in_a_plain_xlm_roberta(tiny, module_folders, name):
    from transformers import XLMRobertaModel

    named = {path.name: path for path in module_folders.iterdir()}
    attached = attach(tiny, parse_expression(FOLDED[name].format(**named)), "t", 0)
    for number, parameter in enumerate(attached.trainable().values()):
        parameter.data.normal_(generator=torch.Generator().manual_seed(number))
    batch = tiny.tokenizer(["The cat sleeps.", "Der Zug fährt."], padding=True, return_tensors="pt")
    with torch.no_grad():
        wanted = encode(attached, batch["input_ids"], batch["attention_mask"])
        plain = XLMRobertaModel(tiny.config, add_pooling_layer=False).eval()
        plain.load_state_dict(folded_state(attached))
        found = plain(**batch)[0]
    kept = batch["attention_mask"].bool()
    torch.testing.assert_close(found[kept], wanted[kept], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("written", "says"), [("{a}", "does not fold"), ("Fuse({l}, {m})", "differs by token")])
def test_what_is_no_change_of_the_weights_does_not_fold(tiny, module_folders, written, says):
    named = {path.name: path for path in module_folders.iterdir()}
    attached = attach(tiny, parse_expression(written.format(**named)), "t", 0)
    with pytest.raises(UserError, match=says):
        folded_state(attached)
