"""Backbones from folders, the cache and the Hub, and what is said when they cannot be used."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, XLMRobertaConfig, XLMRobertaForMaskedLM, XLMRobertaModel

from adapterxfer.backbone import load_backbone
from adapterxfer.errors import UserError

WORDS = ["<s>", "<pad>", "</s>", "<unk>", "one", "two", "three", "four", "five", "six", "seven", "<mask>"]


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """A random XLM-R of twelve words, saved as people save models: with a pooler."""
    folder = tmp_path_factory.mktemp("small") / "model"
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
    config = XLMRobertaConfig(vocab_size=14, max_position_embeddings=130, type_vocab_size=1, pad_token_id=1, **sizes)
    XLMRobertaModel(config).save_pretrained(folder)
    words = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    marks = {
        "bos_token": "<s>",
        "eos_token": "</s>",
        "pad_token": "<pad>",
        "unk_token": "<unk>",
        "mask_token": "<mask>",
    }
    PreTrainedTokenizerFast(tokenizer_object=words, **marks).save_pretrained(folder)
    return folder


@pytest.fixture
def copy(small, tmp_path) -> Path:
    return Path(shutil.copytree(small, tmp_path / "copy"))


def change_config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_folder_gives_the_outputs_of_the_plain_library(small):
    backbone = load_backbone(str(small), device="cpu")
    assert (backbone.layers, backbone.hidden_size, backbone.max_length) == (2, 8, 128)
    batch = backbone.tokenizer(["one two", "three four five six"], return_tensors="pt", padding=True)
    plain = XLMRobertaModel.from_pretrained(small, add_pooling_layer=False).eval()
    with torch.no_grad():
        assert torch.equal(backbone.new_model().roberta(**batch)[0], plain(**batch)[0])


def test_a_masked_lm_or_sharded_checkpoint_is_the_same_backbone(small, copy):
    digest = load_backbone(str(small), device="cpu").digest
    model = XLMRobertaForMaskedLM.from_pretrained(small)  # its head is random
    (copy / "model.safetensors").unlink()
    model.save_pretrained(copy, max_shard_size="3KB")
    assert len(list(copy.glob("*.safetensors"))) > 1
    assert load_backbone(str(copy), device="cpu").digest == digest


def test_the_digest_follows_weights_and_architecture_but_not_precision(small, copy):
    digest = load_backbone(str(small), device="cpu").digest
    assert load_backbone(str(small), "bf16", device="cpu").digest == digest
    change_config(copy, layer_norm_eps=1e-6)
    assert load_backbone(str(copy), device="cpu").digest != digest
    shutil.copy(small / "config.json", copy)
    state = load_file(copy / "model.safetensors")
    state["encoder.layer.1.output.dense.bias"][3] += 1e-6
    save_file(state, copy / "model.safetensors", metadata={"format": "pt"})
    assert load_backbone(str(copy), device="cpu").digest != digest


def test_another_type_of_model_is_refused_by_name(copy):
    change_config(copy, model_type="bert")
    with pytest.raises(UserError, match=r"config\.json: the model is of type 'bert'.*XLM-R"):
        load_backbone(str(copy))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hidden_size": "wide"}, "hidden_size must be a positive whole number"),
        ({"num_attention_heads": 3}, "not a multiple of num_attention_heads"),
        ({"num_hidden_layers": 3}, "the weight encoder.layer.2.* is missing"),
        ({"num_hidden_layers": 1}, "encoder.layer.1.* is none of an XLM-R model"),
        ({"intermediate_size": 32}, "has shape .*config.json says"),
        ({"hidden_act": "nonsense"}, "hidden_act 'nonsense' is unknown"),
        ({"pad_token_id": 14}, "pad_token_id 14 does not fit"),
        ({"vocab_size": 11}, "has shape .*config.json says"),
    ],
)
def test_a_config_that_does_not_fit_is_said_in_one_sentence(copy, changes, said):
    change_config(copy, **changes)
    with pytest.raises(UserError, match=said):
        load_backbone(str(copy))


def test_damaged_weights_are_named(copy):
    weights = copy / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"model\.safetensors is damaged"):
        load_backbone(str(copy))
    weights.unlink()
    with pytest.raises(UserError, match=r"holds no model\.safetensors"):
        load_backbone(str(copy))
    index = copy / "model.safetensors.index.json"
    index.write_text('{"weight_map": {"a": "part.safetensors"}}')
    with pytest.raises(UserError, match=r"part\.safetensors is missing"):
        load_backbone(str(copy))


def test_a_damaged_tokenizer_or_config_is_named(copy):
    (copy / "tokenizer.json").write_text('{"model": 1}')
    with pytest.raises(UserError, match="the tokenizer could not be read"):
        load_backbone(str(copy))
    (copy / "tokenizer.json").unlink()
    with pytest.raises(UserError, match=r"holds no tokenizer\.json"):
        load_backbone(str(copy))
    (copy / "config.json").write_text("{")
    with pytest.raises(UserError, match=r"config\.json:1: not valid JSON"):
        load_backbone(str(copy))
    (copy / "config.json").unlink()
    with pytest.raises(UserError, match=r"config\.json does not exist"):
        load_backbone(str(copy))


def test_a_tokenizer_larger_than_the_embeddings_is_refused(copy):
    tokenizer = PreTrainedTokenizerFast.from_pretrained(copy)
    tokenizer.add_tokens(["eight", "nine", "ten"])
    tokenizer.save_pretrained(copy)
    with pytest.raises(UserError, match="the tokenizer has 15 entries, the embeddings only 14 rows"):
        load_backbone(str(copy))


@pytest.mark.parametrize("name", ["", "no/such/folder/here", "a b", "../up"])
def test_a_name_that_cannot_be_a_model_is_refused_without_the_network(name):
    with pytest.raises(UserError, match="neither a folder nor a model's name; known names are mini"):
        load_backbone(name)


@pytest.mark.parametrize(
    "setting", [{"HF_HUB_OFFLINE": "1"}, {"HF_ENDPOINT": "http://127.0.0.1:9"}], ids=["offline", "unreachable"]
)
def test_without_network_and_cache_one_sentence_says_what_to_do(tmp_path, setting):
    code = """
import sys, time
from adapterxfer.backbone import load_backbone
from adapterxfer.errors import RunError
start = time.monotonic()
try:
    load_backbone("xlm-roberta-large")
except RunError as error:
    print(error)
print(time.monotonic() - start)
"""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    environment |= {"HF_HOME": str(tmp_path), **setting}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=120)
    sentence, seconds = done.stdout.splitlines()
    assert "xlm-roberta-large is not in the cache" in sentence
    assert str(tmp_path) in sentence
    assert "`--backbone mini`" in sentence
    assert "HF_HOME" in sentence
    assert done.stderr == ""
    assert float(seconds) < 60  # not a speed: no chain of retries


def test_a_model_in_the_hub_s_cache_needs_no_network(small, tmp_path, monkeypatch):
    repository = tmp_path / "models--someone--small"
    snapshot = repository / "snapshots" / ("a" * 40)
    shutil.copytree(small, snapshot)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("a" * 40)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub._snapshot_download.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert load_backbone("someone/small", device="cpu").digest == load_backbone(str(small), device="cpu").digest
