"""Reads the facts that the gates look at, and takes the locks under which they stay true.

Lock order everywhere: campaigns by id, mailboxes by id, then e-mails, always FOR NO KEY UPDATE: with FOR UPDATE the
planner's inserts, whose foreign keys share-lock their campaign, would deadlock against a claim.
"""

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from models.email import limits
from models.email.gates import Facts
from models.email.states import Status
from models.store.database import clock_difference, fetch
from models.store.tables import Campaign, CampaignEmailQueue, Mailbox
from scheduling.planner import check_moments, interval
from scheduling.window import Window, warsaw_day

Q = CampaignEmailQueue


# Peewee takes the whole clause; its type stubs know only of "FOR UPDATE".
_LOCK: Any = "FOR NO KEY UPDATE"


class NoSuchEmail(LookupError):
    """There is no e-mail with this id."""


def lock_campaigns(ids: Iterable[int]) -> list[Campaign]:
    query = Campaign.select().where(Campaign.id.in_(sorted(set(ids)))).order_by(Campaign.id)
    return list(query.for_update(_LOCK))


def lock_mailboxes(ids: Iterable[int]) -> list[Mailbox]:
    query = Mailbox.select().where(Mailbox.id.in_(sorted(set(ids)))).order_by(Mailbox.id)
    return list(query.for_update(_LOCK))


def lock_email(email_id: int) -> CampaignEmailQueue:
    """The e-mail's row, locked alone: only for moves that depend on nothing around it."""
    row: CampaignEmailQueue | None = Q.select().where(Q.id == email_id).for_update(_LOCK).first()
    if row is None:
        raise NoSuchEmail(f"there is no e-mail {email_id}")
    return row


def lock_around(email_id: int) -> CampaignEmailQueue:
    """The e-mail's row, with its campaign and its mailbox locked before it."""
    while True:
        campaign = Q.select(Q.campaign).where(Q.id == email_id).tuples().first()
        if campaign is None:
            raise NoSuchEmail(f"there is no e-mail {email_id}")
        lock_campaigns(campaign)
        # Read under the campaign's lock, without which no plan moves the mail to another mailbox: one mailbox locked in
        # vain, and the right one after it, would break the order and deadlock against a plan of another campaign.
        mailbox = Q.select(Q.mailbox).where(Q.id == email_id).tuples().first()
        if mailbox is None:
            raise NoSuchEmail(f"there is no e-mail {email_id}")
        lock_mailboxes(mailbox)
        row = lock_email(email_id)
        if row.mailbox_id == mailbox[0]:
            return row


# One row an e-mail: everything around it. The counts are complete because whoever adds to them holds the same locks.
FACTS = """
SELECT q.id, q.campaign_id, q.mailbox_id, q.status, q.scheduled_at, q.handed_over_at,
       c.status, c.window_start_minute, c.window_end_minute, c.weekdays, c.delay_seconds, c.daily_limit,
       c.last_start_at, m.status, m.closed_until, m.closed_reason, m.daily_limit, m.gap_seconds, m.last_start_at,
       EXISTS (SELECT FROM campaign_email_queue b
               WHERE b.mailbox_id = m.id AND b.status = 'sending' AND b.id <> q.id),
       (SELECT count(*) FROM campaign_email_queue h JOIN mailbox o ON o.id = h.mailbox_id
        WHERE h.status = 'sending' AND o.smtp_host = m.smtp_host AND h.id <> q.id),
       s.reason, l.legal_basis
FROM campaign_email_queue q
JOIN campaign c ON c.id = q.campaign_id
JOIN mailbox m ON m.id = q.mailbox_id
JOIN campaign_lead cl ON cl.id = q.campaign_lead_id
JOIN lead l ON l.id = cl.lead_id
LEFT JOIN suppression s ON s.address = l.address
WHERE q.id = ANY(%s)
"""


def read(email_id: int) -> Facts:
    """What is true around this e-mail now. Stays true only for a caller that holds the locks of lock_around().

    Raises ValueError where its campaign's or its mailbox's settings are unusable.
    """
    for read_at, row in _read([email_id], besides=email_id):
        return _facts(read_at, row)
    raise NoSuchEmail(f"there is no e-mail {email_id}")


def read_pending(ids: Iterable[int]) -> dict[int, Facts]:
    """The same of several e-mails at once, none of which has begun and so counts itself.

    Those whose settings are unusable are left out: see usable.problems().
    """
    found: dict[int, Facts] = {}
    for read_at, row in _read(ids, besides=None):
        with suppress(ValueError):
            found[row[0]] = _facts(read_at, row)
    return found


class _At(NamedTuple):
    """When facts were read, and what counted by then."""

    now: datetime
    clock_off: timedelta
    campaigns_used: dict[int, int]
    mailboxes_used: dict[int, int]


def _read(ids: Iterable[int], besides: int | None) -> list[tuple[_At, tuple[Any, ...]]]:
    now, off = clock_difference()
    day, rows = warsaw_day(now), fetch(FACTS, (list(ids),))
    campaigns = limits.campaigns_used({row[1] for row in rows}, day, besides)
    mailboxes = limits.mailboxes_used({row[2] for row in rows}, day, besides)
    return [(_At(now, off, campaigns, mailboxes), row) for row in rows]


def _facts(read_at: _At, row: tuple[Any, ...]) -> Facts:
    email_id, campaign_id, mailbox_id = row[:3]
    check_moments(row[4], row[12], row[14], row[18])
    return Facts(
        now=read_at.now,
        clock_off=read_at.clock_off,
        email_id=email_id,
        campaign_id=campaign_id,
        mailbox_id=mailbox_id,
        status=Status(row[3]),
        scheduled_at=row[4],
        handed_over_at=row[5],
        campaign_status=row[6],
        window=Window(row[7], row[8], frozenset(row[9])),
        delay=interval(row[10], "delay"),
        campaign_limit=row[11],
        campaign_used=read_at.campaigns_used.get(campaign_id, 0),
        campaign_last_start=row[12],
        mailbox_status=row[13],
        mailbox_closed_until=row[14],
        mailbox_closed_reason=row[15],
        mailbox_limit=row[16],
        mailbox_used=read_at.mailboxes_used.get(mailbox_id, 0),
        mailbox_gap=interval(row[17], "gap"),
        mailbox_last_start=row[18],
        mailbox_busy=row[19],
        host_sending=row[20],
        suppressed=row[21],
        legal_basis=row[22],
    )
