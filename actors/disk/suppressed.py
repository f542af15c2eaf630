"""Whom this machine has seen suppressed, as keyed hashes: a restored backup must suppress them again.

Each machine that runs a tick keeps all of them. The addresses are nowhere.
"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from actors.disk import jsonlines
from actors.disk.jsonlines import LinesUnreadable
from models.people import remembered
from models.store import installation

# At once; what is left is noted by the next tick.
_MOST = 5000


def note() -> int:
    """Note what was suppressed since the last time. Returns how many. Raises OSError, LinesUnreadable."""
    path = _file()
    with jsonlines.locked(path) as file:
        last = jsonlines.read_end(path, file, 1)
        after = next(_noted(path, last))[1] if last else None
        found = remembered.new_since(after, _MOST)
        if found:
            jsonlines.append(file, *({"key": key, "at": at.isoformat()} for key, at in found))
    return len(found)


def noted() -> dict[str, datetime]:
    """Keyed hash -> when it was last suppressed. Raises LinesUnreadable."""
    path = _file()
    if not path.exists():
        return {}
    with jsonlines.locked(path) as file:
        return dict(_noted(path, jsonlines.read(path, file)))


def bring_back(by: str) -> int:
    """Suppress again what the database has lost. Returns how many. Raises LinesUnreadable."""
    return remembered.bring_back(noted(), by)


def _noted(path: Path, lines: list[Any]) -> Iterator[tuple[str, datetime]]:
    for number, line in enumerate(lines, start=1):
        try:
            yield str(line["key"]), datetime.fromisoformat(line["at"])
        except (KeyError, TypeError, ValueError):
            raise LinesUnreadable(f"{path} line {number} is not a suppression's hash") from None


def _file() -> Path:
    return jsonlines.path_of(f"suppressed-{installation.identity()}.jsonl")
