"""Prints results: tables for people, JSON for programs. Times are Warsaw's."""

import dataclasses
import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from models.audit.changes import RecordedChange
from models.views.responses import Responses
from ops.terminal import escape_controls
from reasons import Reason
from scheduling.window import WARSAW

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]

_MANY = 1000  # lines of a table
FEW = 5  # latest changes shown with a campaign or a mailbox

# Output that is not a terminal goes to programs or a pager: do not cut lines.
console = Console(width=None if sys.stdout.isatty() else 100_000)


def as_json(value: Any) -> None:
    print(escape_controls(json.dumps(plain(value), indent=2, ensure_ascii=False), keep="\n"))


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], empty: str) -> None:
    lines = [[_text(value) for value in row] for row in rows]
    if not lines:
        console.print(empty)
        return
    if len(lines) > _MANY:
        _long_table(columns, lines)
        return
    grid = Table(*(Column(each, overflow="fold") for each in columns), box=None, pad_edge=False, header_style="bold")
    for line in lines:
        grid.add_row(*map(escape, line))
    console.print(grid)


def _long_table(columns: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    """Print a long table without rich, which takes 0.3 ms a line."""
    widths = [max(map(cell_len, column)) for column in zip(columns, *lines, strict=True)]
    for line in (columns, *lines):
        cells = (set_cell_size(cell, width) for cell, width in zip(line, widths, strict=True))
        print("  ".join(cells).rstrip())


def pairs(values: Iterable[tuple[str, Any]]) -> None:
    grid = Table.grid(Column(no_wrap=True), Column(overflow="fold"), padding=(0, 2))
    for name, value in values:
        grid.add_row(f"[bold]{name}[/bold]", _cell(value))
    console.print(grid)


def responses(counts: Responses) -> str:
    found = ((name.replace("_", " "), count) for name, count in vars(counts).items() if count)
    return ", ".join(f"{count} {name}" for name, count in found) or "nothing yet"


def changes(found: Iterable[RecordedChange]) -> None:
    """Print the latest changes, if there are any."""
    rows = [(it.at, it.sentence) for it in found]
    if rows:
        print()
        table(("at", "what was changed"), rows, "")


def moment(at: datetime) -> str:
    return f"{at.astimezone(WARSAW):%Y-%m-%d %H:%M:%S}"


def _cell(value: Any) -> str:
    return escape(_text(value))


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return moment(value)
    return "" if value is None else escape_controls(str(value))


def plain(value: Any) -> Any:
    """Convert a value to what JSON has: reasons to English text, times to Warsaw time."""
    if isinstance(value, Reason):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain({name: getattr(value, name) for name in _names(value)})
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, datetime):
        return value.astimezone(WARSAW).isoformat(timespec="milliseconds")
    return value if isinstance(value, (int, float, bool, str, type(None))) else str(value)


def _names(value: Any) -> list[str]:
    """The names of the fields for JSON: instead of `why`, those with its English text."""
    english = [it for it in ("reason", "sentence") if isinstance(getattr(type(value), it, None), property)]
    return [it.name for it in dataclasses.fields(value) if it.name != "why"] + english
