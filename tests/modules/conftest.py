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
    """Folders written by plain `adapters` and plain `peft`: a, b (Pfeiffer), h (Houlsby), p (parallel), l, m (LoRA)."""
    from adapters import AutoAdapterModel, DoubleSeqBnConfig, ParBnConfig, SeqBnConfig
    from peft import LoraConfig, get_peft_model
    from transformers import XLMRobertaModel

    root = tmp_path_factory.mktemp("modules")
    model = AutoAdapterModel.from_pretrained(tiny_folder)
    configs = {
        "a": SeqBnConfig(reduction_factor=4),
        "b": SeqBnConfig(reduction_factor=2),
        "h": DoubleSeqBnConfig(reduction_factor=4),
        "p": ParBnConfig(reduction_factor=4),
        "top": SeqBnConfig(reduction_factor=4, leave_out=[0, 1]),
    }
    for number, (name, config) in enumerate(configs.items()):
        model.add_adapter(name, config=config)
        _randomise(model, f".adapters.{name}.", number)
        model.save_adapter(str(root / name), name, use_safetensors=True)
    for number, name in enumerate(("l", "m")):
        plain = XLMRobertaModel.from_pretrained(tiny_folder, add_pooling_layer=False)
        wrapped = get_peft_model(plain, LoraConfig(r=4, lora_alpha=8 + number, target_modules=["query", "value"]))
        _randomise(wrapped, ".lora_", 10 + number)
        wrapped.save_pretrained(str(root / name))
    return root
