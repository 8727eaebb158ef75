"""Several trainings in one pass: each run is what it would have been alone; what does not learn begins once more."""

import json

import pytest
import torch
from safetensors.torch import load_file

import adapterxfer as ax
from adapterxfer.training import loop

QUICK = {"steps": 6, "max_examples": 48, "max_eval_examples": 8, "batch_size": 8}


def weights(run):
    [path] = (run.folder / "module").glob("*.safetensors")
    return load_file(path) | load_file(run.folder / "head" / "head.safetensors")


def equal(one, other, atol=1e-5):
    for name, value in weights(one).items():
        torch.testing.assert_close(weights(other)[name], value, atol=atol, rtol=1e-3, msg=name)


@pytest.fixture(scope="module")
def trainings(tmp_path_factory):
    """Two seeds, another rate, another kind of module and another task."""
    out = tmp_path_factory.mktemp("together")
    nli = ax.Training("sample_nli", ax.bottleneck(reduction=4), "intermediate", out=out / "nli", **QUICK)
    return [
        *nli.with_seeds([0, 1]),
        ax.Training("sample_nli", "bottleneck(reduction=4)", "intermediate", out=out / "rate", lr=1e-4, **QUICK),
        ax.Training("sample_nli", ax.lora(r=4), "intermediate", out=out / "lora", **QUICK),
        ax.Training("sample_ner", ax.bottleneck(reduction=4), languages=["en", "de"], out=out / "ner", **QUICK),
    ]


@pytest.fixture(scope="module")
def together(tiny, trainings):
    return ax.train_together(trainings, tiny)


def test_each_run_is_what_it_would_have_been_alone(tiny, trainings, together, tmp_path):
    from dataclasses import replace

    for number, (training, run) in enumerate(zip(trainings, together, strict=True)):
        [alone] = ax.train_together([replace(training, out=tmp_path / str(number))], tiny)
        equal(alone, run)
        assert alone.record["identity"] == run.record["identity"]
        assert alone.metrics == run.metrics
    assert [run.folder.name for run in together] == ["nli-seed0", "nli-seed1", "rate", "lora", "ner"]


def test_run_json_says_which_path_ran_and_what_was_frozen(together):
    engine = together[0].record["engine"]
    assert engine["path"] == "own"
    assert engine["frozen_layers"] == 0
    assert engine["precision"]["residual stream"] == "fp32"
    assert together[0].record["training"]["token_budget"] == 8192
    assert together[0].record["training"]["restarts"] == []


def test_finished_runs_are_taken_as_they_are_and_equal_folders_refused(tiny, trainings, together):
    again = ax.train_together(trainings, tiny, resume=True)
    assert [run.folder for run in again] == [run.folder for run in together]
    with pytest.raises(ax.UserError, match="have the run folder"):
        ax.train_together([trainings[0], trainings[0]], tiny)


def test_runs_interrupted_at_different_updates_go_on_to_the_same_weights(tiny, trainings, together, tmp_path):
    from dataclasses import replace

    class CutOffError(Exception):
        pass

    pair = [replace(one, out=tmp_path / str(number)) for number, one in enumerate(trainings[:2])]
    real, count = loop.gradients, []

    def cut(*given):
        count.append(1)
        if len(count) == 4:
            raise CutOffError
        return real(*given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "gradients", cut)
        with pytest.raises(CutOffError):
            ax.train_together(pair[:1], tiny)
    runs = ax.train_together(pair, tiny, resume=True)  # the first has three updates, the second none
    for run, whole in zip(runs, together, strict=False):
        equal(whole, run)


def test_the_frozen_layers_of_a_data_set_are_computed_once_for_all_seeds(tiny, tmp_path, monkeypatch):
    from adapterxfer.engine import prefix

    monkeypatch.setenv("ADAPTERXFER_CACHE", str(tmp_path / "cache"))
    passes, real = [], prefix.encode

    def counted(attached, ids, *given, **options):
        passes.append(len(ids))
        return real(attached, ids, *given, **options)

    monkeypatch.setattr(prefix, "encode", counted)
    one = ax.Training(
        "sample_nli", ax.lora(r=4), "intermediate", out=tmp_path / "run", top_layers=2,
        **QUICK | {"steps": None, "epochs": 2},
    )  # fmt: skip
    runs = ax.train_together(one.with_seeds([0, 1, 2]), tiny)
    assert sum(passes) <= 48
    assert runs[0].record["engine"]["frozen_layers"] == 1
    passes.clear()
    from dataclasses import replace

    [again] = ax.train_together([replace(one, out=tmp_path / "again")], tiny)
    assert not passes, "it is kept between runs, too"
    equal(runs[0], again)


def test_a_training_that_stays_at_chance_begins_once_more_from_the_next_seed_and_says_so(tiny, tmp_path, capsys):
    run = ax.train_intermediate(
        "sample_nli", tiny, "lora(r=2)", lr=1e-12, out=tmp_path / "run", **QUICK | {"steps": 100}
    )
    [restart] = run.record["training"]["restarts"]
    assert restart["seed"] == 0
    assert "still at chance" in restart["why"]
    assert "at update 50 of 100" in restart["why"]
    assert run.record["recipe"]["seed"] == 1
    assert "starting once more with seed 1" in capsys.readouterr().err
    lines = [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == 100
    names = {path.name for path in run.folder.iterdir()}
    assert "restarts.json" not in names
    assert "checkpoint.safetensors" not in names
    fresh = ax.train_intermediate(
        "sample_nli", tiny, "lora(r=2)", lr=1e-12, seed=1, out=tmp_path / "one", **QUICK | {"steps": 8}
    )
    a = {name: value for name, value in weights(run).items() if "lora_A" in name}
    torch.testing.assert_close(a, {name: weights(fresh)[name] for name in a}, atol=1e-6, rtol=1e-6)


def test_several_seeds_from_the_shell(tiny_folder, tmp_path, capsys):
    from adapterxfer.cli.main import main

    words = ["train-intermediate", "sample_nli", "--backbone", str(tiny_folder), "--precision", "fp32", "--adapter",
             "lora(r=2)", "--steps", "4", "--max-examples", "16", "--max-eval-examples", "4", "--out",
             str(tmp_path / "nli"), "--json", "--seed"]  # fmt: skip
    with pytest.raises(SystemExit) as ended:
        main([*words, "3,5"])
    assert not ended.value.code
    documents = json.loads(capsys.readouterr().out)
    assert [document["run"] for document in documents] == [str(tmp_path / f"nli-seed{seed}") for seed in (3, 5)]
    for wrong in ("1,1", "x", "-1", ""):
        with pytest.raises(SystemExit) as ended:
            main([*words, wrong])
        assert ended.value.code == 2
        assert "--seed" in capsys.readouterr().err
