"""Reads a leads file: CSV with a header -> leads with line numbers.

Every error names the file, the line and the column, and what would be right.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice
from pathlib import Path

from admin.input import rows, texts
from admin.input.campaign_file import joined
from admin.input.rows import DELIMITERS, CsvInvalid, Row
from admin.input.texts import FileInvalid
from mail.address import AddressInvalid, normalise
from mail.message import LetterInvalid, refuse_control_characters
from models.owner.campaigns import LEGAL_BASIS, NewLead

LONGEST_FIELD = 10_000
LONGEST_NAME = 100
MOST_COLUMNS = 200
MOST_LEADS = 100_000


@dataclass(frozen=True)
class LeadLine:
    line: int
    lead: NewLead


def read_leads(path: Path, used: Collection[str] = ()) -> list[LeadLine]:
    """A CSV with a header, an `email` column, and any further columns for the templates.

    used: the fields that the templates use. A column whose name no template could use is ignored.
    """
    text = rows.lines_of(texts.read(path))
    try:
        delimiter, text, skipped = _delimiter(path.name, text)
        found = (row for row in rows.read(text, delimiter) if any(cell.strip() for cell in row.cells))
        header = next(found, Row(1, []))
        columns = _columns(f"{path.name} line {header.line + skipped}", header.cells, used)
        below = list(islice(found, MOST_LEADS + 1))
    except CsvInvalid as error:
        raise FileInvalid(f"{path.name} line {error.line + skipped}: {error}") from None
    if len(below) > MOST_LEADS:
        raise FileInvalid(f"{path.name}: more than {MOST_LEADS} leads; split them into several campaigns")
    leads, problems = _leads(columns, below, delimiter, skipped)
    if problems:
        raise FileInvalid(f"{path.name} {joined(problems)}")
    if not leads:
        raise FileInvalid(f"{path.name}: there is no lead below the header")
    return leads


_IN_QUOTES = re.compile(r'"[^"]*"')
_EXCEL_SAYS = re.compile(r'"?sep=(.)"?[,;\t]*\n', re.IGNORECASE)


def _delimiter(name: str, text: str) -> tuple[str, str, int]:
    """The delimiter, the text from the header on, and the number of lines before it.

    The header decides: there must be exactly one delimiter that gives a column `email`, and no other one in the header.
    """
    if said := _EXCEL_SAYS.match(text):
        if said[1] not in DELIMITERS:
            raise FileInvalid(f"{name} line 1: sep={said[1]}: columns must be separated by commas, semicolons or tabs")
        return said[1], text[said.end() :], 1
    first = {each: _names(text, each) for each in DELIMITERS}
    fitting = [each for each in DELIMITERS if "email" in first[each]]
    if not fitting:
        # Then errors refer to the columns as they were probably meant.
        return next((each for each in DELIMITERS if len(first[each]) > 1), ","), text, 0
    delimiter = fitting[0]
    bare = _IN_QUOTES.sub("", text.lstrip()).partition("\n")[0]
    for other in DELIMITERS.keys() - {delimiter}:
        if other in bare:
            raise FileInvalid(
                f"{name} line 1: the header has both {DELIMITERS[delimiter]}s and {DELIMITERS[other]}s;"
                " its columns must be separated by one of them"
            )
    return delimiter, text, 0


def _names(text: str, delimiter: str) -> list[str]:
    """The columns' names in templates; empty if this delimiter does not work."""
    try:
        row = next((row for row in rows.read(text, delimiter) if any(cell.strip() for cell in row.cells)), None)
    except CsvInvalid:
        return []
    return [_name(cell) for cell in row.cells] if row else []


def _name(cell: str) -> str:
    return unicodedata.normalize("NFC", cell.strip().lower())


# Keywords of the templates.
_RESERVED = frozenset({"and", "else", "elif", "false", "if", "in", "is", "none", "not", "or", "true"})
_NEEDED = ("email", *LEGAL_BASIS)


def _columns(where: str, header: Sequence[str], used: Collection[str]) -> list[str | None]:
    """Each column's name in templates; None: ignored."""
    names = [_name(cell) for cell in header]
    while names and not names[-1]:
        names.pop()
    if len(names) > MOST_COLUMNS:
        raise FileInvalid(f"{where}: {len(names)} columns; at most {MOST_COLUMNS} are allowed")
    if "email" not in names:
        raise FileInvalid(f"{where}: {_without_email(names)}")
    asked = {_plain(name): name for name in used if name not in names}
    columns: list[str | None] = []
    for number, name in enumerate(names, start=1):
        if not name.isidentifier() or name in _RESERVED or len(name) > LONGEST_NAME:
            if wanted := asked.get(_plain(name)):
                raise FileInvalid(
                    f"{where}, column {number}: {name[:60]!r} is not a name that a template can use;"
                    f" rename it to {wanted}"
                )
            columns.append(None)
        elif names.count(name) == 1:
            columns.append(name)
        elif name in used or name in _NEEDED:
            twice = " and ".join(str(at) for at, each in enumerate(names, start=1) if each == name)
            raise FileInvalid(f"{where}: the columns {twice} are all named {name!r}; rename all but one")
        else:
            columns.append(None)
    return columns


def _plain(name: str) -> str:
    return "".join(each for each in name.lower() if each.isalnum())


_ADDRESS_COLUMNS = {"email", "mail", "emailaddress", "mailaddress", "adresemail", "adresmail", "adres"}


def _without_email(names: Sequence[str]) -> str:
    for number, name in enumerate(names, start=1):
        if _plain(name) in _ADDRESS_COLUMNS:
            return f"column {number} is named {name[:60]!r}; rename it to email"
        if _is_address(name):
            return "the header is missing; the first line must name the columns, and one of them email"
        for other in ",;\t|:":
            if len(parts := name.split(other)) > 1 and "email" in map(_name, parts):
                if other in DELIMITERS:
                    return f"the columns are separated by {other!r}, but the line before says otherwise"
                return f"the columns are separated by {other!r} and must be separated by a comma, a semicolon or a tab"
    if not names:
        return "the first line is empty; it must name the columns, and one of them email"
    return f"the header has no column `email`, only {', '.join(names)[:200]}"


def _is_address(text: str) -> bool:
    try:
        normalise(text)
    except AddressInvalid:
        return False
    return True


def _leads(
    columns: Sequence[str | None], found: Iterable[Row], delimiter: str, skipped: int
) -> tuple[list[LeadLine], list[str]]:
    """The leads, and an error for each bad row."""
    leads: list[LeadLine] = []
    problems: list[str] = []
    first_line: dict[str, int] = {}
    for row in found:
        line = row.line + skipped
        try:
            lead = _lead(columns, row, delimiter)
        except ValueError as error:
            problems.append(f"line {line}{error}")
            continue
        if lead.normalised in first_line:
            problems.append(f"line {line}, email: the same address as in line {first_line[lead.normalised]}")
        first_line.setdefault(lead.normalised, line)
        leads.append(LeadLine(line, lead))
    return leads, problems


def _lead(columns: Sequence[str | None], row: Row, delimiter: str) -> NewLead:
    """Raises ValueError with the text that follows the line number."""
    _check_cells(columns, row, delimiter)
    fields = {name: cell.strip() for name, cell in zip(columns, row.cells, strict=False) if name}
    for name, value in fields.items():
        _check_field(name, value)
    address, (basis, source, since) = fields["email"], (fields.get(name, "") for name in LEGAL_BASIS)
    if (source or since) and not basis:
        raise ValueError(", legal_basis: is empty, and has a source or a date")
    try:
        on = date_of(since) if since else None
    except ValueError as error:
        raise ValueError(f", legal_basis_date: {error}") from None
    try:
        return NewLead(address, normalise(address), fields, basis or None, source or None, on)
    except AddressInvalid as error:
        raise ValueError(f": email: {error}") from None


_DATES = {"%Y-%m-%d": re.compile(r"\d{4}-\d\d-\d\d"), "%d.%m.%Y": re.compile(r"\d\d?\.\d\d?\.\d{4}")}


def date_of(text: str) -> date:
    """Raises ValueError with one sentence."""
    for form, pattern in _DATES.items():
        with suppress(ValueError):
            if pattern.fullmatch(text) and (found := datetime.strptime(text, form).date()).year > 1900:  # noqa: DTZ007
                return found
    raise ValueError(f"{text[:40]!r} is not a date like 2026-11-17 or 17.11.2026")


def _check_cells(columns: Sequence[str | None], row: Row, delimiter: str) -> None:
    """Raise ValueError unless each cell has a column and is unambiguous."""
    separator, count = DELIMITERS[delimiter], len(columns)
    there = f"{len(row.cells)} cell{'s' if len(row.cells) != 1 else ''}"
    if row.doubtful is not None:
        name = columns[row.doubtful] if row.doubtful < count else None
        raise ValueError(
            f", {name or f'cell {row.doubtful + 1}'}: has a quote in it and does not begin with one; put the whole cell"
            " in quotes, and write each quote within it twice"
        )
    if len(row.cells) < count:
        raise ValueError(f": {there} instead of {count}; an empty cell needs its {separator} too")
    if any(cell.strip() for cell in row.cells[count:]):
        raise ValueError(f": {there} instead of {count}; a cell with a {separator} in it must be in quotes")
    for number, cell in enumerate(row.cells, start=1):
        if "\r" in cell:
            raise ValueError(
                f", cell {number}: has a carriage return (CR) in it; save the file with Windows or Unix line ends"
            )
        if "\n" in cell and _has_a_row(cell, columns.index("email"), delimiter):
            raise ValueError(
                f", cell {number}: the quote that opens here is not closed: the cell contains whole lines of the file"
            )


def _has_a_row(cell: str, place: int, delimiter: str) -> bool:
    """Whether a cell swallowed lines, because of a quote that was not closed."""
    inner = (line.split(delimiter) for line in cell.split("\n")[1:])
    return any(len(parts) > max(place, 1) and _is_address(parts[place]) for parts in inner)


def _check_field(name: str, value: str) -> None:
    if len(value) > LONGEST_FIELD:
        raise ValueError(f", {name}: is longer than {LONGEST_FIELD:,} characters")
    if damage := texts.damage(value):
        raise ValueError(f", {name}: {damage}")
    try:
        refuse_control_characters(name, value, lines=True)
    except LetterInvalid as error:
        raise ValueError(f": {error}") from None
