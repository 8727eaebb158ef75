"""Trained modules as the plain libraries make them, with distinct non-zero weights."""

import pytest
import torch


def _randomise(model, pattern, seed):
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
