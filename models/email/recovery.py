"""Compares the hand-overs in a machine's log with the database.

A restored backup may lack some, and would send those e-mails twice. Recovering makes each of them unknown, for evidence
or a person to decide.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import NamedTuple
from uuid import UUID

from models.email import batch_moves, locks, moves
from models.email.batch_moves import FollowUpSlot
from models.email.claims import Claim
from models.store.database import database, fetch, fetch_row, rows
from models.store.installation import HANDED_OVER
from models.store.tables import CampaignLead
from reasons import Why
from scheduling.planner import Slot


@dataclass(frozen=True)
class HandOver:
    """Identifies a hand-over even in a database that has no row for it."""

    email_id: int
    token: UUID
    at: datetime
    message_id: str
    campaign_id: int
    campaign_lead_id: int
    mailbox_id: int
    recipient: str  # a fingerprint of the person's address: after a restore, ids may be reused for others
    step_id: int | None = None  # None: the first of its campaign (written by the previous version)


def of(claim: Claim, at: datetime) -> HandOver:
    return HandOver(
        email_id=claim.held.email_id,
        token=claim.held.token,
        at=at,
        message_id=claim.message_id,
        campaign_id=claim.campaign_id,
        campaign_lead_id=claim.campaign_lead_id,
        mailbox_id=claim.mailbox_id,
        recipient=_fingerprint(claim.person),
        step_id=None if claim.step == 1 else claim.step_id,
    )


REMEMBERED = f"""
SELECT h.email_id, h.claim_token AS token FROM email_history h
JOIN unnest(%(ids)s::bigint[], %(tokens)s::uuid[]) AS asked (email_id, token)
  ON h.email_id = asked.email_id AND h.claim_token = asked.token
WHERE {HANDED_OVER}
"""  # noqa: S608  # only our own words


class _Remembered(NamedTuple):
    email_id: int
    token: UUID


def forgotten(those: Sequence[HandOver]) -> list[HandOver]:
    """The hand-overs that the database lacks."""
    values = {"ids": [it.email_id for it in those], "tokens": [str(it.token) for it in those]}
    remembered = set(rows(_Remembered, REMEMBERED, values))
    return [it for it in those if _Remembered(it.email_id, it.token) not in remembered]


def recover(those: Sequence[HandOver], reason: Why, by: str) -> list[int]:
    """Make the e-mails unknown, all or none, and return their ids.

    An e-mail that was sent, or whose lead or step is missing, is skipped. Of several hand-overs of one the last counts.
    """
    found: dict[int, None] = {}
    with database.atomic():
        # All campaigns before the first e-mail, to keep the lock order.
        locks.lock_campaigns(it.campaign_id for it in those)
        locks.lock_mailboxes(it.mailbox_id for it in those)
        for it in sorted(those, key=lambda it: it.email_id):
            email_id = _row_of(it, by)
            if email_id is not None and moves.recover(
                email_id, it.token, it.at, it.message_id, it.mailbox_id, reason, by
            ):
                found[email_id] = None
    return list(found)


def hosts_that_sent() -> set[str]:
    """The machines that have claims in the database."""
    return {host for (host,) in fetch("SELECT DISTINCT worker_host FROM campaign_email_queue WHERE worker_host <> ''")}


STEP = """
SELECT id FROM campaign_step
WHERE campaign_id = %(campaign)s AND CASE WHEN %(step)s::bigint IS NULL THEN position = 1 ELSE id = %(step)s END
"""
# The lead's last e-mail of an earlier step.
BEFORE = """
SELECT q.id FROM campaign_email_queue q
JOIN campaign_step s ON s.id = q.step_id
JOIN campaign_step this ON this.id = %(step)s AND s.position < this.position
WHERE q.campaign_lead_id = %(lead)s AND NOT q.skipped ORDER BY s.position DESC LIMIT 1
"""
OF_STEP = "SELECT id FROM campaign_email_queue WHERE campaign_lead_id = %s AND step_id = %s"


def _row_of(it: HandOver, by: str) -> int | None:
    """The lead's e-mail of that step; inserted if the backup is older than its plan."""
    locks.lock_campaigns([it.campaign_id])
    lead = CampaignLead.get_or_none(CampaignLead.id == it.campaign_lead_id, CampaignLead.campaign == it.campaign_id)
    step = fetch_row(STEP, {"campaign": it.campaign_id, "step": it.step_id})
    if lead is None or step is None or not _is_to(it, lead):
        return None
    if not locks.lock_mailboxes([it.mailbox_id]):
        return None
    slot = Slot(it.campaign_id, lead.id, step[0], it.mailbox_id, it.at)
    before = fetch_row(BEFORE, {"lead": lead.id, "step": step[0]})
    if before is None:
        batch_moves.plan(it.campaign_id, [slot], by)
    else:
        batch_moves.follow(it.campaign_id, [FollowUpSlot(before[0], slot, it.at)], by, only_sent=False)
    row = fetch_row(OF_STEP, (lead.id, step[0]))
    return None if row is None else int(row[0])


def _is_to(it: HandOver, lead: CampaignLead) -> bool:
    """Whether the hand-over was to this person. The previous version logged the address as the owner wrote it."""
    return it.recipient in {_fingerprint(lead.lead.address), _fingerprint(lead.address)}


def _fingerprint(address: str) -> str:
    return blake2b(address.encode(), digest_size=12).hexdigest()
