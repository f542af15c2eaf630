"""Reads the rows of a leads file: each is a lead, or a bad row with the reason.

Every reason names the column, and what would be right.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime

import clock
import messages
from intake import texts
from intake.columns import Columns, is_address
from intake.damage import html
from intake.rows import Row
from intake.tables import CELL, Table
from mail.address import AddressInvalid, normalise
from mail.message import LetterInvalid, control_character, refuse_control_characters
from messages import Message, Number, Said, gettext_noop
from models.people.lead_import import LEGAL_BASIS, NewLead
from scheduling.window import warsaw_day

LONGEST_FIELD = 10_000


@dataclass(frozen=True)
class LeadLine:
    line: int
    lead: NewLead
    cells: list[str]  # as they stand in the file


@dataclass(frozen=True)
class BadRow:
    line: int
    because: Said  # follows the line's number
    cells: list[str]


def read_leads(table: Table, columns: Columns) -> Iterator[LeadLine | BadRow]:
    place, delimiter = columns.email, table.for_errors().delimiter

    def is_a_row(line: str) -> bool:
        """Whether a quoted line is a row: a quote that was not closed swallowed it."""
        parts = line.split(delimiter)
        return len(parts) > max(place, 1) and is_address(parts[place])

    for row in table.below(is_a_row):
        try:
            yield LeadLine(row.line, _lead(columns, row, table.separator()), row.cells)
        except ValueError as error:
            yield BadRow(row.line, messages.of(error), row.cells)


def _lead(columns: Columns, row: Row, separator: str) -> NewLead:
    """The lead of a row. Raises ValueError with the text that follows the line number."""
    _check_cells(columns, row, separator)
    fields = {name: row.cells[number].strip() for name, number in columns.fields}
    _check_fields(fields)
    address, (basis, source, since) = fields["email"], (fields.get(name, "") for name in LEGAL_BASIS)
    if (source or since) and not basis:
        raise ValueError(Message(gettext_noop(", legal_basis: is empty, and has a source or a date")))
    try:
        on = date_of(since) if since else None
    except ValueError as error:
        raise ValueError(Message(", legal_basis_date: %(said)s", said=messages.of(error))) from None
    try:
        return NewLead(address, normalise(address), fields, basis or None, source or None, on)
    except AddressInvalid as error:
        raise ValueError(Message(": email: %(said)s", said=messages.of(error))) from None


_DATES = {"%Y-%m-%d": re.compile(r"\d{4}-\d\d-\d\d"), "%d.%m.%Y": re.compile(r"\d\d?\.\d\d?\.\d{4}")}


def date_of(text: str) -> date:
    """Parse a date like 2026-11-17 or 17.11.2026 that is not in the future. Raises ValueError with one sentence."""
    for form, pattern in _DATES.items():
        with suppress(ValueError):
            if pattern.fullmatch(text) and (found := datetime.strptime(text, form).date()).year > 1900:  # noqa: DTZ007
                break
    else:
        template = gettext_noop("%(text)s is not a date like 2026-11-17 or 17.11.2026")
        raise ValueError(Message(template, text=repr(text[:40])))
    if found > warsaw_day(clock.now()):
        raise ValueError(Message(gettext_noop("%(day)s is in the future"), day=found))
    return found


def _check_cells(columns: Columns, row: Row, separator: str) -> None:
    """Raise ValueError unless each cell has a column and is unambiguous."""
    count = columns.count
    if row.problem:
        raise ValueError(Message(": %(said)s", said=row.problem))
    if row.doubtful is not None:
        names: dict[int, Said] = {number: name for name, number in columns.fields}
        template = gettext_noop(
            ", %(name)s: has a quote in it and does not begin with one;"
            " put the whole cell in quotes, and write each quote within it twice"
        )
        cell = Message(gettext_noop("cell %(number)d"), number=row.doubtful + 1)
        raise ValueError(Message(template, name=names.get(row.doubtful, cell)))
    if len(row.cells) < count:
        template = (
            gettext_noop(": 1 cell instead of %(count)d; an empty cell needs its %(separator)s too")
            if len(row.cells) == 1
            else gettext_noop(": %(cells)d cells instead of %(count)d; an empty cell needs its %(separator)s too")
        )
        raise ValueError(Message(template, cells=len(row.cells), count=count, separator=Message(separator)))
    if len(row.cells) > count and any(cell.strip() for cell in row.cells[count:]):
        template = (
            gettext_noop(": %(cells)d cells instead of %(count)d; a cell with a %(separator)s in it must be in quotes")
            if separator != CELL
            else gettext_noop(": %(cells)d cells instead of %(count)d; name the columns behind it, or empty them")
        )
        raise ValueError(Message(template, cells=len(row.cells), count=count, separator=Message(separator)))


def _check_fields(fields: dict[str, str]) -> None:
    """Raise ValueError for a field that cannot be used. Looks at each only if all joined may have a fault."""
    all_of_them = "\n".join(fields.values())
    if (
        len(all_of_them) > LONGEST_FIELD
        or "\r" in all_of_them
        or control_character(all_of_them, lines=True)
        or texts.damage(all_of_them)
        or html(all_of_them)
    ):
        for name, value in fields.items():
            _check_field(name, value)


def _check_field(name: str, value: str) -> None:
    if len(value) > LONGEST_FIELD:
        template = gettext_noop(", %(name)s: is longer than %(most)s characters")
        raise ValueError(Message(template, name=name, most=Number(LONGEST_FIELD)))
    if damage := texts.damage(value) or html(value):
        raise ValueError(Message(", %(name)s: %(damage)s", name=name, damage=damage))
    if "\r" in value:
        template = gettext_noop(
            ", %(name)s: has a carriage return (CR) in it; save the file with Windows or Unix line ends"
        )
        raise ValueError(Message(template, name=name))
    try:
        refuse_control_characters(name, value, lines=True)
    except LetterInvalid as error:
        raise ValueError(Message(": %(said)s", said=messages.of(error))) from None
