"""The scripts that measure a GPU run in small on the CPU: every path of theirs that a CPU has. No figure counts."""

import kernels_speed
import large_step
import packed_curves
import pytest
import torch

SMALL = ["--device", "cpu", "--scale", "tiny", "--repeats", "1"]


def lines(capsys, mark):
    return [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ") and mark in line]


@pytest.mark.slow
def test_the_kernels_are_timed_against_their_alternatives(capsys):
    kernels_speed.main([*SMALL, "--calls", "1", "--tokens", "64", "--precision", "fp32"])
    found = lines(capsys, "tokens |")
    assert len(found) == 9  # five functions, two layers, two steps
    assert not [line for line in found if "fails" in line]
    assert all(line.count("x)") == 3 for line in found), "eager, compiled and kernel"


@pytest.mark.slow
def test_the_whole_step_is_measured_beside_a_peer(capsys):
    large_step.main(
        [*SMALL, "--rows", "12", "--data", "squad", "--modules", "lora", "--layers", "quarter", "--ways", "c"]
    )
    found = lines(capsys, "squad, lora, quarter")
    assert [line.split(":")[1].split("|")[0].strip() for line in found][0::3] == ["ours, bf16", "peft + Trainer (c)"]


@pytest.mark.slow
def test_a_fuse_and_the_capped_run_and_the_rates_are_measured(capsys):
    given = ["--data", "mnli", "--modules", "fuse", "--layers", "half", "--ways", "a,b", "--memory", "8", "--rates"]
    large_step.main([*SMALL, "--rows", "12", *given])
    out = capsys.readouterr().out
    for side in ("ours, nf4", "AdapterTrainer (a)", "AdapterTrainer (b)", "ours, bf16, 8.0 GB"):
        assert f": {side} |" in out, side
    for rate in ("prefix", "training", "evaluation"):
        assert f"| {rate} |" in out


def test_the_curves_of_both_paths_are_drawn(corpora, tiny_folder, tmp_path):
    given = ["--data-dir", str(corpora), "--out", str(tmp_path / "curves.png"), "--backbone", str(tiny_folder)]
    apart = packed_curves.main([*given, "--steps", "8", "--batch-size", "4", "--window", "2"])
    assert (tmp_path / "curves.png").stat().st_size > 5000
    assert 0 < apart["of path"] < apart["of seed"]


def test_without_a_gpu_the_scripts_say_so_in_a_sentence(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for script in (kernels_speed, large_step):
        with pytest.raises(SystemExit, match="torch finds none here: run it on a machine with CUDA"):
            script.main([])
