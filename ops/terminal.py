"""Escapes untrusted text for terminals and logs."""

import os
import unicodedata
from contextlib import suppress

_CONTROLS = frozenset({"Cc", "Cs", "Zl", "Zp"})
# Bidirectional controls, which reorder the displayed text.
_DIRECTIONS = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})


def escape_controls(text: str, keep: str = "") -> str:
    """Replace control characters by JSON escapes, so that none moves the cursor or begins a line. keep: left as is."""
    if text.isprintable():
        return text
    return "".join(each if each in keep or not _is_control(each) else f"\\u{ord(each):04x}" for each in text)


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in _CONTROLS or unicodedata.bidirectional(character) in _DIRECTIONS


def say(line: str) -> None:
    """Print a line at once, ignoring errors: a full disk is no reason to end."""
    with suppress(OSError):
        os.write(1, f"{line}\n".encode())
