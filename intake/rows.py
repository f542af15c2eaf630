"""Reads CSV (RFC 4180): lines -> rows of cells with line numbers. What can be read in two ways is a row with a problem.

The standard library's reader is not used: it accepts quotes anywhere in a cell, and reports the line where it gave up
instead of the one with the mistake.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from messages import Message, gettext_noop

DELIMITERS = {
    ",": gettext_noop("comma"),
    ";": gettext_noop("semicolon"),
    "\t": gettext_noop("tab"),
    "|": gettext_noop("pipe"),
}

_OPENING = re.compile(r' *"')  # a space between the delimiter and a quote is not part of the cell
_CLOSING = re.compile(r'([^"]*(?:""[^"]*)*)"(?!") *')
# Characters from an opening quote to its closing one: what is longer was not closed.
_LONGEST_QUOTED = 25_000


@dataclass(frozen=True)
class Row:
    line: int  # its first line, or the one with the problem; counted from 1
    cells: list[str]
    doubtful: int | None = None  # index of an unquoted cell that contains quotes
    problem: Message | None = None  # why it cannot be read; its cells are then split at each delimiter


def read(lines: Iterable[str], delimiter: str, is_a_row: Callable[[str], bool] = lambda line: False) -> Iterator[Row]:
    """Read the rows of delimited text. After a row with a problem, reading goes on in the line below its quote.

    lines: with or without their ends.
    is_a_row: whether a line within quotes is a row itself, so that the quote was not meant to be there.
    """
    source = _Lines(lines)
    while (line := source.next()) is not None:
        if '"' not in line:
            yield Row(source.number, line.split(delimiter))
        else:
            yield _Quoted(source, line, delimiter, is_a_row).row()


class _Lines:
    """Lines, without their ends, that can be given back."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._rest = iter(lines)
        self._returned: deque[str] = deque()
        self.number = 0  # of the last one

    def next(self) -> str | None:
        line = self._returned.popleft() if self._returned else next(self._rest, None)
        if line is not None:
            self.number += 1
        return line if line is None or not line.endswith(("\n", "\r")) else line.rstrip("\r\n")

    def give_back(self, lines: list[str]) -> None:
        self._returned.extendleft(reversed(lines))
        self.number -= len(lines)


class _Broken(Exception):
    """The quotes of a row are wrong. opened: how many of its lines after the first the bad quote is in."""

    def __init__(self, opened: int, because: Message) -> None:
        super().__init__(because)
        self.opened, self.because = opened, because


class _Quoted:
    """One row that has quotes, in one line or several."""

    def __init__(self, source: _Lines, line: str, delimiter: str, is_a_row: Callable[[str], bool]) -> None:
        self._source, self._delimiter, self._is_a_row = source, delimiter, is_a_row
        self._first = source.number
        self._lines = [line]
        self._text = line
        self._plain = re.compile(f"[^{re.escape(delimiter)}\n]*")

    def row(self) -> Row:
        try:
            return self._row()
        except _Broken as broken:
            self._source.give_back(self._lines[broken.opened + 1 :])
            read = "\n".join(self._lines[: broken.opened + 1])
            return Row(self._first + broken.opened, read.split(self._delimiter), problem=broken.because)

    def _row(self) -> Row:
        at, cells, doubtful = 0, list[str](), None
        while True:
            if opening := _OPENING.match(self._text, at):
                cell, at = self._cell(opening.end(), len(cells) + 1)
            else:
                found = self._plain.match(self._text, at)
                assert found is not None
                cell, at = found[0], found.end()
                if '"' in cell and doubtful is None:
                    doubtful = len(cells)
            cells.append(cell)
            if self._text[at : at + 1] != self._delimiter:
                return Row(self._first, cells, doubtful)
            at += 1

    def _cell(self, start: int, number: int) -> tuple[str, int]:
        """The cell whose quote opened before start, and its end."""
        opened = len(self._lines) - 1
        while not (closing := _CLOSING.match(self._text, start)):
            self._read_to_next_quote(start, opened, number)
        cell, end = closing[1], closing.end()
        if self._text[end : end + 1] not in ("", self._delimiter):
            raise _Broken(opened, _behind(self._first + opened, self._first + len(self._lines) - 1, number))
        if "\n" in cell and any(map(self._is_a_row, cell.split("\n")[1:])):
            template = gettext_noop(
                "the quote that opens in cell %(number)d is not closed: the cell contains whole lines of the file"
            )
            raise _Broken(opened, Message(template, number=number))
        return cell.replace('""', '"').replace("\r", "\n"), end

    def _read_to_next_quote(self, start: int, opened: int, number: int) -> None:
        """Add lines to the row up to the next one with a quote."""
        fresh: list[str] = []
        length = len(self._text) - start
        while not fresh or '"' not in fresh[-1]:
            line = self._source.next()
            if line is None or length > _LONGEST_QUOTED:
                self._lines += fresh if line is None else [*fresh, line]
                template = gettext_noop("the quote that opens in cell %(number)d is not closed")
                raise _Broken(opened, Message(template, number=number))
            fresh.append(line)
            length += len(line) + 1
        self._lines += fresh
        self._text = "\n".join((self._text, *fresh))


def _behind(opens: int, closes: int, number: int) -> Message:
    if opens == closes:
        template = gettext_noop(
            "the quote that opens in cell %(number)d is closed and followed by text: either it is not closed where"
            " it should be, or a quote within the text is not written twice"
        )
        return Message(template, number=number)
    template = gettext_noop(
        "the quote that opens in cell %(number)d is closed in line %(line)d and followed by text: either it is not"
        " closed where it should be, or a quote within the text is not written twice"
    )
    return Message(template, number=number, line=closes)
