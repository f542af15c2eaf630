"""E-mails with their leads' own columns, for programs and for spreadsheets."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from models.states import Status
from models.store.database import fetch, rows
from models.views import overview
from models.views.overview import EmailLine
from scheduling.window import WARSAW

_PORTION = 1000
_COLUMNS = ("id", "campaign", "lead", "mailbox", "status", "planned", "sent", "attempts", "error", "message_id")
BOM = "\ufeff"  # tells Excel that the file is UTF-8


@dataclass(frozen=True)
class ExportedEmail:
    line: EmailLine
    fields: Mapping[str, str]  # its lead's columns


@dataclass(frozen=True)
class _Fields:
    id: int
    fields: dict[str, str]


FIELDS = """
SELECT q.id, cl.fields FROM campaign_email_queue q JOIN campaign_lead cl ON cl.id = q.campaign_lead_id
WHERE q.id = ANY(%s)
"""


def emails(
    *,
    campaign_id: int | None = None,
    status: Status | None = None,
    places: list[int] | None = None,
    after: int = 0,
    limit: int | None = None,
) -> Iterator[ExportedEmail]:
    """Yield e-mails by id. places: see found_leads.places(). after: the last id before them. limit: None for all."""
    left = limit
    while left is None or left > 0:
        portion = _PORTION if left is None else min(left, _PORTION)
        lines = overview.emails(campaign_id=campaign_id, status=status, places=places, after=after, limit=portion)
        if not lines:
            return
        fields = {it.id: it.fields for it in rows(_Fields, FIELDS, ([it.id for it in lines],))}
        yield from (ExportedEmail(it, fields[it.id]) for it in lines)
        after, left = lines[-1].id, None if left is None else left - len(lines)


NAMES = """
SELECT DISTINCT name FROM campaign_lead cl CROSS JOIN LATERAL jsonb_object_keys(cl.fields) AS name
WHERE %(campaign)s::bigint IS NULL OR cl.campaign_id = %(campaign)s ORDER BY name
"""


def column_names(campaign_id: int | None) -> list[str]:
    """The columns of the leads' files, of one campaign or of all."""
    return [name for (name,) in fetch(NAMES, {"campaign": campaign_id})]


def as_csv(found: Iterable[ExportedEmail], names: Iterable[str], delimiter: str = ",") -> Iterator[str]:
    """A CSV file line by line, for spreadsheets: with a byte order mark, and with no cell that is a formula.

    names: the leads' columns. Times are Warsaw's.
    """
    names = list(names)
    header = [*_COLUMNS, *(f"lead_{name}" if name in _COLUMNS else name for name in names)]
    yield BOM + _row(header, delimiter)
    for it in found:
        line = it.line
        own: list[object] = [line.id, line.campaign, line.lead, line.mailbox, line.status, line.scheduled_at]
        own += [line.sent_at, line.attempts, line.error, line.message_id]
        yield _row([*own, *(it.fields.get(name) for name in names)], delimiter)


def _row(cells: Iterable[object], delimiter: str) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\r\n").writerow([_cell(it) for it in cells])
    return text.getvalue()


_FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]")
_NUMBER = re.compile(r"-?\d+([.,]\d+)?")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def _cell(value: object) -> str:
    """The text of a cell. One that a spreadsheet would compute gets an apostrophe first, as a person would type it."""
    if isinstance(value, datetime):
        return f"{value.astimezone(WARSAW):%Y-%m-%d %H:%M:%S}"
    text = "" if value is None else _CONTROLS.sub("\ufffd", str(value).replace("\r\n", "\n"))
    is_formula = _FORMULA.match(text) is not None and _NUMBER.fullmatch(text) is None
    return f"'{text}" if is_formula else text
