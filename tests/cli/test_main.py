"""The command line: light to start, JSON alone on stdout, one sentence and the right exit code for what is wrong."""

import json
import subprocess
import sys

import pytest

from adapterxfer.cli.main import main


def call(capsys, *words):
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in words])
    printed = capsys.readouterr()
    return stopped.value.code or 0, printed.out, printed.err


@pytest.mark.parametrize("words", [["--help"], ["tasks", "list"], ["train-target", "--help"]])
def test_light_commands_import_no_torch(words):
    script = (
        "import sys\nfrom adapterxfer.cli.main import main\n"
        f"try: main({words!r})\nexcept SystemExit: pass\n"
        "print([m for m in ('torch', 'transformers', 'adapters', 'numpy') if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize(
    "command", ["doctor", "demo", "tasks", "train-intermediate", "train-target", "evaluate", "predict"]
)
def test_every_command_of_the_contract_has_help(capsys, command):
    code, out, _ = call(capsys, command, "--help")
    assert code == 0
    assert "Usage" in out


def test_tasks_list_as_json_is_one_document(capsys):
    code, out, _ = call(capsys, "tasks", "list", "--role", "target", "--json")
    assert code == 0
    assert "xquad" in {task["name"] for task in json.loads(out)}


def test_tasks_show_prints_labels_and_json(capsys):
    assert "entailment" in call(capsys, "tasks", "show", "xnli")[1]
    assert json.loads(call(capsys, "tasks", "show", "xnli", "--json")[1])["name"] == "xnli"


def test_tasks_check_counts_the_bundled_sample(capsys):
    code, out, _ = call(capsys, "tasks", "check", "sample_nli", "--json")
    assert code == 0
    assert json.loads(out)


def test_doctor_says_what_will_run(capsys):
    report = json.loads(call(capsys, "doctor", "--json")[1])
    assert report["precision"] in ("fp32", "bf16", "fp16")
    assert report["packages"]["torch"]
    assert "precision" in call(capsys, "doctor")[1]


WRONG = [
    (["tasks", "show", "xnly"], "xnli"),
    (["tasks", "check", "xnli", "--data-dir", "/no/such"], "not a folder"),
    (["train-intermediate", "nothing", "--backbone", "mini"], "tasks list"),
    (["train-intermediate", "sample_nli", "--adapter", "lora(q=3)", "--backbone", "mini"], "no option 'q'"),
    (["train-target", "sample_ner", "--strategy", "blend", "--backbone", "mini"], "baseline, stack"),
    (["train-target", "sample_ner", "--backbone", "mini"], "--strategy"),
    (["train-target", "sample_ner", "--compose", "Stack(a", "--backbone", "mini"], "the text ends"),
    (["evaluate", "/no/such/run"], "not a run folder"),
    (["predict", "/no/such/run", "--text", "a"], "not a run folder"),
    (["predict", "/no/such/run"], "--text or --file"),
    (["train-target"], "Missing argument"),
]


@pytest.mark.parametrize(("words", "says"), WRONG)
def test_wrong_input_ends_with_exit_code_2_and_no_traceback(capsys, words, says):
    code, out, errors = call(capsys, *words)
    assert code == 2
    assert says in errors
    assert "Traceback" not in errors
    assert out == ""


def test_debug_shows_the_traceback(capsys):
    code, _, errors = call(capsys, "evaluate", "/no/such/run", "--debug")
    assert code == 2
    assert "Traceback" in errors
