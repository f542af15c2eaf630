"""Today's timeline: each campaign's e-mails on this Warsaw day, and those that moved to another day."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any

from models.email import windows
from models.planning import usable
from models.states import COUNTED, Status
from models.store import counting, reason_columns
from models.store.database import clock, fetch
from models.store.tables import Campaign
from models.views import overview
from models.views.history import REASON
from reasons import Why
from scheduling.window import Days, warsaw_day, warsaw_day_bounds

_MOST = 1000
_LATE = timedelta(minutes=1)


@dataclass(frozen=True)
class TimeChange:
    """The latest change of an e-mail's planned time."""

    at_from: datetime
    at_to: datetime
    reason: str | None  # in English, or the code of another time
    why: Why | None  # for people


@dataclass(frozen=True)
class TimelineMark:
    email_id: int
    lead: str
    mailbox: str
    status: str
    scheduled_at: datetime
    at: datetime  # its position on the timeline: see STANDING
    late: bool  # started, or still pending, more than a minute after its time
    moved: TimeChange | None


@dataclass(frozen=True)
class MovedAway:
    """An e-mail that was planned for this day and is now planned for another."""

    email_id: int
    lead: str
    at_from: datetime
    at_to: datetime
    reason: str | None  # in English, or the code of another time
    why: Why | None  # for people


@dataclass(frozen=True)
class CampaignDay:
    campaign: overview.CampaignLine
    opens: datetime | None  # None: closed all day
    closes: datetime | None
    marks: list[TimelineMark]  # in order; at most 1,000, those nearest to now
    not_drawn: int  # how many more there are
    moved_away: list[MovedAway]  # in order; at most 1,000
    moved_away_not_listed: int


_PLANNED = sorted(set(Status) - COUNTED)  # not counted on any day
_COUNTS_TODAY = counting.counts_between("%(starts)s", "%(ends)s")

# An e-mail that counts (see store/counting.py) is shown at its hand-over or claim, any other at its planned time.
STANDING = f"""
    SELECT id, campaign_id, status, {counting.counted_at()} AS at FROM campaign_email_queue
    WHERE campaign_id = ANY(%(ids)s) AND {_COUNTS_TODAY}
    UNION ALL
    SELECT id, campaign_id, status, scheduled_at FROM campaign_email_queue
    WHERE campaign_id = ANY(%(ids)s) AND status IN ({", ".join(f"'{status}'" for status in _PLANNED)})
      AND scheduled_at >= %(starts)s AND scheduled_at < %(ends)s
"""  # noqa: S608  # only our own words

# Each campaign's e-mails nearest to now, searched forwards and backwards from now, so that a full day costs no more.
# OFFSET 0, here and below, forces a lookup by id: Postgres estimates the row counts badly and would scan whole tables.
_NEAR = """(
    SELECT q.id, q.status, {at} AS at FROM campaign_email_queue q
    WHERE q.campaign_id = c.id AND {status} AND {at} >= {since} AND {at} < {until}
    ORDER BY {at} {order}, q.id {order} LIMIT %(most)s)"""
_SIDES = (
    {"since": "%(now)s", "until": "%(ends)s", "order": "ASC"},
    {"since": "%(starts)s", "until": "%(now)s", "order": "DESC"},
)
_PLACES = [
    {"at": counting.counted_at("q"), "status": counting.counts("q")},
    *({"at": "q.scheduled_at", "status": f"q.status = '{status}'"} for status in _PLANNED),
]
_NEAREST = " UNION ALL ".join(_NEAR.format(**place, **side) for place in _PLACES for side in _SIDES)

MARKS = f"""
SELECT c.id, q.id, cl.address, m.address, q.status, q.scheduled_at, n.at,
       COALESCE(q.claimed_at, q.handed_over_at), moved.*
FROM unnest(%(ids)s::bigint[]) AS c (id)
CROSS JOIN LATERAL (
    SELECT id, at FROM ({_NEAREST}) near ORDER BY abs(extract(epoch FROM at - %(now)s)), id LIMIT %(most)s
) n
CROSS JOIN LATERAL (SELECT * FROM campaign_email_queue WHERE id = n.id OFFSET 0) q
CROSS JOIN LATERAL (SELECT address FROM campaign_lead WHERE id = q.campaign_lead_id OFFSET 0) cl
JOIN mailbox m ON m.id = q.mailbox_id
LEFT JOIN LATERAL (
    SELECT h.scheduled_from, h.scheduled_to, {REASON} FROM email_history h
    WHERE h.email_id = q.id AND h.scheduled_from <> h.scheduled_to ORDER BY h.id DESC LIMIT 1
) moved ON true
ORDER BY c.id, n.at, q.id
"""  # noqa: S608  # only our own words

# Each e-mail's latest move away from the day. One that came back is left out.
MOVED_AWAY = f"""
WITH left_it AS (
    SELECT DISTINCT ON (email_id) email_id, id AS move_id, scheduled_from FROM email_history
    WHERE scheduled_from <> scheduled_to AND scheduled_from >= %(starts)s AND scheduled_from < %(ends)s
      AND (scheduled_to < %(starts)s OR scheduled_to >= %(ends)s)
    ORDER BY email_id, id DESC
), numbered AS (
    SELECT q.campaign_id, q.campaign_lead_id, l.*, count(*) OVER of_campaign AS of_them,
           row_number() OVER (of_campaign ORDER BY l.scheduled_from, l.email_id) AS number
    FROM left_it l CROSS JOIN LATERAL (
        SELECT campaign_id, campaign_lead_id FROM campaign_email_queue
        WHERE id = l.email_id AND campaign_id = ANY(%(ids)s)
          AND (scheduled_at < %(starts)s OR scheduled_at >= %(ends)s)
          AND NOT ({_COUNTS_TODAY})
        OFFSET 0
    ) q
    WINDOW of_campaign AS (PARTITION BY q.campaign_id)
)
SELECT n.campaign_id, n.of_them::int, n.email_id, cl.address, h.scheduled_from, h.scheduled_to, {REASON}
FROM numbered n CROSS JOIN LATERAL (SELECT * FROM email_history WHERE id = n.move_id OFFSET 0) h
CROSS JOIN LATERAL (SELECT address FROM campaign_lead WHERE id = n.campaign_lead_id OFFSET 0) cl
WHERE n.number <= %(most)s ORDER BY n.campaign_id, n.number
"""  # noqa: S608  # only our own words


def now_and_lines(rows: Sequence[Campaign]) -> tuple[datetime, list[CampaignDay]]:
    """The database's time, and each campaign's line of this Warsaw day."""
    now = clock()
    return now, lines(rows, now)


def lines(rows: Sequence[Campaign], now: datetime) -> list[CampaignDay]:
    """Each campaign's Warsaw day of `now`."""
    starts, ends = warsaw_day_bounds(warsaw_day(now))
    frozen = windows.frozen_days()
    values = {"ids": [row.id for row in rows], "starts": starts, "ends": ends, "now": now, "most": _MOST}
    marks: defaultdict[int, list[TimelineMark]] = defaultdict(list)
    for campaign_id, *mark in fetch(MARKS, values):
        marks[campaign_id].append(_mark(now, *mark))
    of_day, moved_away = _counts(starts, ends, rows), _by_campaign(fetch(MOVED_AWAY, values))
    return [
        CampaignDay(
            campaign,
            *_opening_hours(row, frozen, starts, ends),
            marks=marks[row.id],
            not_drawn=max(of_day[row.id].total() - len(marks[row.id]), 0),
            moved_away=[_moved_away(*each) for each in moved_away[row.id].rows],
            moved_away_not_listed=moved_away[row.id].of_them - len(moved_away[row.id].rows),
        )
        for row, campaign in zip(rows, overview.campaigns(rows), strict=True)
    ]


COUNTS = f"SELECT campaign_id, status, count(*)::int FROM ({STANDING}) the_day GROUP BY campaign_id, status"  # noqa: S608  # only our own words


def counts(rows: Sequence[Campaign]) -> dict[int, Counter[str]]:
    """Campaign id -> status -> e-mails on this day. Campaigns without any are left out."""
    return dict(_counts(*warsaw_day_bounds(warsaw_day(clock())), rows))


def _counts(starts: datetime, ends: datetime, rows: Sequence[Campaign]) -> defaultdict[int, Counter[str]]:
    found: defaultdict[int, Counter[str]] = defaultdict(Counter)
    values = {"ids": [row.id for row in rows], "starts": starts, "ends": ends}
    for campaign_id, status, count in fetch(COUNTS, values):
        found[campaign_id][status] = count
    return found


@dataclass
class _Found:
    of_them: int = 0
    rows: list[tuple[Any, ...]] = field(default_factory=list)


def _by_campaign(found: Iterable[tuple[Any, ...]]) -> defaultdict[int, _Found]:
    """Campaign id -> the number of rows, and the rows that were read."""
    by_campaign: defaultdict[int, _Found] = defaultdict(_Found)
    for campaign_id, of_them, *row in found:
        by_campaign[campaign_id].of_them = of_them
        by_campaign[campaign_id].rows.append(tuple(row))
    return by_campaign


def _mark(
    now: datetime,
    email_id: int,
    lead: str,
    mailbox: str,
    status: str,
    scheduled_at: datetime,
    at: datetime,
    started_at: datetime | None,
    *move: Any,
) -> TimelineMark:
    begun = started_at or (now if status == "pending" else scheduled_at)
    at_from, at_to, *why = move
    moved = TimeChange(at_from, at_to, why[0], reason_columns.read(*why)) if at_from else None
    return TimelineMark(email_id, lead, mailbox, status, scheduled_at, at, is_late(scheduled_at, begun), moved)


def _moved_away(email_id: int, lead: str, at_from: datetime, at_to: datetime, *why: Any) -> MovedAway:
    return MovedAway(email_id, lead, at_from, at_to, why[0], reason_columns.read(*why))


def is_late(scheduled_at: datetime, started_at: datetime) -> bool:
    """Judged by the start only: the time the server took does not make us late."""
    return started_at - scheduled_at > _LATE


def _opening_hours(
    row: Campaign, frozen: tuple[Days, ...], starts: datetime, ends: datetime
) -> tuple[datetime | None, datetime | None]:
    if usable.problem(row) is not None:
        return None, None
    stretches = list(takewhile(lambda it: it[0] < ends, windows.window_of(row, frozen).stretches(starts)))
    return (stretches[0][0], stretches[-1][1]) if stretches else (None, None)
