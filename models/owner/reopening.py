"""Reopens failed e-mails: because a person asked, or because the mailbox turned out to be to blame.

Never one that may have been accepted: an e-mail only fails by a refusal, and batch_moves.REOPEN checks that again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from bounds import LONGEST_REASON
from models.email import batch_moves, locks, recipients
from models.owner import campaigns
from models.planning import plans
from models.states import CampaignStatus, Status
from models.store import tick_request
from models.store.database import database, execute, fetch, rows
from models.store.tables import Campaign
from reasons import Code, Reason, Why
from scheduling.planner import Email


class ReopeningRefused(Exception):
    """The e-mails cannot be reopened, or the reason is not acceptable."""

    def __init__(self, because: Reason) -> None:
        super().__init__(str(because))
        self.because = because


@dataclass(frozen=True)
class Reopened:
    """How many failed e-mails were reopened, and how many were left as they are."""

    count: int
    must_not_be_written_to: int


def one(email_id: int, reason: str, by: str) -> None:
    with database.atomic():
        row = locks.lock_around(email_id)
        if row.status != Status.FAILED:
            raise ReopeningRefused(Reason(Code.ONLY_FAILED, id=email_id, status=row.status))
        done = _by_a_person(row.campaign_id, [email_id], reason, by)
        if done.must_not_be_written_to:
            raise ReopeningRefused(Reason(Code.MUST_NOT_BE_WRITTEN_TO))
        if not done.count:
            raise ReopeningRefused(Reason(Code.NOT_PROVED_REFUSED))


# A failed e-mail has the token of the attempt that failed it.
FAILED_WITH = """
SELECT q.id FROM campaign_email_queue q JOIN attempt a ON a.claim_token = q.claim_token
WHERE q.campaign_id = %(campaign)s AND q.status = 'failed'
  AND a.code = %(code)s AND (%(enhanced)s::text IS NULL OR a.enhanced = %(enhanced)s)
"""


def of_campaign(campaign_id: int, code: int, enhanced: str | None, reason: str, by: str) -> Reopened:
    """Reopen a campaign's e-mails that failed with this code. enhanced: with this enhanced code; None: with any."""
    with database.atomic():
        locks.lock_campaigns([campaign_id])
        found = fetch(FAILED_WITH, {"campaign": campaign_id, "code": code, "enhanced": enhanced})
        return _by_a_person(campaign_id, [email_id for (email_id,) in found], reason, by)


def _by_a_person(campaign_id: int, email_ids: Sequence[int], reason: str, by: str) -> Reopened:
    if not reason.strip():
        raise ReopeningRefused(Reason(Code.RETRY_NEEDS_REASON))
    if len(reason) > LONGEST_REASON:
        raise ReopeningRefused(Reason(Code.REASON_TOO_LONG, most=LONGEST_REASON))
    if Campaign.get_by_id(campaign_id).status == CampaignStatus.CANCELLED:
        raise ReopeningRefused(Reason(Code.ITS_CAMPAIGN_CANCELLED))
    tick_request.ask_for_tick()
    return _reopen(campaign_id, email_ids, reason, by)


# Those of them whose leads may be written to, in order of their turns.
WILLING = f"""
SELECT q.campaign_lead_id AS lead_id, q.step_id, q.mailbox_id FROM campaign_email_queue q
JOIN campaign_lead l ON l.id = q.campaign_lead_id
WHERE q.id = ANY(%(ids)s) AND q.status = 'failed' AND {recipients.MAY_BE_WRITTEN_TO}
ORDER BY q.scheduled_at, l.position
"""  # noqa: S608  # only our own words


class _Willing(NamedTuple):
    lead_id: int
    step_id: int
    mailbox_id: int


def _reopen(campaign_id: int, email_ids: Sequence[int], reason: Why, by: str) -> Reopened:
    """Plan them after the campaign's other e-mails. The caller holds the campaign's lock."""
    found = rows(_Willing, WILLING, {**recipients.rules(), "ids": list(email_ids)})
    willing = {Email(it.lead_id, it.step_id): it.mailbox_id for it in found}
    slots = plans.behind(campaign_id, willing)
    count = batch_moves.reopen(campaign_id, slots, reason, by)
    if count:
        campaigns.reactivate(campaign_id, by, reason)
    return Reopened(count, len(email_ids) - len(willing))


# E-mails that failed with the kind of answer for which their mailbox was blamed later. Not those reopened before:
# they were refused twice.
BLAMED = """
SELECT m.id AS mailbox_id, m.blamed_from, q.campaign_id, array_agg(DISTINCT q.id) AS email_ids
FROM mailbox m
LEFT JOIN attempt a ON a.mailbox_id = m.id AND a.ended_at > m.blamed_from
    AND a.outcome IN ('deferred', 'refused', 'unanswered')
    AND EXISTS (
        SELECT FROM attempt blamed JOIN email_history h
            ON h.email_id = blamed.email_id AND h.claim_token = blamed.claim_token AND h.move = 'release'
        WHERE blamed.mailbox_id = m.id AND blamed.ended_at > m.blamed_from
          AND blamed.outcome IN ('deferred', 'refused', 'unanswered') AND blamed.scope = a.scope
          AND blamed.code = a.code AND blamed.enhanced IS NOT DISTINCT FROM a.enhanced)
    AND NOT EXISTS (SELECT FROM email_history e WHERE e.email_id = a.email_id AND e.move = 'reopen')
LEFT JOIN (campaign_email_queue q JOIN campaign c ON c.id = q.campaign_id AND c.status <> 'cancelled')
    ON q.id = a.email_id AND q.claim_token = a.claim_token AND q.status = 'failed'
WHERE m.blamed_from IS NOT NULL
GROUP BY m.id, m.blamed_from, q.campaign_id
"""


class _Blamed(NamedTuple):
    mailbox_id: int
    blamed_from: datetime
    campaign_id: int | None  # None: no e-mail failed
    email_ids: list[int]


def reopen_blamed(by: str) -> int:
    """Reopen all e-mails that failed because of their mailbox. Returns how many. Idempotent."""
    count, done = 0, {}
    for it in rows(_Blamed, BLAMED):
        done[it.mailbox_id] = it.blamed_from
        if it.campaign_id is not None:
            with database.atomic():
                locks.lock_campaigns([it.campaign_id])
                count += _reopen(it.campaign_id, it.email_ids, Reason(Code.MAILBOX_WAS_AT_FAULT), by).count
    for mailbox_id, blamed_from in done.items():
        # Unless the mailbox was blamed again meanwhile, for earlier failures.
        execute("UPDATE mailbox SET blamed_from = NULL WHERE id = %s AND blamed_from = %s", (mailbox_id, blamed_from))
    return count
