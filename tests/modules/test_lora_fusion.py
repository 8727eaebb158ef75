"""LoRA Fuse: the mixture is the one that is written down, starts as the plain average, and lives in a run folder."""

import json

import pytest
import torch

from adapterxfer.engine.encoder import encode, program_of
from adapterxfer.errors import UserError
from adapterxfer.modules.attach import attach
from adapterxfer.modules.lora_fusion import SIZE, LoraFusion, load_lora_fusion
from adapterxfer.modules.parse import parse_expression


@pytest.fixture
def loras():
    generator = torch.Generator().manual_seed(0)
    downs = [torch.randn(rank, 5, generator=generator) for rank in (2, 3, 2)]
    ups = [torch.randn(4, rank, generator=generator) for rank in (2, 3, 2)]
    return torch.randn(6, 5, generator=generator), downs, ups


def test_attention_mixes_the_updates_token_by_token_as_written_down(loras):
    x, downs, ups = loras
    gate = LoraFusion(["a", "b", "c"], "attention", 5, 4)
    for number, parameter in enumerate(gate.parameters()):
        parameter.data.normal_(std=0.5, generator=torch.Generator().manual_seed(number))
    for token, mixed in zip(x, gate(x, downs, ups), strict=True):
        updates = [up @ down @ token for down, up in zip(downs, ups, strict=True)]
        scores = torch.stack([(gate.query @ token) @ (gate.key @ one) for one in updates]) / SIZE**0.5
        shares = torch.softmax(scores, 0)
        wanted = gate.value * sum(share * one for share, one in zip(shares, updates, strict=True))
        torch.testing.assert_close(mixed, wanted, atol=1e-5, rtol=1e-5)


def test_weights_mix_the_updates_by_one_softmax(loras):
    x, downs, ups = loras
    gate = LoraFusion(["a", "b", "c"], "weights", 5, 4)
    gate.logits.data = torch.tensor([0.3, -1.0, 2.0])
    shares = torch.softmax(gate.logits, 0)
    delta = sum(share * up @ down for share, down, up in zip(shares, downs, ups, strict=True))
    torch.testing.assert_close(gate(x, downs, ups), x @ delta.T, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(gate.delta(downs, ups), delta, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["attention", "weights"])
def test_it_starts_as_the_plain_average(loras, kind):
    x, downs, ups = loras
    average = sum(up @ down for down, up in zip(downs, ups, strict=True)) / 3
    got = LoraFusion(["a", "b", "c"], kind, 5, 4)(x, downs, ups)
    torch.testing.assert_close(got, x @ average.T, atol=1e-5, rtol=1e-5)


def saved(tiny, module_folders, tmp_path, gate="attention"):
    where = f"Fuse({module_folders / 'l'}, {module_folders / 'm'}, gate={gate})"
    attached = attach(tiny, parse_expression(where), "t", 0)
    attached.save(tmp_path)
    return attached, tmp_path / "fusion"


def test_the_saved_fusion_has_a_configuration_and_a_card_and_the_loras_stay_as_they_were(
    tiny, module_folders, tmp_path
):
    from safetensors.torch import load_file

    attached, folder = saved(tiny, module_folders, tmp_path)
    config = json.loads((folder / "lora_fusion.json").read_text())
    assert (config["gate"], config["modules"], config["size"]) == ("attention", ["l", "m"], SIZE)
    tensors = load_file(folder / "lora_fusion.safetensors")
    assert "encoder.layer.0.attention.self.query.value" in tensors
    assert set(map(tuple, (value.shape for value in tensors.values()))) == {(SIZE, 32), (32,)}
    count = sum(value.numel() for value in tensors.values())
    assert f"{count:,} numbers" in (folder / "README.md").read_text()
    for name in ("l", "m"):
        before = load_file(module_folders / name / "adapter_model.safetensors")
        after = load_file(tmp_path / "frozen" / name / "adapter_model.safetensors")
        assert before.keys() == after.keys()
        assert all(torch.equal(before[key], after[key]) for key in before)
    assert all(".delta_fusion." in name for name in attached.trainable())


def test_a_fusion_of_other_modules_or_another_gate_is_refused(tiny, module_folders, tmp_path):
    attached, folder = saved(tiny, module_folders, tmp_path)
    path = folder / "lora_fusion.json"
    config = json.loads(path.read_text())
    for key, value in {"gate": "weights", "modules": ["m", "l"], "format": 2}.items():
        path.write_text(json.dumps(config | {key: value}))
        with pytest.raises(UserError, match=f"{key} is"):
            load_lora_fusion(attached.model, folder, "l,m")


@pytest.mark.parametrize("gate", ["attention", "weights"])
def test_the_folded_program_gives_the_same_outputs(tiny, module_folders, gate):
    where = f"Stack(Fuse({module_folders / 'l'}, {module_folders / 'm'}, gate={gate}), lora(r=4))"
    attached = attach(tiny, parse_expression(where), "t", 0)
    for number, parameter in enumerate(attached.trainable().values()):
        parameter.data.normal_(std=0.2, generator=torch.Generator().manual_seed(number))
    batch = tiny.tokenizer(["The cat sleeps.", "Der Zug fährt."], padding=True, return_tensors="pt")
    arguments = attached, batch["input_ids"], batch["attention_mask"]
    kept = batch["attention_mask"].bool()
    with torch.no_grad():
        folded = program_of(attached).folded()
        assert len(folded.layers[0].query.updates) == (1 if gate == "attention" else 0)
        wanted, found = encode(*arguments)[kept], encode(*arguments, program=folded)[kept]
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
