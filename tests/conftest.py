"""Fixtures shared by all tests: where the real corpora are, and the backbones."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # no test asks the network; those of the Hub have one of their own


def corpora_folder() -> Path | None:
    """Return the folder of the real corpora: ADAPTERXFER_CORPORA, else ../shared/corpora beside the checkout."""
    named = os.environ.get("ADAPTERXFER_CORPORA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "corpora"
    return folder if folder.is_dir() else None


@pytest.fixture(scope="session")
def corpora() -> Path:
    folder = corpora_folder()
    if folder is None:
        pytest.skip("the real corpora are not here: set ADAPTERXFER_CORPORA to their folder")
    return folder


@pytest.fixture(scope="session")
def mini():
    """The real embedded backbone, fp32."""
    from adapterxfer.backbone import load_backbone

    return load_backbone("mini", "fp32")


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory) -> Path:
    """A small random XLM-R with mini's tokenizer, saved as a model folder: for walks over many compositions."""
    import shutil

    import torch
    from transformers import XLMRobertaConfig, XLMRobertaModel

    from adapterxfer.backbone import mini_folder

    folder = tmp_path_factory.mktemp("tiny") / "tiny-xlm-r"
    torch.manual_seed(1)
    config = XLMRobertaConfig(
        vocab_size=250037,
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=514,
        type_vocab_size=1,
        layer_norm_eps=1e-12,
    )
    model = XLMRobertaModel(config, add_pooling_layer=False)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=0.2)
    model.save_pretrained(folder)
    for path in mini_folder().iterdir():
        if "token" in path.name:
            shutil.copy(path, folder / path.name)
    return folder


@pytest.fixture(scope="session")
def tiny(tiny_folder):
    """The small random XLM-R as a backbone, fp32."""
    from adapterxfer.backbone import load_backbone

    return load_backbone(str(tiny_folder), "fp32")


def _randomise(model, pattern: str, seed: int) -> None:
    import torch

    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if pattern in name:
            parameter.data.normal_(std=0.3, generator=generator)


@pytest.fixture(scope="session")
def module_folders(tiny_folder, tmp_path_factory):
    """Folders written by plain `adapters` and plain `peft`: a kind a letter, a digit for a second one alike.

    a, b (another reduction), top (the top layer only): Pfeiffer; h: Houlsby; p: parallel; i: invertible; c: compacter;
    x: prefix; l, m, k (another rank): LoRA; d: DoRA; s: (IA)3.
    """
    import safetensors.torch
    import torch
    from adapters import (
        AutoAdapterModel,
        CompacterConfig,
        DoubleSeqBnConfig,
        ParBnConfig,
        PrefixTuningConfig,
        SeqBnConfig,
        SeqBnInvConfig,
    )
    from peft import IA3Config, LoraConfig, get_peft_model
    from transformers import XLMRobertaModel

    root = tmp_path_factory.mktemp("modules")
    model = AutoAdapterModel.from_pretrained(tiny_folder)
    kinds = {
        "a": lambda: SeqBnConfig(reduction_factor=4),
        "h": lambda: DoubleSeqBnConfig(reduction_factor=4),
        "p": lambda: ParBnConfig(reduction_factor=4),
        "i": lambda: SeqBnInvConfig(reduction_factor=4),
        "c": lambda: CompacterConfig(reduction_factor=4, phm_dim=2),
        "x": lambda: PrefixTuningConfig(prefix_length=3, bottleneck_size=8),
    }
    configs = {f"{letter}{digit}": make() for letter, make in kinds.items() for digit in ("", "2")}
    configs |= {"b": SeqBnConfig(reduction_factor=2), "b2": SeqBnConfig(reduction_factor=2)}
    configs |= {"top": SeqBnConfig(reduction_factor=4, leave_out=[0, 1])}
    for number, (name, config) in enumerate(configs.items()):
        model.add_adapter(name, config=config)
        _randomise(model, f"s.{name}.", number)
        if name.startswith("x"):  # the library writes no safetensors of a prefix
            model.save_adapter(str(root / name), name)
            pickled = root / name / "pytorch_adapter.bin"
            tensors = torch.load(pickled)
            plain = {key: value for key, value in tensors.items() if key.startswith("roberta.prefix_tuning.")}
            safetensors.torch.save_file(plain, root / name / "adapter.safetensors")
            pickled.unlink()
        else:
            model.save_adapter(str(root / name), name, use_safetensors=True)
    maps = ["query", "value"]
    peft_configs = {
        "l": LoraConfig(r=4, lora_alpha=8, target_modules=maps),
        "m": LoraConfig(r=4, lora_alpha=9, target_modules=maps),
        "k": LoraConfig(r=2, lora_alpha=4, target_modules=maps, use_rslora=True),
        "d": LoraConfig(r=4, lora_alpha=8, target_modules=maps, use_dora=True),
        "d2": LoraConfig(r=4, lora_alpha=8, target_modules=maps, use_dora=True),
        "s": IA3Config(target_modules=["key", "value"], feedforward_modules=[]),
        "s2": IA3Config(target_modules=["key", "value"], feedforward_modules=[]),
    }
    for number, (name, config) in enumerate(peft_configs.items()):
        plain = XLMRobertaModel.from_pretrained(tiny_folder, add_pooling_layer=False)
        wrapped = get_peft_model(plain, config)
        _randomise(wrapped, ".lora_A" if name[0] == "d" else ".lora_", 30 + number)
        _randomise(wrapped, ".lora_B", 50 + number)
        _randomise(wrapped, ".ia3_l", 70 + number)
        wrapped.save_pretrained(str(root / name))
    return root


@pytest.fixture(scope="session")
def make_task():
    """Make a task on the spot, of a kind, with labels and a metric."""
    from adapterxfer.tasks.schema import Task

    def make(kind: str, labels: tuple[str, ...] = (), metric: str = "accuracy"):
        return Task(
            name="toy",
            version=1,
            kind=kind,
            roles=("target",),
            description="",
            labels=labels,
            languages=("en",),
            metric=metric,
            evaluation_split="test",
            training_task=None,
            licence="",
            citation="",
            path=Path("toy.yaml"),
        )

    return make
