"""Today's timeline: each campaign's e-mails on this Warsaw day, and those that moved to another day.

What is overdue belongs to today, whatever day it was planned for: pending e-mails of active campaigns from before.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Any

from models.email import windows
from models.planning import usable
from models.states import COUNTED, CampaignStatus, Status
from models.store import counting, reason_columns
from models.store.database import clock
from models.store.database import rows as read_rows
from models.store.tables import Campaign
from models.views import overview
from models.views.history import REASON
from reasons import Why
from scheduling.window import Days, warsaw_day, warsaw_day_bounds

_MOST = 1000
_LATE = timedelta(minutes=1)
_EVER = datetime(1970, 1, 1, tzinfo=UTC)


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
    step: int  # of its campaign's sequence, from 1


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
    campaign: overview.CampaignHead  # its whole line where that was asked for
    opens: datetime | None  # None: closed all day
    closes: datetime | None
    marks: list[TimelineMark]  # in order; at most 1,000, those nearest to now; none unless they were asked for
    not_drawn: int  # how many more there are
    moved_away: list[MovedAway]  # in order; at most 1,000
    moved_away_not_listed: int


_PLANNED = sorted(set(Status) - COUNTED)  # not counted on any day
_COUNTS_TODAY = counting.counts_between("%(starts)s", "%(ends)s")

_PLANNED_ON_THE_DAY = f"""
    SELECT id, campaign_id, status, scheduled_at AS at FROM campaign_email_queue
    WHERE campaign_id = ANY(%(ids)s) AND status IN ({", ".join(f"'{status}'" for status in _PLANNED)})
      AND scheduled_at >= %(starts)s AND scheduled_at < %(ends)s
"""  # noqa: S608  # only our own words
_PLANNED_TODAY = f"""{_PLANNED_ON_THE_DAY}
    UNION ALL
    SELECT id, campaign_id, status, scheduled_at FROM campaign_email_queue
    WHERE campaign_id = ANY(%(active)s) AND status = '{Status.PENDING}'
      AND scheduled_at >= %(overdue_since)s AND scheduled_at < %(starts)s
"""  # noqa: S608  # only our own words
_COUNTED_ON_THE_DAY = f"""
    SELECT id, campaign_id, status, {counting.counted_at()} AS at FROM campaign_email_queue
    WHERE campaign_id = ANY(%(ids)s) AND {_COUNTS_TODAY}
"""  # noqa: S608  # only our own words
# An e-mail that counts (see store/counting.py) is shown at its hand-over or claim, any other at its planned time.
STANDING = f"{_COUNTED_ON_THE_DAY} UNION ALL {_PLANNED_ON_THE_DAY}"
# The same, with what is overdue.
ON_TODAY = f"{_COUNTED_ON_THE_DAY} UNION ALL {_PLANNED_TODAY}"

# Each campaign's e-mails nearest to now, searched forwards and backwards from now, so that a full day costs no more.
# OFFSET 0, here and below, forces a lookup by id: Postgres estimates the row counts badly and would scan whole tables.
_NEAR = """(
    SELECT q.id, q.status, {at} AS at FROM campaign_email_queue q
    WHERE q.campaign_id = c.id AND {status} AND {at} >= {since} AND {at} < {until}
    ORDER BY {at} {order}, q.id {order} LIMIT %(most)s)"""
_SIDES = (
    {"since": "%(now)s", "until": "%(ends)s", "order": "ASC"},
    {"since": "{begin}", "until": "%(now)s", "order": "DESC"},
)
_OF_TODAY = "%(starts)s"
_PLACES = [
    {"at": counting.counted_at("q"), "status": counting.counts("q"), "begin": _OF_TODAY},
    *(
        {
            "at": "q.scheduled_at",
            "status": f"q.status = '{status}'",
            "begin": "c.overdue_since" if status is Status.PENDING else _OF_TODAY,
        }
        for status in _PLANNED
    ),
]
_NEAREST = " UNION ALL ".join(
    _NEAR.format(**{**place, **side, "since": side["since"].format(**place)}) for place in _PLACES for side in _SIDES
)

MARKS = f"""
SELECT c.id AS campaign_id, q.id AS email_id, cl.address AS lead, m.address AS mailbox, s.step, q.status,
       q.scheduled_at, n.at, COALESCE(q.claimed_at, q.handed_over_at) AS started_at, moved.*
FROM unnest(%(ids)s::bigint[], %(overdue_sinces)s::timestamptz[]) AS c (id, overdue_since)
CROSS JOIN LATERAL (
    SELECT id, at FROM ({_NEAREST}) near ORDER BY abs(extract(epoch FROM at - %(now)s)), id LIMIT %(most)s
) n
CROSS JOIN LATERAL (SELECT * FROM campaign_email_queue WHERE id = n.id OFFSET 0) q
CROSS JOIN LATERAL (SELECT address FROM campaign_lead WHERE id = q.campaign_lead_id OFFSET 0) cl
CROSS JOIN LATERAL (SELECT position AS step FROM campaign_step WHERE id = q.step_id OFFSET 0) s
JOIN mailbox m ON m.id = q.mailbox_id
LEFT JOIN LATERAL (
    SELECT h.scheduled_from AS at_from, h.scheduled_to AS at_to, {REASON} FROM email_history h
    WHERE h.email_id = q.id AND h.scheduled_from <> h.scheduled_to ORDER BY h.id DESC LIMIT 1
) moved ON true
ORDER BY c.id, n.at, q.id
"""  # noqa: S608  # only our own words


@dataclass(frozen=True)
class _MarkRow:
    """A row of MARKS."""

    campaign_id: int
    email_id: int
    lead: str
    mailbox: str
    step: int
    status: Status
    scheduled_at: datetime
    at: datetime
    started_at: datetime | None
    at_from: datetime | None  # None: its planned time has never changed
    at_to: datetime | None
    reason: str | None
    reason_code: str | None
    reason_values: dict[str, Any] | None

    def mark(self, now: datetime) -> TimelineMark:
        begun = self.started_at or (now if self.status is Status.PENDING else self.scheduled_at)
        return TimelineMark(
            email_id=self.email_id,
            lead=self.lead,
            mailbox=self.mailbox,
            step=self.step,
            status=self.status,
            scheduled_at=self.scheduled_at,
            at=self.at,
            late=is_late(self.scheduled_at, begun),
            moved=self._time_change(),
        )

    def _time_change(self) -> TimeChange | None:
        if self.at_from is None or self.at_to is None:
            return None
        why = reason_columns.read(self.reason, self.reason_code, self.reason_values)
        return TimeChange(self.at_from, self.at_to, self.reason, why)


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
SELECT n.campaign_id, n.of_them::int, n.email_id, cl.address AS lead, h.scheduled_from AS at_from,
       h.scheduled_to AS at_to, {REASON}
FROM numbered n CROSS JOIN LATERAL (SELECT * FROM email_history WHERE id = n.move_id OFFSET 0) h
CROSS JOIN LATERAL (SELECT address FROM campaign_lead WHERE id = n.campaign_lead_id OFFSET 0) cl
WHERE n.number <= %(most)s ORDER BY n.campaign_id, n.number
"""  # noqa: S608  # only our own words


@dataclass(frozen=True)
class _MovedAwayRow:
    """A row of MOVED_AWAY."""

    campaign_id: int
    of_them: int  # rows about this campaign, those beyond the limit included
    email_id: int
    lead: str
    at_from: datetime
    at_to: datetime
    reason: str | None
    reason_code: str | None
    reason_values: dict[str, Any] | None

    def moved_away(self) -> MovedAway:
        why = reason_columns.read(self.reason, self.reason_code, self.reason_values)
        return MovedAway(self.email_id, self.lead, self.at_from, self.at_to, self.reason, why)


@dataclass(frozen=True)
class Sight:
    """The part of the time around `now` that is looked at: of today, and of what is overdue from before."""

    now: datetime
    starts: datetime
    ends: datetime
    overdue_since: datetime
    first: datetime  # when the first stretch begins; what is overdue from before is counted in one before it

    def values(self, rows: Sequence[Campaign]) -> dict[str, object]:
        """The parameters of ON_TODAY and MARKS."""
        active = {row.id for row in rows if row.status == CampaignStatus.ACTIVE}
        return {
            "ids": [row.id for row in rows],
            "active": sorted(active),
            "overdue_sinces": [self.overdue_since if row.id in active else self.starts for row in rows],
            **vars(self),
        }


def whole_day(now: datetime) -> Sight:
    starts, ends = warsaw_day_bounds(warsaw_day(now))
    return Sight(now, starts, ends, _EVER, starts)


def between(since: datetime, until: datetime, now: datetime) -> Sight:
    starts, ends = warsaw_day_bounds(warsaw_day(now))
    return Sight(now, max(since, starts), min(until, ends), since, since)


def now_and_lines(rows: Sequence[Campaign]) -> tuple[datetime, list[CampaignDay]]:
    """The database's time, and each campaign's line of this Warsaw day."""
    now = clock()
    found = marks(rows, whole_day(now))
    of_day = counts(rows, now)
    return now, [
        replace(
            line,
            marks=found[row.id],
            not_drawn=max(of_day.get(row.id, Counter()).total() - len(found[row.id]), 0),
        )
        for row, line in zip(rows, lines(rows, overview.campaigns(rows), now), strict=True)
    ]


def marks(rows: Sequence[Campaign], sight: Sight) -> defaultdict[int, list[TimelineMark]]:
    """Campaign id -> its e-mails in sight, in order: at most 1,000, those nearest to now."""
    found: defaultdict[int, list[TimelineMark]] = defaultdict(list)
    for it in read_rows(_MarkRow, MARKS, sight.values(rows) | {"most": _MOST}):
        found[it.campaign_id].append(it.mark(sight.now))
    return found


def lines(rows: Sequence[Campaign], campaigns: Sequence[overview.CampaignHead], now: datetime) -> list[CampaignDay]:
    """Each campaign's Warsaw day of `now`, without marks."""
    starts, ends = warsaw_day_bounds(warsaw_day(now))
    frozen = windows.frozen_days()
    values = {"ids": [row.id for row in rows], "starts": starts, "ends": ends, "most": _MOST}
    moved_away: defaultdict[int, list[_MovedAwayRow]] = defaultdict(list)
    for each in read_rows(_MovedAwayRow, MOVED_AWAY, values):
        moved_away[each.campaign_id].append(each)
    return [
        CampaignDay(
            campaign,
            *_opening_hours(row, frozen, starts, ends),
            marks=[],
            not_drawn=0,
            moved_away=[each.moved_away() for each in moved_away[row.id]],
            moved_away_not_listed=next((each.of_them for each in moved_away[row.id]), 0) - len(moved_away[row.id]),
        )
        for row, campaign in zip(rows, campaigns, strict=True)
    ]


@dataclass(frozen=True)
class Stretch:
    """A campaign's e-mails of one status in a stretch of time."""

    campaign_id: int
    status: Status
    begins: datetime
    count: int
    late: int  # of them: still pending, more than a minute after their time


_BIN = "date_bin(%(width)s, {at}, %(first)s)"
# Counted branch by branch: most e-mails are done, and cannot be late.
STRETCHES = f"""
SELECT campaign_id, status, {_BIN.format(at=counting.counted_at())} AS begins, count(*)::int AS count, 0 AS late
FROM campaign_email_queue WHERE campaign_id = ANY(%(ids)s) AND {_COUNTS_TODAY} GROUP BY 1, 2, 3
UNION ALL
SELECT campaign_id, status, {_BIN.format(at="greatest(at, %(first)s - %(width)s)")}, count(*)::int,
       count(*) FILTER (WHERE status = '{Status.PENDING}' AND at < %(late)s)::int
FROM ({_PLANNED_TODAY}) planned GROUP BY 1, 2, 3
ORDER BY 1, 3, 2
"""  # noqa: S608  # only our own words


def stretches(rows: Sequence[Campaign], sight: Sight, width: timedelta) -> dict[int, list[Stretch]]:
    """Campaign id -> its stretches of that width that have e-mails, in order. Campaigns without any are left out."""
    found: defaultdict[int, list[Stretch]] = defaultdict(list)
    values = sight.values(rows) | {"width": width, "late": sight.now - _LATE}
    for it in read_rows(Stretch, STRETCHES, values):
        found[it.campaign_id].append(it)
    return dict(found)


def by_status(found: Iterable[Stretch]) -> Counter[str]:
    of_them: Counter[str] = Counter()
    for it in found:
        of_them[it.status] += it.count
    return of_them


COUNTS = f"""
SELECT campaign_id, status, count(*)::int AS count FROM ({ON_TODAY}) the_day GROUP BY campaign_id, status
"""  # noqa: S608  # only our own words


@dataclass(frozen=True)
class _Count:
    """A row of COUNTS."""

    campaign_id: int
    status: Status
    count: int


def counts(rows: Sequence[Campaign], now: datetime | None = None) -> dict[int, Counter[str]]:
    """Campaign id -> status -> e-mails on this day. Campaigns without any are left out."""
    found: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for it in read_rows(_Count, COUNTS, whole_day(now or clock()).values(rows)):
        found[it.campaign_id][it.status] = it.count
    return dict(found)


# The day's e-mails that moved within it, by the latest such move.
MOVED_WITHIN = f"""
WITH within_it AS (
    SELECT DISTINCT ON (email_id) email_id, id AS move_id FROM email_history
    WHERE scheduled_from <> scheduled_to AND scheduled_from >= %(starts)s AND scheduled_from < %(ends)s
      AND scheduled_to >= %(starts)s AND scheduled_to < %(ends)s
    ORDER BY email_id, id DESC
)
SELECT q.campaign_id, {REASON}, count(*)::int AS count
FROM within_it w CROSS JOIN LATERAL (
    SELECT campaign_id FROM campaign_email_queue
    WHERE id = w.email_id AND campaign_id = ANY(%(ids)s)
      AND (scheduled_at >= %(starts)s AND scheduled_at < %(ends)s OR {_COUNTS_TODAY})
    OFFSET 0
) q
CROSS JOIN LATERAL (SELECT * FROM email_history WHERE id = w.move_id OFFSET 0) h
GROUP BY 1, 2, 3, 4
"""  # noqa: S608  # only our own words


@dataclass(frozen=True)
class _MovedWithin:
    """A row of MOVED_WITHIN."""

    campaign_id: int
    reason: str | None
    reason_code: str | None
    reason_values: dict[str, Any] | None
    count: int


def moved_within(ids: Collection[int], now: datetime) -> defaultdict[int, Counter[Why | None]]:
    """Campaign id -> why -> e-mails that moved within this day."""
    found: defaultdict[int, Counter[Why | None]] = defaultdict(Counter)
    if not ids:
        return found
    starts, ends = warsaw_day_bounds(warsaw_day(now))
    for it in read_rows(_MovedWithin, MOVED_WITHIN, {"ids": list(ids), "starts": starts, "ends": ends}):
        found[it.campaign_id][reason_columns.read(it.reason, it.reason_code, it.reason_values)] += it.count
    return found


def is_late(scheduled_at: datetime, started_at: datetime) -> bool:
    """Whether an e-mail started late. Only the start counts: the time the server took does not make us late."""
    return started_at - scheduled_at > _LATE


def _opening_hours(
    row: Campaign, frozen: tuple[Days, ...], starts: datetime, ends: datetime
) -> tuple[datetime | None, datetime | None]:
    if usable.problem(row) is not None:
        return None, None
    stretches = list(takewhile(lambda it: it[0] < ends, windows.window_of(row, frozen).stretches(starts)))
    return (stretches[0][0], stretches[-1][1]) if stretches else (None, None)
