"""How far a long command is, on stderr."""

import io
import sys

import pytest

from admin.campaign.progress import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_it_is_a_line_every_ten_thousand_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("rows of leads.csv checked") as show:
        for done in range(1000, 25_001, 1000):
            show(done, done / 25_000)

    assert capsys.readouterr() == (
        "",
        "10,000 rows of leads.csv checked (40%)\n20,000 rows of leads.csv checked (80%)\n",
    )


def test_it_is_a_bar_on_a_terminal_that_goes_when_it_is_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")

    with progress("rows of leads[/x].csv checked") as show:
        show(5000, 0.5)

    shown = terminal.getvalue()
    assert "5,000 rows of leads[/x].csv checked" in shown
    assert "50%" in shown
    assert shown.endswith("\x1b[2K")  # the line is erased
    assert capsys.readouterr().out == ""
