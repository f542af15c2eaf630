"""Which e-mails need a message, and the mark that one was published."""

from collections.abc import Sequence
from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import NamedTuple

import config
from models.email import gates
from models.email.gates import Action, Closed
from models.store.database import by_indexes, clock, execute, fetch, row, rows, unflushed
from reasons import Code, Reason
from scheduling.planner import check_moments, interval


class Hint(NamedTuple):
    email_id: int
    scheduled_at: datetime


# Read, published and marked at once.
AT_ONCE = 5000
# An overdue e-mail whose hint was lost is hinted again; one that waits for a gate renews its own hint.
LOST_AFTER = timedelta(minutes=1)
# What may fall due while a tick's planning steps run, and the next one's.
_SOON = timedelta(minutes=2)

# The time is a parameter because Postgres uses no index range for a volatile function. Left out: e-mails that get
# another time first, because they are too late (gates.not_too_late) or their campaign is to be replanned. The delay is
# capped so that one campaign's absurd delay is not an error for all.
_TOLERANCE = "greatest(%(tolerance)s, 2 * least(c.delay_seconds, 1e9))"
_IN_TIME = f"extract(epoch FROM %(now)s - q.scheduled_at) <= {_TOLERANCE}"
_DUE = f"""
SELECT q.id AS email_id, q.scheduled_at
FROM campaign_email_queue q JOIN campaign c ON c.id = q.campaign_id
WHERE q.status = 'pending' AND c.status = 'active' AND c.replan_reason IS NULL
  AND (%(campaigns)s::bigint[] IS NULL OR q.campaign_id = ANY(%(campaigns)s))
  AND q.scheduled_at < %(horizon)s
  AND {{which}}
  AND {_IN_TIME}
ORDER BY q.scheduled_at
LIMIT %(at_once)s
"""  # noqa: S608  # only our own words
_UNHINTED = "q.hinted_for IS DISTINCT FROM q.scheduled_at"
SOON = _DUE.format(which=_UNHINTED)
# Nor those behind one that is too late: their campaign is about to be planned again.
DUE = _DUE.format(
    which=f"""{_UNHINTED} AND NOT EXISTS (
        SELECT FROM campaign_email_queue late WHERE late.campaign_id = q.campaign_id AND late.status = 'pending'
            AND late.scheduled_at < %(now)s - {_TOLERANCE} * interval '1 second'
    )"""
)
LOST = _DUE.format(which="q.hinted_for = q.scheduled_at AND q.scheduled_at < %(lost)s")


def soon(campaign_ids: Sequence[int] | None = None) -> list[Hint]:
    """Pending e-mails overdue or due within minutes that have no hint for their time, the earliest AT_ONCE first.

    campaign_ids: None for all active campaigns.
    """
    return _read(SOON, min(_SOON, _buffer()), campaign_ids)


def due() -> list[Hint]:
    """Like soon(), for the whole buffer horizon, but without campaigns that have an e-mail that is too late."""
    return _read(DUE, _buffer())


def lost() -> list[Hint]:
    """Overdue e-mails whose hint was published and may be lost. Bounded: a late worker may still have all of them."""
    return _read(LOST, timedelta(0))


def _read(query: str, within: timedelta, campaign_ids: Sequence[int] | None = None) -> list[Hint]:
    now = clock()
    values = {
        "campaigns": None if campaign_ids is None else list(campaign_ids),
        "now": now,
        "horizon": now + within,
        "lost": now - LOST_AFTER,
        "tolerance": config.settings().sending.late_tolerance_seconds,
        "at_once": AT_ONCE,
    }
    with by_indexes() if campaign_ids is None else nullcontext():
        return rows(Hint, query, values)


class _Late(NamedTuple):
    is_current: bool
    is_in_time: bool
    now: datetime
    last_start: datetime | None  # of its campaign
    delay_seconds: float


LATE = f"""
SELECT q.status = 'pending' AND q.scheduled_at = %(at)s AS is_current,
       {_IN_TIME.replace("%(now)s", "clock_timestamp()")} AS is_in_time,
       clock_timestamp() AS now, c.last_start_at AS last_start, c.delay_seconds
FROM campaign_email_queue q JOIN campaign c ON c.id = q.campaign_id WHERE q.id = %(email)s
"""  # noqa: S608  # only our own words


def refused_anyway(hint: Hint) -> Closed | None:
    """Why a claim would be refused for this hint of an overdue e-mail. Reads two rows, and takes no lock."""
    tolerance = config.settings().sending.late_tolerance_seconds
    found = row(_Late, LATE, {"email": hint.email_id, "at": hint.scheduled_at, "tolerance": tolerance})
    if found is None:
        return None
    if not found.is_current:
        return Closed("hint", Action.DROP, Reason(Code.STALE_HINT))
    if not found.is_in_time:
        return Closed("downtime", Action.REPLAN, Reason(Code.TOO_LATE))
    check_moments(found.last_start)
    return gates.keeps_pace(found.now, found.last_start, interval(found.delay_seconds, "delay"))


def _buffer() -> timedelta:
    return timedelta(minutes=config.settings().planning.buffer_minutes)


MARK = """
WITH hinted AS (
    SELECT q.id, q.scheduled_at
    FROM unnest(%(ids)s::bigint[], %(times)s::timestamptz[]) AS h (id, scheduled_at)
    JOIN campaign_email_queue q ON q.id = h.id AND q.scheduled_at = h.scheduled_at AND q.status = 'pending'
    ORDER BY q.id FOR NO KEY UPDATE OF q
)
UPDATE campaign_email_queue q SET hinted_for = hinted.scheduled_at FROM hinted WHERE q.id = hinted.id
"""


MARKED = """
SELECT count(*) FROM campaign_email_queue q JOIN campaign c ON c.id = q.campaign_id
WHERE q.status = 'pending' AND c.status = 'active' AND q.hinted_for = q.scheduled_at
  AND q.scheduled_at > %(now)s AND q.scheduled_at < %(horizon)s
"""


def mark(published: Sequence[Hint]) -> None:
    values = {"ids": [hint.email_id for hint in published], "times": [hint.scheduled_at for hint in published]}
    with unflushed():
        execute(MARK, values)


def unmark(hint: Hint) -> None:
    """Drop the mark: its message was not published."""
    query = "UPDATE campaign_email_queue SET hinted_for = NULL WHERE id = %s AND status = 'pending' AND hinted_for = %s"
    execute(query, hint)


def count_marked() -> int:
    """How many e-mails of active campaigns are marked as waiting in the broker."""
    now = clock()
    return int(fetch(MARKED, {"now": now, "horizon": now + _buffer()})[0][0])


def forget() -> None:
    """Drop every mark: the broker has lost its messages."""
    execute("UPDATE campaign_email_queue SET hinted_for = NULL WHERE status = 'pending'")
