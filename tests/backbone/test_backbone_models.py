"""Models made from one backbone: shared weights, independent modules, precision."""

import subprocess
import sys

import pytest
import torch
from adapters import SeqBnConfig
from peft import LoraConfig, inject_adapter_in_model

from adapterxfer.backbone import Backbone, load_backbone

SENTENCES = ["The dog sleeps on the sofa.", "Der Hund schläft.", "犬はソファーで寝ています。", "الكلب نائم", "ok"]


@pytest.fixture(scope="module")
def mini_bf16() -> Backbone:
    return load_backbone("mini", "bf16")


def batch_of(backbone: Backbone):
    device = next(iter(backbone.state.values())).device
    return backbone.tokenizer(SENTENCES, return_tensors="pt", padding=True).to(device)


def run(backbone: Backbone, model, grad: bool = False) -> torch.Tensor:
    batch = batch_of(backbone)
    with torch.set_grad_enabled(grad), backbone.policy.autocast(batch["input_ids"].device):
        hidden = model.roberta(**batch)[0]
    return hidden.float() * batch["attention_mask"][..., None]


def test_importing_the_package_loads_neither_torch_nor_numpy():
    code = "import sys, adapterxfer.backbone; print(sorted({'torch', 'numpy', 'transformers'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_mini_has_the_sizes_of_its_declaration(mini):
    assert (mini.layers, mini.hidden_size, mini.max_length, mini.precision) == (12, 384, 512, "fp32")
    assert mini.config.vocab_size == 250037
    assert len(mini.digest) == 64


def test_models_use_the_tensors_of_the_backbone_and_not_copies(mini):
    models = [mini.new_model(), mini.new_model()]
    for model in models:
        weights = dict(model.roberta.named_parameters())
        assert set(weights) == set(mini.state)
        assert all(weights[name].data_ptr() == tensor.data_ptr() for name, tensor in mini.state.items())


def test_a_model_is_frozen_in_evaluation_mode_without_pooler_weights_or_meta_tensors(mini):
    model = mini.new_model()
    tensors = [*model.named_parameters(), *model.named_buffers()]
    assert not any(tensor.requires_grad or tensor.is_meta for _, tensor in tensors)
    assert not any("pooler" in name for name, _ in tensors)
    assert not any(module.training for module in model.modules())
    assert model.roberta.embeddings.position_ids.tolist() == [list(range(514))]
    assert not model.roberta.embeddings.token_type_ids.any()


def test_the_library_s_own_forward_and_heads_work_without_a_pooler(mini):
    model = mini.new_model()
    batch = batch_of(mini)
    with torch.no_grad():
        assert torch.equal(model(**batch)[0], model.roberta(**batch)[0])
        model.add_classification_head("h", num_labels=3)
        model.to(batch["input_ids"].device)
        assert model(**batch, head="h").logits.shape == (len(SENTENCES), 3)


def test_what_is_added_to_one_model_leaves_another_unchanged(mini):
    model, other = mini.new_model(), mini.new_model()
    before = run(mini, other)
    model.add_adapter("a", config=SeqBnConfig(reduction_factor=16), set_active=True)
    pattern = r"encoder\.layer\.\d+\.attention\.self\.query"
    inject_adapter_in_model(LoraConfig(r=4, target_modules=pattern, init_lora_weights=False), model.roberta, "b")
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if ".adapters." in name:
                weight.normal_(0, 0.05)
    model.to(next(iter(mini.state.values())).device)
    assert not torch.allclose(run(mini, model), before, atol=1e-2)
    assert torch.equal(run(mini, other), before)
    assert torch.equal(run(mini, mini.new_model()), before)
    assert "a" not in other.adapters_config.adapters
    assert "a" not in mini.new_model().adapters_config.adapters


def test_bf16_stores_the_linear_maps_low_and_stays_within_its_noise(mini, mini_bf16):
    for name, tensor in mini_bf16.state.items():
        low = "encoder" in name and "LayerNorm" not in name
        assert tensor.dtype == (torch.bfloat16 if low else torch.float32), name
    exact, rough = run(mini, mini.new_model()), run(mini_bf16, mini_bf16.new_model())
    assert (rough - exact).norm() / exact.norm() < 0.01
    assert mini_bf16.digest == mini.digest


def test_autocast_casts_no_frozen_weight_of_a_bf16_backbone(mini_bf16):
    model = mini_bf16.new_model()
    with torch.profiler.profile(record_shapes=True) as profile:
        run(mini_bf16, model)
    shapes = {tuple(tensor.shape) for name, tensor in mini_bf16.state.items() if "encoder" in name}
    cast = [event for event in profile.events() if event.name == "aten::_to_copy" and event.input_shapes]
    assert cast, "the profiler sees the casts of the activations"
    assert not [event for event in cast if tuple(event.input_shapes[0]) in shapes]


def test_gradients_reach_fp32_adapters_through_frozen_bf16_layers(mini_bf16):
    model = mini_bf16.new_model()
    model.add_adapter("a", config=SeqBnConfig(reduction_factor=16))
    model.train_adapter("a")
    model.to(next(iter(mini_bf16.state.values())).device)
    run(mini_bf16, model, grad=True).pow(2).mean().backward()
    trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    assert len(trained) == 4 * mini_bf16.layers
    for name, weight in trained.items():
        assert weight.dtype == torch.float32
        assert weight.grad.dtype == torch.float32, name
        assert weight.grad.isfinite().all(), name
    assert trained["roberta.encoder.layer.0.output.adapters.a.adapter_up.weight"].grad.abs().sum() > 0
