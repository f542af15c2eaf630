"""A leads file as a table: its header, and its rows as often as they are asked for.

Knows nothing of what the columns mean.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

from intake.rows import Row
from intake.texts import FileInvalid
from messages import Message, Number, gettext_noop

MOST_ROWS = 2_000_000
# In place of a delimiter's name: a spreadsheet has none.
CELL = gettext_noop("cell")
_HEADER_WITHIN = 10  # rows that are not blank
_BREAK = re.compile(r"\s*[\r\n]\s*")


@dataclass(frozen=True)
class Hidden:
    """What a spreadsheet does not show, and is read like the rest of it."""

    rows: frozenset[int]  # their numbers
    columns: Sequence[str]  # as their header cells say

    def __bool__(self) -> bool:
        return bool(self.rows or self.columns)


NONE_HIDDEN = Hidden(frozenset(), ())


class Table(Protocol):
    path: Path
    header: Row
    share: float  # how much of the file is read, 0 to 1
    hidden: Hidden
    without_hidden: bool  # hidden rows are left out

    def below(self, is_a_row: Callable[[str], bool]) -> Iterator[Row]:
        """The rows below the header that are not blank. is_a_row: of a line in quotes, whether it is a row itself."""

    def described(self) -> Message:
        """How the file was read, for people: the encoding and delimiter, or the sheet."""

    def separator(self) -> str:
        """The name of the delimiter between cells; of a spreadsheet CELL."""

    def for_errors(self) -> "Form":
        """How to write a CSV file like this one, for its bad rows."""


@dataclass(frozen=True)
class Form:
    """How a CSV file is written."""

    codec: str
    delimiter: str
    opening: str = ""  # what stands before the header


def name_of(cell: str) -> str:
    """A header cell as columns are named and compared: in one line."""
    return unicodedata.normalize("NFC", _BREAK.sub(" ", cell.strip().lower()))


def is_blank(row: Row) -> bool:
    return not any(cell.strip() for cell in row.cells)


def header_of(rows: Iterable[Row], is_email: Callable[[str], bool]) -> Row | None:
    """The first row with a column of addresses, below a title perhaps; else the first row of all. rows: not blank."""
    found = list(islice(rows, _HEADER_WITHIN))
    return next((row for row in found if any(map(is_email, row.cells))), found[0] if found else None)


def too_many_rows(path: Path, most: int) -> FileInvalid:
    template = gettext_noop("%(file)s: more than %(most)s rows; make several files of it")
    return FileInvalid(Message(template, file=path.name, most=Number(most)))
