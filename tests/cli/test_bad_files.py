"""Malformed files through the whole command: the sentence names file and line, exit code 2, and nothing is trained."""

import json

import pytest

from adapterxfer.cli.main import main

PAIR = """
schema: 1
name: mine
version: 1
kind: pair
roles: [target]
description: a test
labels: [good, bad]
languages: [en, de]
metric: accuracy
evaluation_split: dev
licence: none
citation: none
read: {format: delimited, fields: {text_a: a, text_b: b, label: verdict}}
splits:
  train: {path: "train.{lang}.tsv", languages: [en]}
  dev: {path: "dev.{lang}.tsv"}
"""
SPAN = """
schema: 1
name: mine
version: 1
kind: span
roles: [target]
description: a test
languages: [en]
metric: squad
evaluation_split: dev
licence: none
citation: none
read: {format: squad}
splits:
  train: {path: train.json}
  dev: {path: dev.json}
"""
GOOD = "a\tb\tverdict\nx\ty\tgood\nx\tz\tbad\n"


def squad(start):
    answers = [{"text": "Rome", "answer_start": start}]
    paragraph = {"context": "It is in Rome.", "qas": [{"id": "q1", "question": "Where?", "answers": answers}]}
    return json.dumps({"version": "1.1", "data": [{"title": "t", "paragraphs": [paragraph]}]}, indent=1)


def train(capsys, folder, backbone):
    words = ["train-target", folder / "task.yaml", "--strategy", "baseline", "--backbone", backbone, "--steps", "1"]
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in [*words, "--out", folder / "run"]])
    return stopped.value.code, capsys.readouterr().err


def sentence(errors):
    return errors.strip().splitlines()[-1]


CASES = {
    "label outside the set": ({"train.en.tsv": GOOD + "x\ty\tugly\n"}, "train.en.tsv:4"),
    "a column too few": ({"train.en.tsv": GOOD + "x\ty\n"}, "train.en.tsv:4"),
    "not UTF-8": ({"train.en.tsv": b"a\tb\tverdict\nx\t\xff\tgood\n"}, "train.en.tsv:2"),
    "a missing column": ({"train.en.tsv": "a\tverdict\nx\tgood\n"}, "train.en.tsv"),
    "an empty split": ({"train.en.tsv": "a\tb\tverdict\n"}, "train.en.tsv"),
    "a bad row in a language that is only scored": ({"dev.de.tsv": "a\tb\tverdict\nx\ty\tugly\n"}, "dev.de.tsv:2"),
    "a missing training file": ({"train.en.tsv": None}, "train.en.tsv"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_malformed_pair_file_is_named_with_its_line(capsys, tmp_path, tiny_folder, case):
    files, says = CASES[case]
    content = {"train.en.tsv": GOOD, "dev.en.tsv": GOOD, "dev.de.tsv": GOOD} | files
    (tmp_path / "task.yaml").write_text(PAIR)
    for name, text in content.items():
        if text is not None:
            (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    code, errors = train(capsys, tmp_path, tiny_folder)
    assert code == 2, errors
    assert says in sentence(errors)
    assert "Traceback" not in errors
    assert not list(tmp_path.glob("run*"))


@pytest.mark.parametrize(
    ("start", "text"), [(3, None), (99, None), (9, "[1, 2"), (9, '{"data": 3}')], ids=["off", "outside", "cut", "shape"]
)
def test_a_malformed_squad_file_is_named_with_its_line(capsys, tmp_path, tiny_folder, start, text):
    (tmp_path / "task.yaml").write_text(SPAN)
    (tmp_path / "dev.json").write_text(squad(9))
    (tmp_path / "train.json").write_text(text or squad(start))
    code, errors = train(capsys, tmp_path, tiny_folder)
    assert code == 2, errors
    assert "train.json:" in sentence(errors)
    assert not list(tmp_path.glob("run*"))


@pytest.mark.parametrize("line", ["kind: pears", "colour: red", "labels: 3", "evaluation_split: nowhere"])
def test_a_malformed_declaration_is_named(capsys, tmp_path, tiny_folder, line):
    key = line.split(":")[0]
    kept = [row for row in PAIR.splitlines() if not row.startswith(f"{key}:")]
    (tmp_path / "task.yaml").write_text("\n".join([*kept, line]) + "\n")
    code, errors = train(capsys, tmp_path, tiny_folder)
    assert code == 2, errors
    assert "task.yaml" in sentence(errors)
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("line", "says"), [("[1]", ":1"), ('{"text_a": "x"}', "text_b"), ('{"text_a": 3, "text_b": "y"}', "must be a text")]
)
def test_a_malformed_input_of_predict_is_named_with_its_line(capsys, tmp_path, tiny, line, says):
    import adapterxfer as ax

    options = {"steps": 1, "max_examples": 8, "max_eval_examples": 2, "out": tmp_path / "run"}
    ax.train_intermediate("sample_nli", tiny, "lora(r=2)", **options)
    (tmp_path / "in.jsonl").write_text(line + "\n")
    with pytest.raises(SystemExit) as stopped:
        main(["predict", str(tmp_path / "run"), "--file", str(tmp_path / "in.jsonl")])
    errors = capsys.readouterr().err
    assert stopped.value.code == 2, errors
    assert "in.jsonl:1" in sentence(errors)
    assert says in sentence(errors)
