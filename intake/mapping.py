"""Agrees on which column of a leads file is which field of the letter, once for files with the same header."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from intake.columns import Choice, Columns, check_header, choose, columns, names_of
from intake.tables import Table
from intake.texts import FileInvalid, at
from messages import Message, Said, gettext_noop
from models.people import column_mappings


@dataclass(frozen=True)
class Question:
    """What a person may be asked about a file's columns."""

    where: Said  # file and line of the header, for errors
    names: Sequence[str]  # of its columns, as they are compared
    cells: Sequence[str]  # the same as they stand in the file
    choice: Choice
    known: Mapping[str, str | None]  # what was agreed for this header before


def question(table: Table, used: Collection[str], given: Mapping[str, str | None]) -> Question:
    """Find the columns of the fields, and what to ask a person about them. Raises FileInvalid.

    used: the fields of the letter. given: field -> its column, as a person named it.
    """
    names = names_of(table.header)
    check_header(table, names)
    where = at(table.path, table.header.line)
    for name in given.values():
        if name is not None and name not in names:
            template = gettext_noop("--map: %(where)s has no column %(name)s, only %(found)s")
            raise FileInvalid(Message(template, where=where, name=repr(name), found=", ".join(names)[:200]))
    known = column_mappings.of(names)
    choice = choose(where, names, {*used, *given}, {**known, **given})
    return Question(where, names, [cell.strip() for cell in table.header.cells[: len(names)]], choice, known)


def agreed(it: Question, picked: Mapping[str, int | None], given: Collection[str], by: str) -> Columns:
    """The columns as picked: field -> number, from 0; None: it has none. What is new is remembered.

    given: the fields that a person named. Raises FileInvalid if no column has the addresses.
    """
    if picked.get("email") is None:
        template = gettext_noop("%(where)s: no column is read as email, which each lead needs")
        raise FileInvalid(Message(template, where=it.where))
    fresh = {field: it.names[place] if (place := picked[field]) is not None else None for field in (*given, *picked)}
    fresh = {field: name for field, name in fresh.items() if name != it.known.get(field, field)}
    if fresh:
        column_mappings.remember(it.names, fresh, by)
    return columns(it.names, picked)
