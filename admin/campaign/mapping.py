"""Agrees with a person on which column is which field of the letter, once for files with the same header."""

from collections.abc import Collection, Mapping, Sequence

import typer

from admin import show
from admin.person import who
from intake import mapping
from intake.columns import (
    Choice,
    Columns,
    check_field,
    is_address,
    without_email,
)
from intake.tables import Table, name_of
from intake.texts import FileInvalid
from messages import Said
from ops.terminal import escape_controls


def read_option(maps: Sequence[str]) -> dict[str, str | None]:
    """["Adres e-mail=email"] -> {"email": "adres e-mail"}. "=name": the field has no column."""
    found: dict[str, str | None] = {}
    for each in maps:
        column, sign, field = each.rpartition("=")
        field = name_of(field)
        if not sign:
            raise FileInvalid(f'--map: {each!r} has no = in it; write "COLUMN=field"')
        check_field(field)
        if field in found:
            raise FileInvalid(f"--map: {field} is named twice; it is read from one column")
        found[field] = name_of(column) or None
    return found


def agreed(table: Table, used: Collection[str], given: Mapping[str, str | None], *, ask: bool) -> Columns:
    """used: the fields of the letter. given: field -> its column, as a person named it.

    ask: there is a person to ask. Otherwise what only one column suggests is taken, and told.
    """
    it = mapping.question(table, used, given)
    choice = it.choice
    is_known = "email" in {*choice.certain, *choice.suggested, *choice.open}
    if not is_known and (not ask or any(map(is_address, it.names))):
        raise FileInvalid(f"{it.where}: {without_email(it.names)}")
    answers = _asked(table, it.names, choice, used) if ask else _taken(table, it.where, choice)
    return mapping.agreed(it, {**choice.certain, **answers}, given, who())


def _taken(table: Table, where: Said, choice: Choice) -> dict[str, int]:
    cells = [cell.strip() for cell in table.header.cells]
    for field, found in choice.open.items():
        which = " or ".join(repr(cells[at]) for at in found)
        raise FileInvalid(f'{where}: {field} may be {which}; say which with --map "{cells[found[0]]}={field}"')
    if choice.suggested:
        told = ", ".join(f"{cells[at]!r} as {field}" for field, at in choice.suggested.items())
        print(escape_controls(f"{where}: reads {told}"))
    return dict(choice.suggested)


def _asked(table: Table, names: Sequence[str], choice: Choice, used: Collection[str]) -> dict[str, int | None]:
    """The fields that no column has the name of."""
    found: dict[str, int | None] = dict(choice.suggested)
    claimed = {*choice.certain.values(), *found.values()}
    left = [at for at in range(len(names)) if at not in claimed]
    missing = [it for it in ("email", *sorted(used)) if it not in {*choice.certain, *found, *choice.open}]
    questions = [*choice.open, *(missing if left else [])]
    if not (found or questions):
        return {}
    cells = [cell.strip() for cell in table.header.cells]
    show.table(("no", "column of the file"), list(enumerate(cells[: len(names)], start=1)), "")
    if found:
        show.table(("field of the letter", "column"), [(it, cells[at]) for it, at in choice.suggested.items()], "")
        if not typer.confirm("Read them so?", default=True):
            questions = [*found, *questions]
    for field in questions:
        number = _number(f"Number of the column for {field} (0: none)", len(names))
        found[field] = number - 1 if number else None
    return found


def _number(question: str, most: int) -> int:
    while True:
        number: int = typer.prompt(question, type=int)
        if 0 <= number <= most:
            return number
        print(f"a number from 0 to {most}")
