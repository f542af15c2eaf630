"""A campaign's outlook: its end, and a bar per day, from the rows and from the planner's forecast for later days."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache

import clock
from models.states import CampaignStatus
from models.store.tables import Campaign
from models.views import forecast
from models.views.mails import Day
from scheduling.window import warsaw_day

_PLANNABLE = {CampaignStatus.DRAFT, CampaignStatus.ACTIVE, CampaignStatus.PAUSED}
# The bar chart: days before today, and days in all.
_BEFORE, _DAYS = timedelta(days=9), 28
STATUSES = ("sent", "sending", "unknown", "failed", "cancelled", "pending")


@dataclass(frozen=True)
class Ahead:
    today: date
    ends_at: datetime | None  # None: nothing will be sent, or the forecast does not reach that far
    goes_on_after: datetime | None  # end of the forecast, if more e-mails follow after it
    forecast: Mapping[date, int]  # Warsaw day -> e-mails not planned yet


def of(row: Campaign) -> Ahead:
    now = clock.now()
    if row.status not in _PLANNABLE:
        return Ahead(warsaw_day(now), None, None, {})
    # This runs the planner, so the result is cached per minute and settings revision.
    found = played(row.id, row.revision, now.replace(second=0, microsecond=0))
    goes_on_after = found.slots[-1].at if found.slots and found.ends_at is None else None
    return Ahead(warsaw_day(now), found.ends_at, goes_on_after, Counter(warsaw_day(slot.at) for slot in found.slots))


@lru_cache(maxsize=64)
def played(campaign_id: int, revision: int, minute: datetime) -> forecast.Future:
    return forecast.future(campaign_id)


@dataclass(frozen=True)
class Part:
    status: str
    count: int
    top: float  # percent of the tallest bar, from the top
    height: float


@dataclass(frozen=True)
class Bar:
    day: date
    when: str  # past, today or future
    total: int
    parts: list[Part]


def days(found: Sequence[Day], ahead: Mapping[date, int], today: date) -> list[Bar]:
    """Every day from the first to the last one with e-mails, as many as fit."""
    counts = {each.day: Counter({status: getattr(each, status) for status in STATUSES}) for each in found}
    for each, count in ahead.items():
        counts.setdefault(each, Counter())["forecast"] = count
    if not counts:
        return []
    first = max(min(counts), min(today, max(counts)) - _BEFORE)
    last = min(max(counts), first + timedelta(days=_DAYS - 1))
    shown = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    tallest = max(counts.get(each, Counter()).total() for each in shown) or 1
    return [_bar(each, counts.get(each, Counter()), tallest, today) for each in shown]


def _bar(day: date, counts: Counter[str], tallest: int, today: date) -> Bar:
    parts, top = [], 100.0
    for status in (*STATUSES, "forecast"):
        if counts[status]:
            height = counts[status] / tallest * 100
            top -= height
            parts.append(Part(status, counts[status], round(top, 2), round(height, 2)))
    when = "today" if day == today else "past" if day < today else "future"
    return Bar(day, when, counts.total(), parts)
