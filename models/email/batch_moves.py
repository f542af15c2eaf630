"""The moves of many e-mails of a campaign at once: planned, followed, planned again, cancelled, reopened.

Beside moves.py the only code that changes a status. The caller holds the campaign's lock. Returns how many moved.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from models.email import announcements, message_ids
from models.email.announcements import Moved
from models.states import Move
from models.store import reason_columns
from models.store.database import execute
from reasons import Code, Reason, Why
from scheduling.planner import Slot

# A lead that already has an e-mail of this step is skipped.
PLAN = f"""
WITH slot AS (
    SELECT * FROM unnest(%(leads)s::bigint[], %(steps)s::bigint[], %(mailboxes)s::bigint[], %(times)s::timestamptz[])
        AS s (campaign_lead_id, step_id, mailbox_id, scheduled_at)
), planned AS (
    INSERT INTO campaign_email_queue (campaign_id, campaign_lead_id, step_id, mailbox_id, scheduled_at, message_id)
    SELECT c.id, slot.campaign_lead_id, slot.step_id, slot.mailbox_id, slot.scheduled_at,
           {message_ids.of("slot.step_id")}
    FROM slot
    JOIN mailbox m ON m.id = slot.mailbox_id
    JOIN campaign_lead cl ON cl.id = slot.campaign_lead_id
    JOIN campaign c ON c.id = %(campaign)s
    ORDER BY slot.scheduled_at
    ON CONFLICT (campaign_lead_id, step_id) DO NOTHING
    RETURNING id, mailbox_id, scheduled_at
)
INSERT INTO email_history (email_id, move, to_status, scheduled_to, mailbox_id, by)
SELECT id, 'plan', 'pending', scheduled_at, mailbox_id, %(by)s FROM planned ORDER BY id
"""  # noqa: S608  # only our own words


def plan(campaign_id: int, slots: Sequence[Slot], by: str) -> int:
    """Insert e-mails, each with its mailbox and time. Returns how many were new."""
    values = {"campaign": campaign_id, "by": by, **_columns(slots)}
    return _announced(Move.PLAN, execute(PLAN, values), campaign_id, by)


# The lead and campaign are its predecessor's. One that has a successor, or was not sent, is skipped.
FOLLOW = f"""
WITH slot AS (
    SELECT * FROM unnest(%(predecessors)s::bigint[], %(steps)s::bigint[], %(mailboxes)s::bigint[],
                         %(times)s::timestamptz[], %(waits)s::timestamptz[])
        AS s (predecessor_id, step_id, mailbox_id, scheduled_at, wait_ends_at)
), planned AS (
    INSERT INTO campaign_email_queue
        (campaign_id, campaign_lead_id, step_id, predecessor_id, mailbox_id, scheduled_at, wait_ends_at, message_id)
    SELECT p.campaign_id, p.campaign_lead_id, slot.step_id, p.id, slot.mailbox_id, slot.scheduled_at,
           slot.wait_ends_at, {message_ids.of_follow_up("step")}
    FROM slot
    JOIN campaign_email_queue p ON p.id = slot.predecessor_id AND p.campaign_id = %(campaign)s
    JOIN mailbox m ON m.id = slot.mailbox_id
    JOIN campaign_lead cl ON cl.id = p.campaign_lead_id
    JOIN campaign c ON c.id = p.campaign_id
    JOIN campaign_step step ON step.id = slot.step_id
    WHERE p.status = 'sent' OR NOT %(only_sent)s
    ORDER BY slot.scheduled_at
    ON CONFLICT DO NOTHING
    RETURNING id, mailbox_id, scheduled_at
)
INSERT INTO email_history (email_id, move, to_status, scheduled_to, mailbox_id, by)
SELECT id, 'plan', 'pending', scheduled_at, mailbox_id, %(by)s FROM planned ORDER BY id
"""  # noqa: S608  # only our own words


class FollowUpSlot(NamedTuple):
    """The next e-mail to a lead."""

    predecessor_id: int
    slot: Slot
    wait_ends_at: datetime


def follow(campaign_id: int, follow_ups: Sequence[FollowUpSlot], by: str, *, only_sent: bool = True) -> int:
    """Insert follow-ups, each with its time. Returns how many were new.

    only_sent: leave out those whose predecessor was not sent.
    """
    values = {
        "campaign": campaign_id,
        "by": by,
        "only_sent": only_sent,
        "predecessors": [it.predecessor_id for it in follow_ups],
        "waits": [it.wait_ends_at for it in follow_ups],
        **_columns([it.slot for it in follow_ups]),
    }
    return _announced(Move.PLAN, execute(FOLLOW, values), campaign_id, by)


# Moves only e-mails whose slot changes, and none that had another move since the planner read it.
REPLAN = """
WITH slot AS (
    SELECT * FROM unnest(%(leads)s::bigint[], %(steps)s::bigint[], %(mailboxes)s::bigint[], %(times)s::timestamptz[])
        AS s (campaign_lead_id, step_id, mailbox_id, scheduled_at)
), before AS (
    SELECT q.id, q.scheduled_at AS old_at, slot.mailbox_id, slot.scheduled_at
    FROM campaign_email_queue q JOIN slot USING (campaign_lead_id, step_id)
    WHERE q.campaign_id = %(campaign)s AND q.status = 'pending'
      AND (q.scheduled_at, q.mailbox_id) IS DISTINCT FROM (slot.scheduled_at, slot.mailbox_id)
      AND NOT EXISTS (SELECT FROM email_history h WHERE h.email_id = q.id AND h.at > %(seen_at)s)
    ORDER BY q.id FOR NO KEY UPDATE OF q
), moved AS (
    UPDATE campaign_email_queue q
    SET scheduled_at = before.scheduled_at, mailbox_id = before.mailbox_id, hinted_for = NULL
    FROM before WHERE q.id = before.id AND q.status = 'pending'
    RETURNING q.id, before.old_at, q.scheduled_at, q.mailbox_id
)
INSERT INTO email_history
    (email_id, move, from_status, to_status, reason, reason_code, scheduled_from, scheduled_to, mailbox_id, by)
SELECT id, 'replan', 'pending', 'pending', %(reason)s, %(reason)s, old_at, scheduled_at, mailbox_id, %(by)s
FROM moved ORDER BY id
"""


def replan(campaign_id: int, slots: Sequence[Slot], reason: str, by: str, seen_at: datetime | None = None) -> int:
    """Give pending e-mails other times or mailboxes. Returns how many moved. reason: a code, one of plans.REASONS.

    seen_at: when the planner read their slots; None: under the campaign's lock, so they cannot have moved since.
    """
    values = {"campaign": campaign_id, "by": by, "reason": reason, "seen_at": seen_at, **_columns(slots)}
    return _announced(Move.REPLAN, execute(REPLAN, values), campaign_id, by, Reason(Code(reason)))


# One that is on hold keeps its time, unless the wait lasts longer.
WAIT = """
UPDATE campaign_email_queue q SET wait_ends_at = fresh.ends_at,
    not_before = CASE WHEN q.not_before < fresh.ends_at THEN NULL ELSE q.not_before END
FROM unnest(%(emails)s::bigint[], %(ends)s::timestamptz[]) AS fresh (email_id, ends_at)
WHERE q.id = fresh.email_id AND q.status = 'pending'
"""


def wait(ends: Mapping[int, datetime]) -> None:
    """Send none of these pending follow-ups before its wait ends now. It is no move: they keep their times."""
    execute(WAIT, {"emails": list(ends), "ends": list(ends.values())})


_CANCEL = """
WITH pending AS (
    SELECT id FROM campaign_email_queue
    WHERE campaign_id = %(campaign)s AND status = 'pending'{of} ORDER BY id FOR NO KEY UPDATE
), cancelled AS (
    UPDATE campaign_email_queue q
    SET status = 'cancelled', error = %(reason)s, error_code = %(reason_code)s, error_values = %(reason_values)s{more}
    FROM pending WHERE q.id = pending.id
    RETURNING q.id, q.scheduled_at, q.mailbox_id
)
INSERT INTO email_history
    (email_id, move, from_status, to_status, reason, reason_code, reason_values, scheduled_from, scheduled_to,
     mailbox_id, by)
SELECT id, 'cancel', 'pending', 'cancelled', %(reason)s, %(reason_code)s, %(reason_values)s,
       scheduled_at, scheduled_at, mailbox_id, %(by)s
FROM cancelled ORDER BY id
"""
CANCEL_PENDING = _CANCEL.format(of="", more="")
# Their leads go on with the next step.
SKIP_REMOVED = _CANCEL.format(
    of=""" AND predecessor_id IS NOT NULL AND step_id IN (
        SELECT s.id FROM campaign_step s WHERE s.campaign_id = %(campaign)s AND s.removed_at IS NOT NULL)""",
    more=", skipped = true",
)


def cancel_pending(campaign_id: int, reason: Why, by: str) -> int:
    """Cancel a campaign's pending e-mails."""
    return _cancel(CANCEL_PENDING, campaign_id, reason, by)


def skip_removed(campaign_id: int, by: str) -> int:
    """Cancel a campaign's pending e-mails of steps that were removed from its sequence."""
    return _cancel(SKIP_REMOVED, campaign_id, Reason(Code.STEP_REMOVED), by)


def _cancel(statement: str, campaign_id: int, reason: Why, by: str) -> int:
    values = {"campaign": campaign_id, **reason_columns.for_sql(reason, "reason"), "by": by}
    return _announced(Move.CANCEL, execute(statement, values), campaign_id, by, reason)


# Only a refusal leads to failed. It is checked again, because a mistake here would send an e-mail twice.
REOPEN = """
WITH slot AS (
    SELECT * FROM unnest(%(leads)s::bigint[], %(steps)s::bigint[], %(mailboxes)s::bigint[], %(times)s::timestamptz[])
        AS s (campaign_lead_id, step_id, mailbox_id, scheduled_at)
), before AS (
    SELECT q.id, q.status, q.scheduled_at AS old_at, slot.mailbox_id, slot.scheduled_at
    FROM campaign_email_queue q JOIN slot USING (campaign_lead_id, step_id)
    WHERE q.campaign_id = %(campaign)s AND NOT q.skipped AND (q.status = 'cancelled' OR q.status = 'failed' AND (
        SELECT h.move FROM email_history h
        WHERE h.email_id = q.id AND h.move IN ('hand_over', 'doubt', 'recover', 'settle', 'accept', 'reject')
        ORDER BY h.id DESC LIMIT 1) = 'reject')
    ORDER BY q.id FOR NO KEY UPDATE OF q
), reopened AS (
    UPDATE campaign_email_queue q
    SET status = 'pending', scheduled_at = before.scheduled_at, mailbox_id = before.mailbox_id, hinted_for = NULL,
        claim_token = NULL, claimed_at = NULL, worker_host = NULL, worker_pid = NULL, worker_started_at = NULL,
        handed_over_at = NULL, looked_at = NULL, attempts = 0, error = NULL, deferred_since = NULL, not_before = NULL
    FROM before WHERE q.id = before.id AND q.status = before.status
    RETURNING q.id, before.status, before.old_at, q.scheduled_at, q.mailbox_id
)
INSERT INTO email_history
    (email_id, move, from_status, to_status, reason, reason_code, reason_values, scheduled_from, scheduled_to,
     mailbox_id, by)
SELECT id, 'reopen', status, 'pending', %(reason)s, %(reason_code)s, %(reason_values)s, old_at,
       scheduled_at, mailbox_id, %(by)s
FROM reopened ORDER BY id
"""


def reopen(campaign_id: int, slots: Sequence[Slot], reason: Why, by: str) -> int:
    """Have failed or cancelled e-mails tried again, in these slots. Returns how many."""
    values = {"campaign": campaign_id, **reason_columns.for_sql(reason, "reason"), "by": by, **_columns(slots)}
    return _announced(Move.REOPEN, execute(REOPEN, values), campaign_id, by, reason)


def _announced(move: Move, count: int, campaign_id: int, by: str, reason: Why | None = None) -> int:
    if count:
        announcements.tell(Moved(move=move, count=count, campaign_id=campaign_id, by=by, reason=reason))
    return count


def _columns(slots: Sequence[Slot]) -> dict[str, list[Any]]:
    return {
        "leads": [slot.lead_id for slot in slots],
        "steps": [slot.step_id for slot in slots],
        "mailboxes": [slot.mailbox_id for slot in slots],
        "times": [slot.at for slot in slots],
    }
