"""Small backbones at every precision, and what is put on them."""

from types import SimpleNamespace

import pytest
import torch

from adapterxfer.backbone import PRECISIONS, load_backbone

SENTENCES = ["The dog sleeps on the sofa.", "Der Hund schläft.", "犬はソファーで寝ています。", "الكلب نائم", "ok"]


@pytest.fixture(scope="session")
def every_precision(tiny_folder):
    """The small random XLM-R at each precision, by its word."""
    return {precision: load_backbone(str(tiny_folder), precision) for precision in PRECISIONS}


@pytest.fixture(scope="session")
def expressions(tiny, tmp_path_factory):
    """One composition of each kind of module, by its name; the modules under the fusion are distinct."""
    from adapterxfer.modules.attach import attach
    from adapterxfer.modules.parse import parse_expression

    root = tmp_path_factory.mktemp("fused")
    for seed, name in enumerate(("a", "b")):
        attached = attach(tiny, parse_expression("bottleneck(reduction=4)"), name, seed)
        randomise(attached, seed)
        attached.save(root / name)
    texts = {
        "bottleneck": "bottleneck(reduction=4)",
        "lora": "lora(r=4, targets=(query, value, output))",
        "fuse": f"Fuse({root / 'a' / 'module'}, {root / 'b' / 'module'})",
    }
    return {name: parse_expression(text) for name, text in texts.items()}


def randomise(attached, seed: int = 3) -> None:
    """Give what trains distinct weights, so that nothing in it is zero or passes through."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in attached.trainable().values():
        noise = torch.randn(parameter.shape, generator=generator) * 0.1
        parameter.data.add_(noise.to(parameter.device))


@pytest.fixture
def workbench(every_precision, expressions):
    """Make a composition at a precision on one batch, with a head that reads it."""
    from adapterxfer.modules.attach import attach
    from adapterxfer.modules.heads import Head

    def make(precision: str, kind: str) -> SimpleNamespace:
        backbone = every_precision[precision]
        attached = attach(backbone, expressions[kind], "fresh", seed=0)
        randomise(attached)
        torch.manual_seed(4)
        head = Head("pair", backbone.hidden_size, ("yes", "no", "maybe"))
        device = next(iter(backbone.state.values())).device
        batch = backbone.tokenizer(SENTENCES, return_tensors="pt", padding=True).to(device)
        batch = {**batch, "label": torch.tensor([0, 1, 2, 0, 1], device=device), "group_sizes": torch.ones(5)}
        return SimpleNamespace(backbone=backbone, attached=attached, head=head.to(device), batch=batch)

    return make
