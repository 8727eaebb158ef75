"""Several models in one pass: outputs and gradients are those of separate passes, per parameter."""

import pytest
import torch
from torch import nn

from adapterxfer.engine import joint
from adapterxfer.engine.joint import Pass, encode_together
from adapterxfer.modules.attach import attach, bare
from adapterxfer.modules.parse import parse_expression

SETS = [
    ["bottleneck(reduction=4)", "bottleneck(reduction=4)", "bottleneck(reduction=2)"],
    ["bottleneck(reduction=4, kind=parallel)", "bottleneck(reduction=4, kind=parallel)"],
    ["bottleneck(reduction=4, kind=houlsby, activation=gelu)"] * 2,
    ["bottleneck(reduction=4)", "bottleneck(reduction=4, activation=tanh)"],
    ["lora(r=4)", "lora(r=4)"],
    ["lora(r=4)", "lora(r=4, alpha=4)"],
    ["lora(r=4)", "lora(r=4, targets=(query, key, output))"],
    ["bottleneck(reduction=4)", "lora(r=2)", "bottleneck(reduction=4, kind=houlsby)"],
    ["bottleneck(reduction=4, top_layers=2)", "lora(r=4, top_layers=2)"],
]


def models(tiny, texts):
    found = []
    for seed, text in enumerate(texts):
        attached = attach(tiny, parse_expression(text), "target", seed)
        generator = torch.Generator().manual_seed(10 + seed)
        for parameter in attached.trainable().values():
            parameter.data.normal_(std=0.2, generator=generator)
        found.append(attached)
    return found


def given(number, rows=3, width=9):
    generator = torch.Generator().manual_seed(number)
    ids = torch.randint(5, 1000, (rows, width), generator=generator)
    mask = torch.ones(rows, width, dtype=torch.int64)
    mask[-1, 4 + number :] = 0
    return ids.masked_fill(mask == 0, 1), mask


def gradients(attached, hidden, mask):
    weights = torch.randn(hidden.shape, generator=torch.Generator().manual_seed(3)) * mask[..., None]
    return torch.autograd.grad((hidden * weights).mean(), list(attached.trainable().values()), retain_graph=True)


def compare(tiny, texts, together, widths):
    attacheds = models(tiny, texts)
    batches = [given(number, width=width) for number, width in zip(range(len(texts)), widths, strict=True)]
    passes = [Pass(attached, ids, mask) for attached, (ids, mask) in zip(attacheds, batches, strict=True)]
    joined = together(passes)
    for attached, (ids, mask), states in zip(attacheds, batches, joined, strict=True):
        [alone] = encode_together([Pass(attached, ids, mask)])
        kept = mask.bool()
        assert states.shape == alone.shape
        torch.testing.assert_close(states[kept], alone[kept], atol=1e-5, rtol=1e-5)
        names = attached.trainable()
        for name, one, other in zip(
            names, gradients(attached, states, mask), gradients(attached, alone, mask), strict=True
        ):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("texts", SETS)
def test_a_joint_pass_gives_each_model_the_states_and_gradients_of_its_own(tiny, texts):
    compare(tiny, texts, encode_together, [9] * len(texts))


@pytest.mark.parametrize("texts", SETS)
def test_so_it_does_in_packed_rows_of_different_widths(tiny, texts):
    widths = [9, 12, 10][: len(texts)]
    compare(tiny, texts, lambda passes: joint._joined(passes, max(widths), packed=True), widths)


def test_the_frozen_maps_are_multiplied_once_for_all(tiny, monkeypatch):
    counted = []
    plain = joint.Linear.plain

    def counting(self, x):
        counted.append(len(x))
        return plain(self, x)

    monkeypatch.setattr(joint.Linear, "plain", counting)
    encode_together([Pass(one, *given(0)) for one in models(tiny, ["bottleneck(reduction=4)"] * 3)])
    assert counted == [3 * 3 * 9] * (6 * tiny.layers)


@pytest.mark.parametrize(("text", "calls"), [("bottleneck(reduction=4)", 1), ("lora(r=4)", 2), ("bottleneck()", 0)])
def test_modules_of_one_shape_run_as_one(tiny, monkeypatch, text, calls):
    counted = []
    grouped = joint.kernels.grouped

    def counting(*given):
        counted.append(given)
        return grouped(*given)

    monkeypatch.setattr(joint.kernels, "grouped", counting)
    encode_together(
        [Pass(one, *given(0)) for one in models(tiny, [text, text if calls else "bottleneck(reduction=8)"])]
    )
    assert len(counted) == calls * tiny.layers


def test_rows_of_different_widths_are_not_padded_on_a_cpu_nor_is_dropout_drawn_in_another_order(tiny, monkeypatch):
    monkeypatch.setattr(joint, "_joined", lambda *given: pytest.fail("joined"))
    plain = models(tiny, ["bottleneck(reduction=4)", "lora(r=4)"])
    encode_together([Pass(plain[0], *given(0)), Pass(plain[1], *given(1, width=12))])
    dropping = models(tiny, ["lora(r=4, dropout=0.3)", "lora(r=4)"])
    for attached in dropping:
        attached.set_training(True)
    encode_together([Pass(one, *given(0)) for one in dropping])
    for attached in dropping:
        attached.set_training(False)
    with pytest.raises(pytest.fail.Exception, match="joined"):
        encode_together([Pass(one, *given(0)) for one in dropping])


def test_models_on_different_backbones_and_those_of_the_library_run_by_themselves(tiny, tiny_folder):
    from adapterxfer.backbone import load_backbone

    other = load_backbone(str(tiny_folder), "fp32")
    ids, mask = given(0)
    one, two = bare(tiny), bare(other)
    states = encode_together([Pass(one, ids, mask), Pass(two, ids, mask)])
    torch.testing.assert_close(states[0], states[1], atol=0, rtol=0)
    two.model.roberta.encoder.layer[0].output.dense = nn.Sequential(two.model.roberta.encoder.layer[0].output.dense)
    two.program = None  # what was read before the change
    assert not Pass(two, ids, mask).joins


def test_one_start_and_hidden_states_of_their_own_are_gone_on_from(tiny):
    texts = ["bottleneck(reduction=4, top_layers=1)", "lora(r=4, top_layers=1)"]
    attacheds = models(tiny, texts)
    ids, mask = given(0)
    from adapterxfer.engine.encoder import encode

    hidden = encode(attacheds[0], ids, mask, layer=2)
    states = encode_together([Pass(one, ids, mask, 2, hidden) for one in attacheds])
    for attached, found in zip(attacheds, states, strict=True):
        torch.testing.assert_close(found[mask.bool()], encode(attached, ids, mask)[mask.bool()], atol=1e-5, rtol=1e-5)
