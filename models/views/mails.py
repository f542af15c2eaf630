"""Finds e-mails: a campaign's page by page, a person's in all campaigns, and a campaign's count by day."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from models.states import Status
from models.store.database import fetch, rows
from models.views.overview import EMAIL_COLUMNS, EmailLine, email_lines
from models.views.today import STANDING
from scheduling.window import warsaw_day, warsaw_day_bounds

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class CursorInvalid(ValueError):
    """The cursor is not one that a page returned."""


@dataclass(frozen=True)
class Page:
    lines: list[EmailLine]
    next: str | None  # cursors; None: there is no such page
    previous: str | None


class Cursor(NamedTuple):
    """A position between two e-mails, and the direction to read in."""

    forward: bool
    scheduled_at: datetime
    id: int

    def __str__(self) -> str:
        at = (self.scheduled_at - _EPOCH) // timedelta(milliseconds=1)
        text = f"{'>' if self.forward else '<'}{at}.{self.id}"
        return urlsafe_b64encode(text.encode()).decode().rstrip("=")


_START = Cursor(True, _EPOCH - timedelta(days=1), 0)


def _read(cursor: str) -> Cursor:
    try:
        text = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        at, _, id = text[1:].partition(".")
        found = Cursor({">": True, "<": False}[text[0]], _EPOCH + timedelta(milliseconds=int(at)), int(id))
    except (binascii.Error, ValueError, KeyError, IndexError, OverflowError):
        raise CursorInvalid("this is not a cursor of a page") from None
    if str(found) != cursor or not 0 <= found.id < 2**63:
        raise CursorInvalid("this is not a cursor of a page")
    return found


PAGE = f"""
SELECT {EMAIL_COLUMNS}
WHERE q.campaign_id = %(campaign)s
  AND (%(status)s::text IS NULL OR q.status = %(status)s)
  AND (%(lead)s::text IS NULL OR q.campaign_lead_id = (
      SELECT l.id FROM campaign_lead l JOIN lead p ON p.id = l.lead_id
      WHERE l.campaign_id = %(campaign)s AND p.address = %(lead)s))
  AND (%(places)s::bigint[] IS NULL OR q.campaign_lead_id = ANY(%(places)s))
  AND (%(starts)s::timestamptz IS NULL OR q.id = ANY(ARRAY(SELECT id FROM ({STANDING}) stand)))
  AND (q.scheduled_at, q.id) {{beyond}} (%(at)s, %(id)s)
ORDER BY q.scheduled_at {{order}}, q.id {{order}} LIMIT %(limit)s
"""  # noqa: S608  # only our own words
_FORWARD, _BACK = PAGE.format(beyond=">", order="ASC"), PAGE.format(beyond="<", order="DESC")


def page(
    campaign_id: int,
    *,
    status: Status | None = None,
    lead: str | None = None,
    places: list[int] | None = None,
    stretch: tuple[datetime, datetime] | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page:
    """A campaign's e-mails in order of time. lead: a normalised address. places: see found_leads.places().

    stretch: only those that stand on the timeline between these times.
    """
    start = _START if cursor is None else _read(cursor)
    values: dict[str, object] = {
        "campaign": campaign_id,
        "status": status,
        "lead": lead,
        "places": places,
        "limit": limit + 1,
    }
    starts, ends = stretch or (None, None)
    values |= {"ids": [campaign_id], "starts": starts, "ends": ends}
    place: dict[str, object] = {"at": start.scheduled_at, "id": start.id}
    found = email_lines(_FORWARD if start.forward else _BACK, values | place)
    goes_on, lines = len(found) > limit, found[:limit]
    if start.forward:
        return _page(lines, is_first=cursor is None, is_last=not goes_on)
    return _page(lines[::-1], is_first=not goes_on, is_last=False)


def _page(lines: list[EmailLine], is_first: bool, is_last: bool) -> Page:
    if not lines:
        return Page([], None, None)
    first, last = lines[0], lines[-1]
    following = Cursor(True, last.scheduled_at, last.id)
    preceding = Cursor(False, first.scheduled_at, first.id)
    return Page(lines, None if is_last else str(following), None if is_first else str(preceding))


OF_PERSON = f"""
SELECT {EMAIL_COLUMNS}
JOIN lead p ON p.id = cl.lead_id
WHERE p.address = %s ORDER BY q.scheduled_at DESC, q.id DESC LIMIT %s
"""


def find(address: str, limit: int | None = 100) -> list[EmailLine]:
    """One person's e-mails in all campaigns, the newest first. address: normalised. limit: None: all."""
    return email_lines(OF_PERSON, (address, limit))


@dataclass(frozen=True)
class Day:
    day: date  # in Warsaw
    pending: int
    sending: int
    sent: int
    failed: int
    cancelled: int
    unknown: int


@dataclass(frozen=True)
class _Count:
    """A row of DAYS."""

    day: date
    status: Status
    count: int


LAST_DAY = """
SELECT max(scheduled_at) FROM campaign_email_queue WHERE campaign_id = %(campaign)s AND scheduled_at < %(ends)s
"""
DAYS = f"""
SELECT (at AT TIME ZONE 'Europe/Warsaw')::date AS day, status, count(*)::int AS count
FROM ({STANDING}) mails GROUP BY 1, 2
"""  # noqa: S608  # only our own words


def days(campaign_id: int, before: date | None = None, most: int = 31) -> list[Day]:
    """A campaign's e-mails per Warsaw day, in order; days without any are left out.

    The last `most` calendar days with e-mails, or those before `before`.
    """
    ends = warsaw_day_bounds(before)[0] if before else "infinity"
    last = fetch(LAST_DAY, {"campaign": campaign_id, "ends": ends})[0][0]
    if last is None:
        return []
    starts, _ = warsaw_day_bounds(warsaw_day(last) - timedelta(days=most - 1))
    found: defaultdict[date, Counter[str]] = defaultdict(Counter)
    for it in rows(_Count, DAYS, {"ids": [campaign_id], "starts": starts, "ends": ends}):
        found[it.day][it.status] = it.count
    return [Day(day, **{status: found[day][status] for status in Status}) for day in sorted(found)]
