"""Real signals to a real process: what it leaves is resumed to the same weights, bit for bit."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from safetensors import safe_open

import adapterxfer as ax

STEPS = 120


def command(tiny_folder, out, *more):
    words = ["train-intermediate", "sample_nli", "--backbone", str(tiny_folder), "--adapter", "lora(r=4, dropout=0.1)",
             "--precision", "fp32", "--steps", str(STEPS), "--batch-size", "16", "--max-eval-examples", "8",
             "--out", str(out), *more]  # fmt: skip
    return [sys.executable, "-c", "from adapterxfer.cli.main import main; main()", *words]


def start(tiny_folder, out, *more):
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command(tiny_folder, out, *more), env=environment, stderr=subprocess.PIPE, text=True)


def step_of(out):
    path = out.with_name(out.name + ".partial") / "checkpoint.safetensors"
    if not path.is_file():
        return 0
    with safe_open(path, "pt") as stream:
        return json.loads(stream.metadata()["record"])["step"]


def interrupt(process, out, at_least, number):
    deadline = time.monotonic() + 120
    while step_of(out) < at_least and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(number)
    _, errors = process.communicate(timeout=120)
    return process.returncode, errors


def test_sigint_sigterm_and_kill_leave_a_run_that_resumes_to_the_same_bits(tiny_folder, tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert start(tiny_folder, whole).wait(timeout=300) == 0

    code, errors = interrupt(start(tiny_folder, broken), broken, 6, signal.SIGINT)
    assert code == 1, errors
    assert "--resume goes on" in errors
    assert "Traceback" not in errors
    reached = step_of(broken)
    assert 6 <= reached < STEPS

    code, errors = interrupt(start(tiny_folder, broken, "--resume"), broken, reached + 6, signal.SIGTERM)
    assert code == 1, errors
    assert "SIGTERM" in errors
    reached = step_of(broken)

    code, _ = interrupt(start(tiny_folder, broken, "--resume"), broken, reached + 6, signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert not broken.exists(), "half a run was shown as a whole one"

    process = start(tiny_folder, broken, "--resume")
    assert process.wait(timeout=300) == 0, process.stderr.read()
    for name in ("module/adapter_model.safetensors", "head/head.safetensors", "metrics.json", "predictions/en.jsonl"):
        assert (whole / name).read_bytes() == (broken / name).read_bytes(), f"{name} differs after resuming"
    steps = [json.loads(line)["step"] for line in (broken / "log.jsonl").read_text().splitlines()]
    assert steps == sorted(set(steps)), "the log repeats or loses steps"
    assert not broken.with_name("broken.partial").exists()


def test_resuming_with_other_options_is_refused_and_names_the_difference(tiny, tmp_path):
    options = {"out": tmp_path / "run", "steps": 6, "max_examples": 16, "max_eval_examples": 4}
    with pytest.raises(ax.RunError, match="loss is"):
        ax.train_intermediate("sample_nli", tiny, "lora(r=2)", lr=1e30, **options)
    with pytest.raises(ax.UserError, match="recipe="):
        ax.train_intermediate("sample_nli", tiny, "lora(r=2)", lr=1e-3, resume=True, **options)
    with pytest.raises(ax.UserError, match="--resume"):
        ax.train_intermediate("sample_nli", tiny, "lora(r=2)", lr=1e-3, **options)


def test_a_loss_that_is_not_a_number_stops_with_one_sentence_and_keeps_the_checkpoint(tiny, tmp_path):
    with pytest.raises(ax.RunError) as caught:
        ax.train_intermediate(
            "sample_nli", tiny, "bottleneck", lr=1e30, steps=40, max_examples=64, out=tmp_path / "run"
        )
    assert "lower --lr" in str(caught.value)
    assert (tmp_path / "run.partial" / "checkpoint.safetensors").is_file()
    assert not (tmp_path / "run").exists()


def test_a_disk_that_refuses_writes_stops_with_one_sentence_and_the_run_resumes_when_it_takes_them_again(
    tiny, tmp_path
):
    resource = pytest.importorskip("resource")
    options = {"out": tmp_path / "run", "steps": 8, "max_examples": 32, "max_eval_examples": 4}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))  # a real refusal by the kernel: files end at 2,000 bytes
    try:
        with pytest.raises(ax.RunError, match="could not be written"):
            ax.train_intermediate("sample_nli", tiny, "lora(r=2)", **options)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not (tmp_path / "run").exists()
    run = ax.train_intermediate("sample_nli", tiny, "lora(r=2)", resume=True, **options)
    assert run.metrics["languages"]["en"]["n"] == 4


def test_a_damaged_checkpoint_is_named(tiny, tmp_path):
    options = {"out": tmp_path / "run", "steps": 40, "max_examples": 64, "max_eval_examples": 4, "lr": 1e30}
    with pytest.raises(ax.RunError):
        ax.train_intermediate("sample_nli", tiny, "lora(r=2)", **options)
    path = tmp_path / "run.partial" / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ax.UserError, match="damaged"):
        ax.train_intermediate("sample_nli", tiny, "lora(r=2)", resume=True, **options)
