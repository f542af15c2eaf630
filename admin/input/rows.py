"""Reads CSV (RFC 4180): text -> rows of cells with line numbers. Ambiguous input is refused.

The standard library's reader is not used: it accepts quotes anywhere in a cell, and reports the line where it gave up
instead of the one with the mistake.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab"}

_OPENING = re.compile(r' *"')  # a space between the delimiter and a quote is not part of the cell
_CLOSING = re.compile(r'([^"]*(?:""[^"]*)*)" *')


class CsvInvalid(Exception):
    """From this line on the cells are ambiguous."""

    def __init__(self, line: int, because: str) -> None:
        super().__init__(because)
        self.line = line


@dataclass(frozen=True)
class Row:
    line: int  # its first line; counted from 1
    cells: list[str]
    doubtful: int | None = None  # index of an unquoted cell that contains quotes


def lines_of(text: str) -> str:
    """The text with \\n as its only line end."""
    text = text.replace("\r\n", "\n")
    return text if "\n" in text else text.replace("\r", "\n")


def read(text: str, delimiter: str) -> Iterator[Row]:
    """text: with \\n as its line end."""
    at, line = 0, 1
    while at < len(text):
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        if '"' not in (plain := text[at:end]):
            yield Row(line, plain.split(delimiter))
        else:
            row, end = _with_quotes(text, at, line, delimiter)
            yield row
        line += text.count("\n", at, end + 1)
        at = end + 1


def _with_quotes(text: str, at: int, line: int, delimiter: str) -> tuple[Row, int]:
    """The row that begins at `at`, and its end."""
    plain = re.compile(f"[^{delimiter}\n]*")
    start, cells, doubtful = at, list[str](), None
    while True:
        if opening := _OPENING.match(text, at):
            opens = line + text.count("\n", start, at)
            closing = _CLOSING.match(text, opening.end())
            if closing is None:
                raise CsvInvalid(opens, f"the quote that opens in cell {len(cells) + 1} is not closed")
            at = closing.end()
            cells.append(closing[1].replace('""', '"').replace("\r", "\n"))
            if text[at : at + 1] not in ("", delimiter, "\n"):
                raise CsvInvalid(opens, _behind(opens, line + text.count("\n", start, at), len(cells)))
        else:
            found = plain.match(text, at)
            assert found is not None
            at = found.end()
            if '"' in found[0] and doubtful is None:
                doubtful = len(cells)
            cells.append(found[0])
        if text[at : at + 1] != delimiter:
            return Row(line, cells, doubtful), at
        at += 1


def _behind(opens: int, closes: int, number: int) -> str:
    where = "" if opens == closes else f" in line {closes}"
    return (
        f"the quote that opens in cell {number} is closed{where} and followed by text: either it is not closed where it"
        " should be, or a quote within the text is not written twice"
    )
