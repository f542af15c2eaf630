"""Who was forgotten on this machine, as keyed hashes: a restored backup must forget them again.

`python -m admin arm` repeats it. The addresses are nowhere.
"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import clock
from actors.disk import jsonlines
from actors.disk.jsonlines import LinesUnreadable
from models.store import installation


def note(key: str) -> None:
    """Note a forgotten person's key; it is on the disk when this returns. Raises OSError.

    key: see models/people/forgotten.py.
    """
    path = _file()
    with jsonlines.locked(path) as file:
        jsonlines.append(file, {"key": key, "at": clock.now().isoformat()})


def keys() -> list[str]:
    """The noted keys, each once, in the order in which they were noted. Raises LinesUnreadable."""
    path = _file()
    if not path.exists():
        return []
    with jsonlines.locked(path) as file:
        return list(dict.fromkeys(_keys(path, jsonlines.read(path, file))))


def _keys(path: Path, lines: list[Any]) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        try:
            datetime.fromisoformat(line["at"])
            yield str(line["key"])
        except (KeyError, TypeError, ValueError):
            raise LinesUnreadable(f"{path} line {number} is not a forgotten person's hash") from None


def _file() -> Path:
    return jsonlines.path_of(f"forgotten-{installation.identity()}.jsonl")
