"""Compositions on a backbone, as `attach` builds them and as the libraries alone do, and rows of mixed lengths."""

import pytest
import torch

THREE = r".*encoder\.layer\.\d+\.(attention\.self\.(query|value)|output\.dense)"  # where `loras` puts them


def _frozen(attached):
    attached.model.requires_grad_(False)
    attached.set_training(False)
    return attached


@pytest.fixture(scope="session")
def compose(module_folders):
    """Make the model of an expression over the modules a, b, h, p, top (bottlenecks), l and m (LoRA)."""
    from adapterxfer.modules.attach import attach
    from adapterxfer.modules.parse import parse_expression

    folders = {path.name: path for path in module_folders.iterdir()}

    def make(backbone, text):
        return attach(backbone, parse_expression(text.format(**folders)), "target", 3)

    return make


@pytest.fixture(scope="session")
def loras():
    """Put a LoRA of each of the `LoraConfig` options on a backbone, all of them active, as `peft` does it."""
    from peft import LoraConfig

    from adapterxfer.modules.attach import bare
    from adapterxfer.modules.storage import inject_peft

    def make(backbone, *options):
        attached = bare(backbone)
        names = [f"l{number}" for number in range(len(options))]
        for name, option in zip(names, options, strict=True):
            inject_peft(attached.model, LoraConfig(**{"r": 4, "target_modules": THREE} | option), name)
        for module in attached.model.roberta.modules():
            if hasattr(module, "lora_A") and hasattr(module, "set_adapter"):
                module.set_adapter(names)
        return _frozen(attached)

    return make


@pytest.fixture(scope="session")
def library_modules():
    """Put modules of `adapters` on a backbone, active as `setup` says, and fusions over the named ones."""
    from adapterxfer.modules.attach import bare

    def make(backbone, setup, fusions=(), **configs):
        attached = bare(backbone)
        for name, config in configs.items():
            attached.model.add_adapter(name, config=config)
        for names in fusions:
            attached.model.add_adapter_fusion(names)
        attached.model.set_active_adapters(setup)
        return _frozen(attached)

    return make


@pytest.fixture(scope="session")
def enliven():
    """Give every module of a model, frozen or not, distinct non-zero weights and a gradient, and the embeddings' norm.

    The weights of LoRA and fusion are smaller: with 0.3 the scores they lead to are in the tens, and the library's own
    fp32 is then 1.5e-5 and more from its float64.
    """
    marks = {".adapters.": 0.3, ".adapter_fusion_layer.": 0.05, ".lora_A": 0.1, ".lora_B": 0.1, "ia3": 0.3}
    marks |= {".delta_fusion.": 0.3}
    marks |= {".prefix_tuning": 0.3, ".refts.": 0.3, ".prompt_tuning": 0.3, ".invertible_adapters.": 0.3}

    def change(attached, seed=5):
        generator = torch.Generator().manual_seed(seed)
        for name, parameter in attached.model.named_parameters():
            size = next((size for mark, size in marks.items() if mark in name), None)
            if size is not None:
                parameter.data.normal_(std=size, generator=generator)
            elif ".lora_magnitude_vector." in name:
                parameter.data *= 1 + 0.3 * torch.randn(parameter.shape, generator=generator)
            elif "embeddings.LayerNorm" not in name:
                continue
            parameter.requires_grad_()
        return attached

    return change


@pytest.fixture(scope="session")
def rows():
    """Ids and mask of five rows: two of <s></s> alone, one as long as the model takes."""
    lengths = [2, 23, 512, 2, 9]
    generator = torch.Generator().manual_seed(0)
    ids = torch.ones(len(lengths), max(lengths), dtype=torch.long)
    for row, length in zip(ids, lengths, strict=True):
        row[:length] = torch.randint(5, 1000, (length,), generator=generator)
        row[0], row[length - 1] = 0, 2
    return ids, (ids != 1).long()
