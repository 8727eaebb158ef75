"""Progress on stderr: a bar with rate and time left on a terminal, plain lines elsewhere, nothing on stdout."""

import io
import sys

from adapterxfer import progress as module
from adapterxfer.progress import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_sees_count_rate_and_note(monkeypatch, capsys):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with progress("training", 4, "updates") as bar:
        for _ in range(4):
            bar.advance(1, "loss 0.5")
    shown = screen.getvalue()
    assert "training" in shown
    assert "4/4" in shown
    assert "updates/s" in shown
    assert "loss 0.5" in shown
    assert capsys.readouterr().out == ""


def test_a_log_gets_plain_lines_with_rate_and_time_left(monkeypatch, capsys):
    monkeypatch.setattr(module, "_SECONDS_BETWEEN_LINES", 0.0)
    with progress("training", 4, "updates") as bar:
        bar.advance(2, "loss 0.5")
    printed = capsys.readouterr()
    assert printed.err.startswith("training: 2/4 updates, ")
    assert " s left, loss 0.5" in printed.err
    assert printed.out == ""
