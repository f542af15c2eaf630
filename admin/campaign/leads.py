"""Brings a leads file into a campaign: read, shown, checked row by row, staged, confirmed, then written at once."""

import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, TypeVar

import typer

import config
from admin import show
from admin.campaign import mapping
from admin.campaign.progress import progress
from intake import importing
from intake.bad_rows import BadRows, ErrorFile, named
from intake.columns import Columns, is_email, plain
from intake.importing import LISTED, Findings, used_fields
from intake.leads import LeadLine, read_leads
from intake.leads_file import open_table
from intake.letters import check_columns, check_unsubscribe_url
from intake.placeholders import foreign
from intake.tables import Hidden, Table
from intake.texts import FileInvalid
from mail.compose import Templates
from mail.render import TemplateInvalid
from messages import Message
from models.people import lead_import
from models.people.lead_import import Recent, Repeated
from models.people.leads import LegalBasis
from models.store.tables import Campaign
from ops.terminal import escape_controls

T = TypeVar("T")

File = Annotated[Path, typer.Option(help="Leads file: CSV, or a spreadsheet like .xlsx, with a header.")]
Map = Annotated[
    list[str] | None,
    typer.Option(help='Column that a field of the letter is read from, like "Adres e-mail=email". Repeatable.'),
]
Sheet = Annotated[str | None, typer.Option(help="Sheet of a spreadsheet to read.")]
Encoding = Annotated[str | None, typer.Option(help="Encoding of a CSV file, like cp1250, instead of detecting it.")]
Basis = Annotated[str | None, typer.Option(help="Legal basis of leads without one in the file, like consent.")]
BasisSource = Annotated[str | None, typer.Option(help="Where it comes from.")]
BasisDate = Annotated[str | None, typer.Option(help="Since when, like 2026-11-17.")]
SkipBad = Annotated[
    bool, typer.Option("--skip-bad", help="Import the good rows, and write the others to a file beside this one.")
]
SkipRecent = Annotated[
    bool, typer.Option("--skip-recent", help="Leave out leads that another campaign wrote to lately.")
]
SkipHidden = Annotated[
    bool, typer.Option("--skip-hidden", help="Leave out rows that are hidden in a spreadsheet, as by a filter.")
]

_SHOWN_ROWS = 5
_SHOWN_FIELDS = 6


@dataclass(frozen=True)
class Order:
    """What a person asked for."""

    path: Path
    maps: Sequence[str] = ()
    sheet: str | None = None
    encoding: str | None = None
    basis: LegalBasis | None = None  # of leads without one in the file
    skip_bad: bool = False
    skip_recent: bool = False
    skip_hidden: bool = False
    yes: bool = False

    @property
    def asks(self) -> bool:
        """Whether there is a person to ask. Scripts are never asked."""
        return not self.yes and sys.stdin.isatty()


def bring_in(
    order: Order, letters: Sequence[Templates], name: str, row: Campaign | None, write: Callable[[], T]
) -> T | None:
    """Write what the file has for a campaign. None: there was nothing to write.

    letters: of the campaign's steps. row: the campaign, if there is one yet. write: writes what is staged, in one
    transaction. Raises FileInvalid; then nothing was written.
    """
    used = used_fields(letters)
    campaign_id = None if row is None else row.id
    table, columns = _open(order, used)
    table.without_hidden = order.skip_hidden
    check_columns(table.path, columns)
    check_unsubscribe_url(letters)
    _tell_hidden(order, table.hidden)
    _show_first(table, columns, used)
    tell_foreign(foreign(letters, dict(columns.fields)))
    with lead_import.staging(), ExitStack() as stack:
        errors = stack.enter_context(ErrorFile(table)) if order.skip_bad else None
        bad = _stage(order, table, columns, letters, errors)
        found = importing.look(campaign_id, skip_recent=order.skip_recent)
        _tell_findings(order, row, found)
        if found.writes:
            _confirm(order, name, found.comparison)
        if errors and bad.count:
            print(f"{bad.count:,} of the rows cannot be used; they are in {errors.keep()}, each with the reason")
        return write() if found.writes else None


def _tell_findings(order: Order, row: Campaign | None, found: Findings) -> None:
    _tell(found.forgotten, "forgotten, and so not imported")
    _tell_repeated(*found.repeated)
    if row is not None:
        _tell_differences(row, found)
    _tell_recent(order, *found.recent)
    _tell(found.suppressed, "suppressed, and so without an e-mail")
    _tell(found.stopped, "stopped by a reply, and so without an e-mail")
    _tell(found.without_basis, "without a legal basis, and so without an e-mail (sending.require_legal_basis)")


def _open(order: Order, used: set[str]) -> tuple[Table, Columns]:
    given = mapping.read_option(order.maps)
    mapped = given.get("email")

    def is_named_email(cell: str) -> bool:
        return is_email(cell) if mapped is None else plain(cell) == plain(mapped)

    table = open_table(order.path, is_named_email, sheet=order.sheet, encoding=order.encoding)
    return table, mapping.agreed(table, used, given, ask=order.asks)


def _tell_hidden(order: Order, hidden: Hidden) -> None:
    if lines := sorted(hidden.rows):
        then = "left out" if order.skip_hidden else "read like the others; leave out with --skip-hidden"
        count = "1 row is" if len(lines) == 1 else f"{len(lines):,} rows are"
        print(f"{count} hidden in the spreadsheet ({then}): {named(lines, len(lines))}")
    if hidden.columns:
        names = ", ".join(map(repr, hidden.columns))
        print(f"hidden in the spreadsheet, and read like the others: column{'s' * (len(hidden.columns) > 1)} {names}")


def tell_foreign(found: Iterable[Message]) -> None:
    """Placeholders of other products in a letter."""
    for each in found:
        print(escape_controls(f"warning: {each}"))


def _show_first(table: Table, columns: Columns, used: set[str]) -> None:
    """The first leads as they were read: the fields of the letter first."""
    names = sorted((name for name, _ in columns.fields), key=lambda it: (it != "email", it not in used))
    shown = names[:_SHOWN_FIELDS]
    first = islice((it for it in read_leads(table, columns) if isinstance(it, LeadLine)), _SHOWN_ROWS)
    print(escape_controls(f"{table.path.name}: {table.described()}; the first rows, as they are read:"))
    show.table(("line", *shown), [(it.line, *map(it.lead.fields.get, shown)) for it in first], "none can be used")
    if more := names[_SHOWN_FIELDS:]:
        print(escape_controls(f"and the fields {', '.join(more)}"))


def _stage(
    order: Order, table: Table, columns: Columns, letters: Sequence[Templates], errors: ErrorFile | None
) -> BadRows:
    """Stage the good rows. Raises FileInvalid for bad ones, unless there is a file to put them into."""
    try:
        with progress(f"rows of {table.path.name} checked") as shown:
            bad, count = importing.stage(table, columns, letters, order.basis, errors, shown)
    except TemplateInvalid as error:
        raise FileInvalid(f"{error}{_other_column(columns, letters)}") from None
    if bad.count and errors is None:
        if not bad.is_told_in_one_sentence:
            print("\n".join(map(escape_controls, bad.listed())))
        rest = f"; nothing was imported: correct {'it' if bad.count == 1 else 'them'}, or leave out with --skip-bad"
        raise FileInvalid(f"{table.path.name} {bad.sentence()}{rest}")
    if count == bad.count:
        reason = f", only rows that cannot be used: {bad.sentence()}" if count else ""
        raise FileInvalid(f"{table.path.name}: there is no lead below the header{reason}")
    return bad


def _other_column(columns: Columns, letters: Sequence[Templates]) -> str:
    """What to do where a field of the letters has no column."""
    missing = used_fields(letters) - dict(columns.fields).keys()
    return '; if its column has another name, say so with --map "COLUMN=field"' if missing else ""


def _tell(lines: Sequence[int], why: str) -> None:
    """Which leads get no e-mail, and why."""
    if lines:
        print(f"{_leads(len(lines))} {why}: {named(lines, len(lines))}")


def _tell_repeated(count: int, first: Sequence[Repeated]) -> None:
    if count:
        print(f"{_rows(count)} the address of an earlier one, and {'is' if count == 1 else 'are'} left out:")
        _list((f"line {it.line}: {it.address}, as in line {it.first_line}" for it in first), count)


def _tell_differences(row: Campaign, findings: Findings) -> None:
    found = findings.comparison
    if found.same:
        print(f"{_leads(found.same)} in {row.name!r} already, with the same fields")
    if found.left_alone:
        print(
            f"{_leads(found.left_alone)} left as {'it is' if found.left_alone == 1 else 'they are'}:"
            " an e-mail is on its way, or no letter is to come"
        )
    if found.changed:
        print(f"{_leads(found.changed)} in {row.name!r} already, and changed:")
        _list(map(_difference, findings.differences), found.changed)


def _difference(it: lead_import.Difference) -> str:
    names = [name for name in {**it.before, **it.after} if it.before.get(name) != it.after.get(name)]
    told = (f"{name}: {_value(it.before, name)} → {_value(it.after, name)}" for name in names)
    return f"line {it.line}: {it.address}: {', '.join(told)}"


def _value(fields: dict[str, str], name: str) -> str:
    return repr(fields[name][:60]) if name in fields else "none"


def _tell_recent(order: Order, count: int, first: Sequence[Recent]) -> None:
    if count:
        days = config.settings().leads.recent_days
        then = "left out" if order.skip_recent else "leave out with --skip-recent"
        print(f"{_leads(count)} written to by another campaign in the last {days:g} days ({then}):")
        _list((f"line {it.line}: {it.address}, by {it.campaign!r} on {show.moment(it.at)}" for it in first), count)


def _confirm(order: Order, name: str, found: lead_import.Comparison) -> None:
    change = f", and change {found.changed:,}" if found.changed else ""
    if order.asks and not typer.confirm(f"Add {counted(found.fresh)} to {name!r}{change}?"):
        print("nothing was imported")
        raise typer.Exit(1)


def _list(lines: Iterable[str], count: int) -> None:
    for line in lines:
        print(escape_controls(f"  {line}"))
    if count > LISTED:
        print(f"  and {count - LISTED:,} more")


def counted(count: int) -> str:
    return f"{count:,} lead{'' if count == 1 else 's'}"


def _leads(count: int) -> str:
    return f"{counted(count)} {'is' if count == 1 else 'are'}"


def _rows(count: int) -> str:
    return "1 row has" if count == 1 else f"{count:,} rows have"
