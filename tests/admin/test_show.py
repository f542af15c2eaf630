"""Tables that people read on a terminal or in a pager."""

from datetime import UTC, datetime

import pytest
from rich.console import Console

from admin import show

ROWS = [
    (datetime(2026, 11, 24, 8, 0, tzinfo=UTC), "a@example.pl", None),
    (datetime(2026, 11, 24, 8, 1, tzinfo=UTC), "[bold]Łukasz[/bold] 東京", 1234),
    (datetime(2026, 11, 24, 8, 2, tzinfo=UTC), "with\x1b[31m colour", "x"),
]


def printed(capsys: pytest.CaptureFixture[str], rows: list[tuple[object, ...]]) -> list[str]:
    show.table(("at", "from", "number"), rows, "nothing")
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def test_a_long_table_looks_like_a_short_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(show, "console", Console(width=200))
    short = printed(capsys, [*ROWS])

    monkeypatch.setattr(show, "_MANY", 2)

    assert printed(capsys, [*ROWS]) == short
    assert short[0].split() == ["at", "from", "number"]
    assert len(short) == 4
