"""Several models over the same rows: the outputs of each alone, frozen layers once, and no end at a full memory."""

import numpy as np
import pytest
import torch

from adapterxfer.engine import inference
from adapterxfer.engine.inference import outputs, outputs_together
from adapterxfer.engine.linears import is_quantised
from adapterxfer.errors import RunError
from adapterxfer.features.ragged import Ragged
from adapterxfer.features.rows import Rows
from adapterxfer.modules.attach import attach
from adapterxfer.modules.heads import Head
from adapterxfer.modules.parse import parse_expression


@pytest.fixture
def rows():
    generator = np.random.default_rng(0)
    ids = [generator.integers(5, 1000, length) for length in (4, 9, 17, 4, 12, 30, 8, 21)]
    ids.append(ids[2])
    numbers = np.arange(len(ids))
    return Rows(Ragged.of(ids), numbers, {}, numbers)


def model(tiny, text, seed=0):
    attached = attach(tiny, parse_expression(text), "m", seed)
    generator = torch.Generator().manual_seed(seed)
    for parameter in attached.trainable().values():
        parameter.data.normal_(std=0.2, generator=generator)
    torch.manual_seed(seed)
    return attached, Head("tagging", tiny.hidden_size, ("a", "b"))


TOP = ["bottleneck(reduction=4, top_layers=1)", "lora(r=4, top_layers=1)", "bottleneck(reduction=2, top_layers=2)"]


@pytest.fixture
def layers(monkeypatch):
    """(layers run, rows) of every pass."""
    seen, real = [], inference.encode

    def counted(attached, ids, mask, layer=None, *, start=0, **given):
        seen.append(((layer or attached.backbone.layers) - start, len(ids)))
        return real(attached, ids, mask, layer, start=start, **given)

    monkeypatch.setattr(inference, "encode", counted)
    return seen


def test_each_model_of_several_gives_what_it_gives_alone(tiny, rows):
    models = [model(tiny, text, seed) for seed, text in enumerate([*TOP, "lora(r=2)"])]
    for own, together in zip(models, outputs_together(models, rows), strict=True):
        for one, other in zip(outputs(*own, rows), together, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)


def test_frozen_layers_in_common_run_once_a_batch(tiny, rows, layers):
    outputs_together([model(tiny, text, seed) for seed, text in enumerate(TOP)], rows)
    # 8 different rows: one layer for all three, then two for each of them
    assert sorted(layers) == [(1, 8), (2, 8), (2, 8), (2, 8)]
    layers.clear()
    outputs_together([model(tiny, "lora(r=2)", seed) for seed in range(2)], rows)
    assert layers == [(3, 8), (3, 8)], "nothing is frozen below a module in the lowest layer"


def test_a_kept_prefix_is_gone_on_from(tiny, rows, layers, tmp_path):
    from adapterxfer.engine.prefix import kept_prefix

    one, two = model(tiny, TOP[0]), model(tiny, TOP[1], 1)
    prefix = kept_prefix(one[0], rows, folder=tmp_path, limit=10**9)
    alone = outputs(*one, rows), outputs(*two, rows)
    layers.clear()
    found = outputs_together([one, two], rows, prefix=prefix)
    assert layers == [(1, 8), (1, 8)]
    for own, kept in zip(alone, found, strict=True):
        for a, b in zip(own, kept, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)


def test_a_lora_is_folded_into_the_weights(tiny, rows, monkeypatch):
    attached, head = model(tiny, "lora(r=4)")
    seen = []
    real = inference.encode

    def looked(*given, program, **options):
        seen.append([one.updates for layer in program.layers for one in (layer.query, layer.value)])
        return real(*given, program=program, **options)

    monkeypatch.setattr(inference, "encode", looked)
    outputs(attached, head, rows)
    assert seen
    assert not any(updates for pass_ in seen for updates in pass_)
    assert not any(is_quantised(module) for module in attached.model.modules())


def test_a_pass_that_does_not_fit_is_cut_until_it_does(tiny, rows, monkeypatch, capsys):
    attached, head = model(tiny, "bottleneck(reduction=4)")
    wanted = outputs(attached, head, rows)
    real, passes = inference.encode, []

    def limited(attached, ids, mask, *given, **options):
        if ids.numel() > 60:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        passes.append(ids.numel())
        return real(attached, ids, mask, *given, **options)

    monkeypatch.setattr(inference, "encode", limited)
    for one, other in zip(wanted, outputs(attached, head, rows), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert len(passes) > 2
    assert "out of memory at 240 tokens a pass; going on with 120" in capsys.readouterr().err


def test_a_row_that_does_not_fit_alone_ends_it_with_one_sentence(tiny, rows, monkeypatch):
    attached, head = model(tiny, "bottleneck(reduction=4)")

    def refused(*given, **options):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(inference, "encode", refused)
    with pytest.raises(RunError, match="not even one row of 30 tokens fits"):
        outputs(attached, head, rows)


def test_another_error_is_not_taken_for_a_full_memory(tiny, rows, monkeypatch):
    attached, head = model(tiny, "bottleneck(reduction=4)")

    def broken(*given, **options):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(inference, "encode", broken)
    with pytest.raises(RuntimeError, match="mat1"):
        outputs(attached, head, rows)
