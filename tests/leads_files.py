"""Leads files as an import reads them, without a database and without a person."""

from collections.abc import Collection, Mapping
from pathlib import Path

from intake.bad_rows import BadRows
from intake.columns import Columns, check_header, choose, columns, is_email, names_of, without_email
from intake.leads import LeadLine, read_leads
from intake.leads_file import open_table
from intake.tables import Table
from intake.texts import FileInvalid


def opened(
    path: Path,
    used: Collection[str] = (),
    chosen: Mapping[str, str | None] | None = None,
    sheet: str | None = None,
    encoding: str | None = None,
) -> tuple[Table, Columns]:
    """used: the fields of the letter. What a column suggests is taken."""
    table = open_table(path, is_email, sheet=sheet, encoding=encoding)
    names = names_of(table.header)
    check_header(table, names)
    where = f"{path.name} line {table.header.line}"
    choice = choose(where, names, used, chosen or {})
    picked = {**choice.certain, **choice.suggested}
    if "email" not in picked:
        raise FileInvalid(f"{where}: {without_email(names)}")
    return table, columns(names, picked)


def read(path: Path, used: Collection[str] = ()) -> list[LeadLine]:
    """All leads. Raises FileInvalid for bad rows, as an import does."""
    found, bad = read_all(*opened(path, used))
    if bad.count:
        raise FileInvalid(f"{path.name} {bad.sentence()}")
    return found


def read_all(table: Table, its_columns: Columns) -> tuple[list[LeadLine], BadRows]:
    leads, bad = [], BadRows()
    for it in read_leads(table, its_columns):
        if isinstance(it, LeadLine):
            leads.append(it)
        else:
            bad.add(it.line, it.because)
    return leads, bad


def fields(found: list[LeadLine]) -> list[dict[str, str]]:
    return [dict(each.lead.fields) for each in found]
