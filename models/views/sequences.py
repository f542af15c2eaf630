"""A campaign's sequence step by step, and follow-ups that are held back because an answer may be unread."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from models.email import gates, holds, inboxes
from models.inbox.unread import PATIENCE
from models.states import Status
from models.store.database import clock, rows
from models.views import responses
from models.views.responses import Responses
from scheduling.waits import Unit, Wait


@dataclass(frozen=True)
class StepProgress:
    step: int
    removed: bool  # from the sequence, after it had e-mails
    subject: str | None  # None: it answers the letters before it
    wait: Wait | None  # None: the first
    counts: dict[str, int]  # status -> e-mails; without those not planned yet
    held: int  # planned e-mails that wait: their lead is on hold, or an answer may be unread
    responses: Responses  # of the leads that answered this letter


STEPS = """
SELECT id, position, removed_at IS NOT NULL AS removed, subject, wait_count, wait_unit FROM campaign_step
WHERE campaign_id = %s ORDER BY position
"""
# Counted in indexes, however long a sequence has been running: the campaign's, as of its first step, and follow-ups.
COUNTS = """
SELECT %(first)s::bigint AS step_id, status, count(*)::int AS emails
FROM campaign_email_queue WHERE campaign_id = %(campaign)s GROUP BY status
UNION ALL
SELECT step_id, status, count(*)::int
FROM campaign_email_queue WHERE campaign_id = %(campaign)s AND predecessor_id IS NOT NULL GROUP BY 1, 2
"""

# Follow-ups that have waited for a look into an inbox: overdue, or put off until later. Looks only at mailboxes whose
# inbox is not being read.
_UNREAD = f"""
SELECT DISTINCT q.id, q.campaign_id FROM mailbox m
LEFT JOIN inbox i ON i.mailbox_id = m.id
CROSS JOIN LATERAL {inboxes.SENDERS} sender
JOIN campaign_email_queue q ON q.mailbox_id = sender.mailbox_id AND q.status = 'pending'
    AND q.predecessor_id IS NOT NULL
JOIN campaign c ON c.id = q.campaign_id AND c.status = 'active'
WHERE (m.imap_host IS NULL OR i.read_at IS NULL OR i.read_at < %(stale)s)
  AND CASE WHEN m.imap_host IS NULL THEN q.mailbox_id = m.id AND NOT c.follow_up_without_inbox
      ELSE q.mailbox_id = m.id OR m.id IN {inboxes.ITS} END
  AND q.wait_ends_at < %(now)s
  AND (q.scheduled_at < %(overdue)s OR (q.not_before IS NOT NULL AND (
      SELECT h.reason_code FROM email_history h WHERE h.email_id = q.id ORDER BY h.id DESC LIMIT 1
      ) IN ('inbox_not_read', 'no_inbox')))
"""  # noqa: S608  # only our own words
HELD = f"""
WITH unread AS ({_UNREAD}), held AS (
    SELECT q.id, q.step_id FROM hold h
    JOIN campaign_lead l ON {holds.OF_LEAD.format(l="l")} AND l.campaign_id = %(campaign)s
    JOIN campaign_email_queue q ON q.campaign_lead_id = l.id AND q.status = 'pending'
    WHERE {holds.STANDS}
    UNION
    SELECT q.id, q.step_id FROM unread JOIN campaign_email_queue q ON q.id = unread.id
    WHERE q.campaign_id = %(campaign)s
)
SELECT step_id, count(*)::int AS emails FROM held GROUP BY step_id
"""  # noqa: S608  # only our own words


class _Step(NamedTuple):
    id: int
    position: int
    removed: bool
    subject: str | None
    wait_count: int | None
    wait_unit: str | None


class _Count(NamedTuple):
    step_id: int
    status: Status
    emails: int


class _Held(NamedTuple):
    step_id: int
    emails: int


def steps(campaign_id: int) -> list[StepProgress]:
    """The progress of a campaign's steps, in order."""
    found = rows(_Step, STEPS, (campaign_id,))
    first, counts = found[0].id, defaultdict[int, Counter[str]](Counter)
    for it in rows(_Count, COUNTS, {"campaign": campaign_id, "first": first}):
        counts[it.step_id][it.status] += it.emails
        if it.step_id != first:
            counts[first][it.status] -= it.emails
    held = {it.step_id: it.emails for it in rows(_Held, HELD, {"campaign": campaign_id, **_moments()})}
    answered = responses.of_steps(campaign_id, [it.id for it in found])
    return [
        StepProgress(
            step=it.position,
            removed=it.removed,
            subject=it.subject,
            wait=Wait(it.wait_count, Unit(it.wait_unit)) if it.wait_count and it.wait_unit else None,
            counts={status: counts[it.id][status] for status in Status},
            held=held.get(it.id, 0),
            responses=answered[it.id],
        )
        for it in found
    ]


UNREAD = f"""
WITH unread AS ({_UNREAD})
SELECT campaign_id, count(*)::int AS emails FROM unread GROUP BY 1
"""  # noqa: S608


class _Unread(NamedTuple):
    campaign_id: int
    emails: int


def unread() -> dict[int, int]:
    """Campaign id -> its follow-ups that are held back because an answer may be unread. Others are left out."""
    return {it.campaign_id: it.emails for it in rows(_Unread, UNREAD, _moments())}


def _moments() -> dict[str, datetime]:
    now = clock()
    return {"now": now, "overdue": now - PATIENCE, "stale": now - gates.LOOK_LASTS}
