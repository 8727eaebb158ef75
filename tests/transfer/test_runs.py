"""The verbs, end to end on a small random encoder and the bundled sample: what a run folder holds and refuses."""

import hashlib
import json

import pytest
import torch
from safetensors.torch import load_file

import adapterxfer as ax

QUICK = {"steps": 4, "max_examples": 32, "max_eval_examples": 8, "batch_size": 8}
NINE = {"en", "de", "es", "ru", "tr", "ar", "hi", "zh", "sw"}


def digest(backbone):
    sha = hashlib.sha256()
    for name in sorted(backbone.state):
        sha.update(backbone.state[name].contiguous().view(torch.uint8).numpy().tobytes())
    return sha.hexdigest()


@pytest.fixture(scope="module")
def intermediates(tiny, tmp_path_factory):
    """Two bottlenecks and a LoRA, trained on bundled English tasks."""
    root = tmp_path_factory.mktemp("intermediates")
    spec = ax.bottleneck(reduction=4)
    return {
        "nli": ax.train_intermediate("sample_nli", tiny, spec, out=root / "nli", **QUICK),
        "qa": ax.train_intermediate("sample_qa", tiny, spec, out=root / "qa", **QUICK),
        "lora": ax.train_intermediate("sample_nli", tiny, ax.lora(r=4), out=root / "nli-lora", **QUICK),
    }


def test_an_intermediate_run_holds_what_the_design_promises(intermediates):
    folder = intermediates["nli"].folder
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert names == {
        "run.json",
        "metrics.json",
        "log.jsonl",
        "module/adapter_config.json",
        "module/adapter.safetensors",
        "head/head.json",
        "head/head.safetensors",
        "predictions/en.jsonl",
    }
    record, metrics = intermediates["nli"].record, intermediates["nli"].metrics
    assert {"recipe", "backbone", "data", "packages", "training", "composition", "protocol"} <= set(record)
    assert record["trained_on"] == ["sample_nli"]
    assert record["data"]["examples"] == 32
    assert metrics["languages"]["en"]["n"] == 8
    assert len((folder / "predictions/en.jsonl").read_text().splitlines()) == 8
    assert not folder.with_name("nli.partial").exists()


STRATEGIES = [
    ("baseline", [], "bottleneck(reduction=4)", set()),
    ("baseline", [], "lora(r=4)", set()),
    ("stack", ["nli"], "bottleneck(reduction=4)", {"frozen/sample_nli"}),
    ("stack", ["lora"], "lora(r=4)", {"frozen/sample_nli"}),
    ("stack", ["lora"], "bottleneck(reduction=4)", {"frozen/sample_nli"}),
    ("continue", ["nli"], "bottleneck", set()),
    ("continue", ["lora"], "lora", set()),
    ("fuse", ["nli", "qa"], "bottleneck(reduction=4)", {"frozen/sample_nli", "frozen/sample_qa"}),
    ("merge", ["nli", "qa"], "bottleneck(reduction=4)", {"frozen/ties-merge"}),
]


@pytest.mark.parametrize(("strategy", "sources", "spec", "frozen"), STRATEGIES)
def test_every_strategy_trains_saves_and_scores_nine_languages_and_leaves_the_backbone_alone(
    tiny, intermediates, tmp_path, strategy, sources, spec, frozen
):
    before = digest(tiny)
    run = ax.train_target(
        "sample_paraphrase",
        tiny,
        strategy=strategy,
        sources=[intermediates[name] for name in sources],
        adapter=spec,
        out=tmp_path / "run",
        **QUICK,
    )
    assert digest(tiny) == before, "the frozen backbone moved"
    assert set(run.metrics["languages"]) == NINE
    assert (run.folder / "module").is_dir()
    assert {str(p.relative_to(run.folder)) for p in run.folder.glob("frozen/*")} == frozen
    assert (run.folder / "fusion").is_dir() == (strategy == "fuse")
    for name in frozen - {"frozen/ties-merge"}:  # what is frozen is kept as it came
        source = next(s for s in sources if (intermediates[s].folder / "module").is_dir() and
                      intermediates[s].record["name"] == name.split("/")[1])  # fmt: skip
        weights = next((run.folder / name).glob("*.safetensors"))
        original = load_file(intermediates[source].folder / "module" / weights.name)
        assert sorted(v.sum().item() for v in load_file(weights).values()) == sorted(
            v.sum().item() for v in original.values()
        )
    again = ax.evaluate(run, languages=["de", "sw"], backbone=tiny, max_eval_examples=8).as_dict()
    for language in ("de", "sw"):
        assert again["languages"][language] == run.metrics["languages"][language], "the saved run scores otherwise"


@pytest.mark.parametrize("task", ["sample_ner", "sample_choice", "sample_qa", "sample_nli"])
def test_every_kind_of_task_trains_and_answers_a_users_own_input(tiny, tmp_path, task):
    run = ax.train_target(task, tiny, ax.bottleneck(reduction=4), out=tmp_path / "run", languages=["en", "zh"], **QUICK)
    inputs = {
        "sample_ner": {"words": ["Anna", "wohnt", "in", "Berlin"]},
        "sample_choice": {"prompt": "It rained.", "choices": ["The street got wet.", "The sun shone."]},
        "sample_qa": {"question": "Where is it?", "context": "It is in the old garden behind the house."},
        "sample_nli": {"text_a": "A man sleeps.", "text_b": "Somebody sleeps."},
    }
    [answer] = ax.predict(run.folder, [inputs[task]])
    if task == "sample_ner":
        assert len(answer["prediction"]) == 4
    if task == "sample_qa":
        assert answer["prediction"] in inputs[task]["context"]
    if task == "sample_nli":
        assert answer["prediction"] in ("entailment", "neutral", "contradiction")
    if task == "sample_choice":
        assert answer["prediction"] in (0, 1)


def test_a_backbone_alone_scores_retrieval(tiny):
    scores = ax.evaluate(tiny, "sample_retrieval").as_dict()
    assert set(scores["languages"]) == NINE - {"en"}
    assert all(0 <= row["score"] <= 100 for row in scores["languages"].values())


def test_the_training_draw_is_the_same_for_every_seed_and_the_weights_are_not(tiny, tmp_path):
    runs = [
        ax.train_intermediate("sample_nli", tiny, "lora(r=2)", out=tmp_path / str(s), seed=s, **QUICK) for s in (0, 1)
    ]
    assert runs[0].record["data"] == runs[1].record["data"]
    weights = [load_file(run.folder / "module" / "adapter_model.safetensors") for run in runs]
    assert any(not torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


def test_the_same_recipe_gives_the_same_weights_bit_for_bit(tiny, tmp_path):
    runs = [
        ax.train_intermediate("sample_nli", tiny, "lora(r=2, dropout=0.1)", out=tmp_path / n, **QUICK) for n in "ab"
    ]
    weights = [(run.folder / "module" / "adapter_model.safetensors").read_bytes() for run in runs]
    assert weights[0] == weights[1]


REFUSED = [
    ({"task": "smaple_nli"}, "sample_nli"),
    ({"task": "sample_retrieval"}, "no training data"),
    ({"adapter": "adapter(4)"}, "unknown word"),
    ({"protocol": "mine"}, "modules, jiant, xtreme"),
    ({"lr": -1.0}, "out of range"),
    ({"epochs": 0}, "out of range"),
    ({"steps": 0}, "out of range"),
    ({"max_examples": 0}, "out of range"),
    ({"top_layers": 7}, "3 layers"),
    ({"data_dir": "/no/such/folder"}, "not a folder"),
]


@pytest.mark.parametrize(("wrong", "says"), REFUSED)
def test_wrong_input_is_refused_with_one_sentence_before_anything_is_written(tiny, tmp_path, wrong, says):
    options = {"task": "sample_nli", "adapter": "lora", "out": tmp_path / "run"} | QUICK | wrong
    with pytest.raises(ax.UserError) as caught:
        ax.train_intermediate(options.pop("task"), tiny, options.pop("adapter"), **options)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_an_existing_run_is_not_overwritten_and_resume_returns_it(tiny, intermediates):
    folder = intermediates["nli"].folder
    with pytest.raises(ax.UserError, match="exists already"):
        ax.train_intermediate("sample_nli", tiny, ax.bottleneck(reduction=4), out=folder, **QUICK)
    run = ax.train_intermediate("sample_nli", tiny, ax.bottleneck(reduction=4), out=folder, resume=True, **QUICK)
    assert run.folder == folder


def test_a_module_of_another_backbone_is_refused(mini, intermediates, tmp_path):
    with pytest.raises(ax.UserError, match="another backbone"):
        ax.train_target(
            "sample_ner", mini, ax.Stack(intermediates["nli"], ax.bottleneck()), out=tmp_path / "x", **QUICK
        )


def test_a_run_that_is_not_one_module_is_refused_as_a_leaf_and_its_parts_are_named(tiny, intermediates, tmp_path):
    stacked = ax.train_target(
        "sample_ner",
        tiny,
        ax.Stack(intermediates["nli"], ax.bottleneck(reduction=4)),
        out=tmp_path / "stacked",
        **QUICK,
    )
    with pytest.raises(ax.UserError, match=r"compose its parts instead: .*frozen/sample_nli, .*module"):
        ax.train_target("sample_ner", tiny, ax.Stack(stacked, ax.bottleneck()), out=tmp_path / "x", **QUICK)
    parts = ax.Stack(stacked.folder / "frozen" / "sample_nli", ax.Continue(stacked.folder / "module"))
    run = ax.train_target("sample_ner", tiny, parts, out=tmp_path / "parts", languages="en", **QUICK)
    assert set(run.metrics["languages"]) == {"en"}


def test_a_run_cannot_score_a_task_of_other_labels(intermediates, tiny):
    with pytest.raises(ax.UserError, match="cannot predict sample_paraphrase"):
        ax.evaluate(intermediates["nli"], "sample_paraphrase", backbone=tiny)


def test_a_language_the_task_lacks_is_refused(tiny, tmp_path):
    with pytest.raises(ax.UserError, match="no language 'xx'"):
        ax.train_target("sample_ner", tiny, ax.lora(), languages="xx", out=tmp_path / "run", **QUICK)


def test_predictions_are_one_json_object_a_line_in_the_examples_order(intermediates):
    lines = (intermediates["qa"].folder / "predictions/en.jsonl").read_text(encoding="utf-8").splitlines()
    assert all({"id", "prediction"} <= set(json.loads(line)) for line in lines)


def test_a_published_protocol_trains_as_published_and_says_what_it_looked_at(tiny, tmp_path):
    options = {"protocol": "xtreme", "steps": 3, "max_examples": 32, "languages": "en", "out": tmp_path / "run"}
    run = ax.train_target("sample_nli", tiny, strategy="baseline", **options)
    record = run.record
    assert record["protocol"] == run.metrics["protocol"] == "xtreme"
    assert (record["recipe"]["learning_rate"], record["recipe"]["warmup"]) == (2e-5, 0)
    assert record["selection"] == "the best of a look every 100 updates at sample_nli, split dev, in English"
    looked_at = ax.evaluate(run, split="dev", languages="en", backbone=tiny).as_dict()
    assert (record["training"]["kept"], record["training"]["dev_score"]) == (3, looked_at["average"])
