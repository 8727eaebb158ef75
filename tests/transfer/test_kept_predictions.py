"""Predictions are kept by what predicted and what was read: only the same again costs no forward pass."""

import json
import random
import shutil
from dataclasses import replace

import pytest
import torch

import adapterxfer as ax
from adapterxfer.backbone import load_backbone
from adapterxfer.features import cache as feature_cache_module
from adapterxfer.features.kinds import FeatureSettings, kind_of
from adapterxfer.files import write_json_lines
from adapterxfer.modules.attach import attach, bare
from adapterxfer.modules.heads import Head
from adapterxfer.modules.parse import parse_expression
from adapterxfer.tasks import load_examples, load_task
from adapterxfer.transfer import kept_predictions as module
from adapterxfer.transfer import scoring
from adapterxfer.transfer.kept_predictions import KeptPredictions, model_digest
from adapterxfer.transfer.scoring import Scored, score_languages

QUICK = {"steps": 2, "max_examples": 16, "max_eval_examples": 6, "batch_size": 8}
OWN = """
schema: 1
name: own
version: 1
kind: pair
roles: [target]
description: a test
labels: [good, bad]
languages: [en, de]
metric: accuracy
evaluation_split: test
licence: none
citation: none
read: {format: delimited, fields: {text_a: a, text_b: b, label: verdict}}
splits:
  train: {path: "train.{lang}.tsv", languages: [en]}
  test: {path: "test.{lang}.tsv"}
"""


@pytest.fixture
def folder(tiny, tmp_path, monkeypatch):
    """The cache of this test alone; `tiny` stands here so that it is loaded before."""
    monkeypatch.setenv("ADAPTERXFER_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("ADAPTERXFER_CACHE_GB", raising=False)
    return tmp_path / "cache" / "predictions"


@pytest.fixture
def forwards(folder, monkeypatch):
    """The label of every forward pass over one language."""
    seen, real = [], scoring.outputs_together

    def counted(*arguments, label="", **options):
        seen.append(label)
        return real(*arguments, label=label, **options)

    monkeypatch.setattr(scoring, "outputs_together", counted)
    return seen


def model(backbone, task, expression="bottleneck(reduction=4)", seed=0):
    torch.manual_seed(seed)
    head = Head(task.kind, backbone.hidden_size, task.labels)
    attached = bare(backbone) if task.kind == "retrieval" else attach(backbone, parse_expression(expression), "m", seed)
    return attached, head


def scored(attached, head, task, out=None, languages=("en", "de"), data_dir=None, max_examples=6, layer=None, **more):
    options = {"split": task.evaluation_split, "languages": list(languages), "protocol": "modules"} | more
    models = [Scored(attached, head, out, layer)]
    [metrics] = score_languages(models, task, data_dir=data_dir, max_examples=max_examples, **options)
    return metrics


def content(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["nli", "ner", "qa", "choice", "retrieval"])
def test_the_second_time_no_forward_pass_runs_and_every_byte_is_the_same(tiny, forwards, tmp_path, capsys, name):
    task = load_task(f"sample_{name}")
    languages = ("de", "sw") if name == "retrieval" else ("en", "de", "sw")
    once = scored(*model(tiny, task), task, tmp_path / "once", languages)
    assert len(forwards) == len(languages)
    assert "kept from before" not in capsys.readouterr().err
    again = scored(*model(tiny, task), task, tmp_path / "again", languages)
    assert len(forwards) == len(languages)
    assert capsys.readouterr().err == f"sample_{name} {', '.join(languages)}: predictions kept from before\n"
    assert json.dumps(again) == json.dumps(once)
    assert content(tmp_path / "again") == content(tmp_path / "once") != {}
    assert scored(*model(tiny, task), task, None, languages) == once  # where nothing is written, too
    assert len(forwards) == len(languages)


def test_the_file_holds_what_the_predictions_file_holds(tiny, folder, tmp_path):
    task = load_task("sample_ner")
    kept = KeptPredictions(folder, *model(tiny, task))
    predictions = [{"id": "\u2028", "prediction": ["a\nb", "北京"]}, {"id": "2", "scores": [0.1, 1e-9, float("inf")]}]
    kept.keep("key", predictions)
    assert kept.find("key") == predictions
    write_json_lines(tmp_path / "lines", predictions)
    arrays, _ = kept._fetch("key")
    assert arrays["lines"].tobytes() == (tmp_path / "lines").read_bytes()
    kept.keep("none", [])
    assert kept.find("none") == []


def test_a_run_its_copy_and_its_own_training_share_their_predictions(tiny, forwards, tmp_path):
    run = ax.train_target("sample_nli", tiny, "lora(r=2)", languages=["en", "de"], out=tmp_path / "run", **QUICK)
    assert len(forwards) == 2
    shutil.copytree(run.folder, tmp_path / "copy")
    for place in ("run", "copy"):
        again = ax.evaluate(tmp_path / place, languages=["en", "de"], backbone=tiny, max_eval_examples=6).as_dict()
        assert again["languages"] == run.metrics["languages"]
    assert len(forwards) == 2
    written = [content(tmp_path / place / "evaluations/sample_nli-test/predictions") for place in ("run", "copy")]
    assert written[0] == written[1] == content(run.folder / "predictions")


def test_a_fusion_and_a_stack_are_found_again_after_they_were_saved(tiny, forwards, tmp_path):
    options = {"languages": ["en"], **QUICK}
    for name in ("nli", "qa"):
        ax.train_intermediate(f"sample_{name}", tiny, "bottleneck(reduction=4)", out=tmp_path / name, **QUICK)
    texts = {
        "fuse": f"Fuse({tmp_path}/nli, {tmp_path}/qa)",
        "stack": f"Stack({tmp_path}/nli, lora(r=2))",
        "both": f"Stack(Fuse({tmp_path}/nli, {tmp_path}/qa), bottleneck(reduction=4))",
    }
    for name, text in texts.items():
        run = ax.train_target("sample_paraphrase", tiny, text, out=tmp_path / name, **options)
        before = len(forwards)
        again = ax.evaluate(run, languages=["en"], backbone=tiny, max_eval_examples=6).as_dict()
        assert again["languages"] == run.metrics["languages"]
        assert len(forwards) == before


@pytest.mark.parametrize("expression", ["bottleneck(reduction=4)", "lora(r=2)"])
def test_one_number_of_any_tensor_of_module_or_head_makes_another_model(tiny, expression):
    attached, head = model(tiny, load_task("sample_nli"), expression)
    digest = model_digest(attached, head)
    own = [*attached.trainable().values(), *head.parameters()]
    assert len(own) > 10
    for tensor in own:
        flat, place = tensor.data.view(-1), random.Random(0).randrange(tensor.numel())
        before = flat[place].clone()
        flat[place] = torch.nextafter(before, torch.tensor(9.0))
        assert model_digest(attached, head) != digest
        flat[place] = before
    assert model_digest(attached, head) == digest


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("bottleneck(reduction=4)", "bottleneck(reduction=4, activation=gelu)"),
        ("bottleneck(reduction=4)", "bottleneck(reduction=4, kind=parallel)"),
        ("lora(r=2, alpha=16)", "lora(r=2, alpha=8)"),  # the same tensors, scaled otherwise
        ("lora(r=2, targets=query)", "lora(r=2, targets=key)"),
    ],
)
def test_equal_tensors_put_together_otherwise_make_another_model(tiny, one, other):
    task = load_task("sample_nli")
    assert model_digest(*model(tiny, task, one)) == model_digest(*model(tiny, task, one))
    assert model_digest(*model(tiny, task, one)) != model_digest(*model(tiny, task, other))


def test_another_order_of_a_stack_makes_another_model(tiny, tmp_path):
    for name in ("nli", "qa"):
        ax.train_intermediate(f"sample_{name}", tiny, "bottleneck(reduction=4)", out=tmp_path / name, **QUICK)
    task, (nli, qa) = load_task("sample_nli"), (tmp_path / "nli", tmp_path / "qa")
    digests = [model_digest(*model(tiny, task, f"Stack({a}, {b})")) for a, b in ((nli, qa), (qa, nli))]
    assert digests[0] != digests[1]
    attached, head = model(tiny, task, f"Stack({nli}, {qa})")
    assert model_digest(attached, head) == digests[0]
    attached.model.set_active_adapters(attached.parts[0].name)  # the same tensors, one of them switched off
    assert model_digest(attached, head) != digests[0]


def test_the_head_its_backbone_and_the_code_are_of_the_model(tiny, tiny_folder, monkeypatch):
    task = load_task("sample_nli")
    attached, head = model(tiny, task)
    digests = [model_digest(attached, head)]
    for name, value in (("labels", task.labels[::-1]), ("pooling", "first"), ("kind", "choice")):
        before = getattr(head, name)
        setattr(head, name, value)
        digests.append(model_digest(attached, head))
        setattr(head, name, before)
    assert model_digest(attached, head) == digests[0]
    for precision in ("bf16", "int8", "nf4"):
        digests.append(model_digest(*model(load_backbone(str(tiny_folder), precision), task)))
    attached.backbone = replace(tiny, digest="another")
    digests.append(model_digest(attached, head))
    attached.backbone = tiny
    asked = []
    monkeypatch.setattr(module, "code_digest", lambda *folders: asked.append(folders) or "changed")
    digests.append(model_digest(attached, head))
    assert {"engine", "modules", "backbone", "features", "tasks"} <= set(asked[0])
    monkeypatch.setattr(module, "version", lambda library: "9" if library == "torch" else "0")
    digests.append(model_digest(attached, head))
    assert len(set(digests)) == len(digests)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8", "nf4"])
def test_no_weight_of_the_backbone_is_read_as_it_has_a_digest(tiny, tiny_folder, monkeypatch, precision):
    given = model(load_backbone(str(tiny_folder), precision), load_task("sample_nli"))
    read, real = [], module._tensor_digest
    monkeypatch.setattr(module, "_tensor_digest", lambda tensor: read.append(tensor) or real(tensor))
    model_digest(*given)
    attached, head = given
    assert {id(tensor) for tensor in read[:-2]} == {id(tensor) for tensor in attached.trainable().values()}
    assert len(read) == len(attached.trainable()) + len(head.state_dict())


def test_the_code_that_counts_is_read_from_its_files():
    folders = ("backbone", "engine", "features", "modules", "tasks")
    whole = feature_cache_module.code_digest(*folders)
    for left_out in folders:
        assert feature_cache_module.code_digest(*[name for name in folders if name != left_out]) != whole


def test_other_settings_examples_rows_tasks_or_layers_have_other_predictions(tiny, folder):
    task = load_task("sample_nli")
    attached, head = model(tiny, task)
    kept = KeptPredictions(folder, attached, head)
    examples = list(load_examples(task, "test", "de"))[:5]
    settings = FeatureSettings(64)

    def key(kept=kept, task=task, examples=examples, read=settings, settings=settings):
        return kept.key(task, examples, kind_of(task).encode(task, examples, tiny.tokenizer, read), settings)

    first = examples[0]
    keys = [
        key(),
        key(settings=replace(settings, max_length=63)),  # that cuts none of these rows
        key(read=FeatureSettings(8)),
        key(examples=examples[:4]),
        key(examples=examples[::-1]),
        key(examples=[replace(first, text_b=first.text_b + "."), *examples[1:]]),
        key(examples=[replace(first, text_b=first.text_b + " "), *examples[1:]]),  # the same tokens
        key(examples=[replace(first, identifier="other"), *examples[1:]]),
        key(task=replace(task, labels=task.labels[::-1])),
        key(task=replace(task, content={**task.content, "description": "x"})),
        key(kept=KeptPredictions(folder, attached, head, 1)),
    ]
    assert len(set(keys)) == len(keys)
    assert key() == keys[0] == key(kept=KeptPredictions(folder, attached, head, tiny.layers))


def test_a_changed_data_file_is_predicted_anew_and_the_old_one_found_again(tiny, forwards, tmp_path):
    (tmp_path / "own.yaml").write_text(OWN)
    data, task = tmp_path / "data", load_task(str(tmp_path / "own.yaml"))
    data.mkdir()
    file, text = data / "test.en.tsv", "a\tb\tverdict\nIt rains.\tIt is wet.\tgood\nIt rains.\tIt is dry.\tbad\n"
    for number, given in enumerate((text, text.replace("dry", "hot"), text.replace("\tbad", "\tgood"), text), 1):
        file.write_text(given)
        scored(*model(tiny, task), task, languages=["en"], data_dir=data)
        assert len(forwards) == min(number, 3)


def test_a_capped_evaluation_is_not_taken_for_the_whole_nor_one_layer_for_another(tiny, forwards, tmp_path):
    task = load_task("sample_retrieval")
    given = model(tiny, task)
    counts = []
    for number, (cap, layer) in enumerate(((3, None), (4, None), (None, None), (3, 1), (3, 2)), 1):
        metrics = scored(*given, task, languages=["de"], max_examples=cap, layer=layer)
        counts.append(metrics["languages"]["de"]["n"])
        assert len(forwards) == number
    assert counts[:2] == [3, 4]
    assert counts[2] > 4
    scored(*given, task, languages=["de"], max_examples=3, layer=tiny.layers)  # all layers, by their number
    assert len(forwards) == 5


def test_a_damaged_file_is_predicted_anew_and_written_again(tiny, forwards, folder):
    task = load_task("sample_nli")
    given = model(tiny, task)
    fresh = scored(*given, task, languages=["en"])
    (path,) = folder.iterdir()
    whole, generator = path.read_bytes(), random.Random(0)
    for number in range(1, 9):
        damaged = bytearray(whole)
        damaged[generator.randrange(len(whole))] ^= 1 << generator.randrange(8)
        path.write_bytes(damaged if number < 7 else whole[: len(whole) // number])
        assert scored(*given, task, languages=["en"]) == fresh
        assert len(forwards) == 1 + number
        assert path.read_bytes() == whole


def test_with_0_gigabytes_nothing_is_kept_nor_found(tiny, forwards, folder, monkeypatch):
    task = load_task("sample_nli")
    given = model(tiny, task)
    scored(*given, task)
    monkeypatch.setenv("ADAPTERXFER_CACHE_GB", "0")
    scored(*given, task)
    assert len(forwards) == 4
    shutil.rmtree(folder)
    scored(*given, task)
    assert not folder.exists()


def test_the_limit_holds_and_what_was_used_longest_ago_goes(tiny, folder):
    given = model(tiny, load_task("sample_nli"))
    kept = KeptPredictions(folder, *given, limit=30_000)
    for number in range(8):
        kept.keep(str(number), [{"id": "1", "prediction": "x" * 6_000}])
    assert kept.find("7") is not None
    assert kept.find("0") is None
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 30_000


def test_a_model_that_was_trained_further_is_asked_anew(tiny, forwards):
    task = load_task("sample_nli")
    attached, head = model(tiny, task)
    scored(attached, head, task)
    for number, tensor in enumerate((next(iter(attached.trainable().values())), head.linear.bias), 2):
        tensor.data += 0.5
        changed = scored(attached, head, task)
        assert len(forwards) == 2 * number
    assert scored(attached, head, task) == changed
    assert len(forwards) == 6
