"""Makes text that strangers wrote harmless to whoever reads it on a terminal or in a log."""

import os
import unicodedata
from contextlib import suppress

_CONTROLS = frozenset({"Cc", "Cs", "Zl", "Zp"})
# They would show the text behind them in another order than it has.
_DIRECTIONS = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})


def escape_controls(text: str, keep: str = "") -> str:
    """Control characters as the escapes that JSON has for them, so that none moves a cursor or begins a line."""
    if text.isprintable():
        return text
    return "".join(each if each in keep or not _is_control(each) else f"\\u{ord(each):04x}" for each in text)


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in _CONTROLS or unicodedata.bidirectional(character) in _DIRECTIONS


def say(line: str) -> None:
    """Print a line at once. That nobody can read it, as on a full disk, is no reason to end."""
    with suppress(OSError):
        os.write(1, f"{line}\n".encode())
