"""Mailboxes that were taken from their campaigns, and what becomes of the sequences of the leads whom they wrote to.

A follow-up goes from the mailbox that its lead knows. Once its campaign does not have that any more, it waits until a
person decides: the sequences end there, or they go on from another mailbox, each with a new thread.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from models.email import moves, recipients, remaining
from models.store.database import execute, fetch, rows
from reasons import Code, Reason

_AT_ONCE = 1000

LEFT = """
INSERT INTO former_mailbox (campaign_id, mailbox_id)
SELECT %(campaign)s, m.id FROM unnest(%(mailboxes)s::bigint[]) AS m (id)
WHERE EXISTS (SELECT FROM campaign_email_queue q WHERE q.campaign_id = %(campaign)s AND q.mailbox_id = m.id)
ON CONFLICT DO NOTHING
"""


def left(campaign_id: int, mailbox_ids: Collection[int]) -> None:
    """Record that the campaign no longer has these mailboxes. The caller holds its lock, here and below."""
    execute(LEFT, {"campaign": campaign_id, "mailboxes": list(mailbox_ids)})


def joined(campaign_id: int, mailbox_ids: Collection[int]) -> None:
    """Record that the campaign has them again: their sequences go on, unless they were ended."""
    gone = "DELETE FROM former_mailbox WHERE campaign_id = %s AND mailbox_id = ANY(%s)"
    execute(gone, (campaign_id, list(mailbox_ids)))


# With those whose sequences it had taken over.
DECIDE = """
UPDATE former_mailbox SET ends = %(to)s::bigint IS NULL, goes_on_from_id = %(to)s, decided_at = clock_timestamp()
WHERE campaign_id = %(campaign)s AND %(mailbox)s IN (mailbox_id, goes_on_from_id)
"""


def decide(campaign_id: int, mailbox_id: int, goes_on_from: int | None) -> bool:
    """Let the sequences of a former mailbox, and those that it had taken over, end or go on from another.

    goes_on_from: the id of another of the campaign's mailboxes; None ends them. Returns False if there were none.
    """
    return bool(execute(DECIDE, {"campaign": campaign_id, "mailbox": mailbox_id, "to": goes_on_from}))


ENDED = """
SELECT q.id FROM former_mailbox f
JOIN campaign_email_queue q ON q.campaign_id = f.campaign_id AND q.mailbox_id = f.mailbox_id AND q.status = 'pending'
    AND q.predecessor_id IS NOT NULL
WHERE f.ends AND (%(campaign)s::bigint IS NULL OR f.campaign_id = %(campaign)s) ORDER BY q.id LIMIT %(at_once)s
"""


def cancel_ended(by: str, campaign_id: int | None = None) -> int:
    """Cancel planned follow-ups whose sequences were ended. Returns how many."""
    found = fetch(ENDED, {"campaign": campaign_id, "at_once": _AT_ONCE})
    return sum(moves.cancel(email_id, Reason(Code.ENDED_WITH_MAILBOX), by) for (email_id,) in found)


# Mailboxes that a campaign with follow-ups does not have any more, or that are paused.
_SHUT = """
(SELECT f.campaign_id, f.mailbox_id, true AS is_removed
 FROM former_mailbox f JOIN campaign c ON c.id = f.campaign_id AND c.status IN ('active', 'paused')
 WHERE f.decided_at IS NULL
 UNION ALL
 SELECT cm.campaign_id, cm.mailbox_id, false
 FROM mailbox m JOIN campaign_mailbox cm ON cm.mailbox_id = m.id
 JOIN campaign c ON c.id = cm.campaign_id AND c.status IN ('active', 'paused')
 WHERE m.status = 'paused'
   AND EXISTS (SELECT FROM campaign_step s WHERE s.campaign_id = c.id AND s.position > 1)) shut
"""
# The leads whose next letter is to go from it, and is not planned.
_UNPLANNED = f"""
SELECT q.campaign_lead_id
FROM (SELECT shut.mailbox_id AS id UNION SELECT f.mailbox_id FROM former_mailbox f
      WHERE f.campaign_id = shut.campaign_id AND f.goes_on_from_id = shut.mailbox_id) sender
JOIN campaign_email_queue q ON q.campaign_id = shut.campaign_id AND q.mailbox_id = sender.id
{remaining.UNFOLLOWED}
"""  # noqa: S608  # only our own words
WAITING = f"""
SELECT it.*, m.address FROM (
    SELECT shut.campaign_id, shut.mailbox_id, shut.is_removed, count(DISTINCT lead.campaign_lead_id)::int AS leads
    FROM {_SHUT} CROSS JOIN LATERAL (
        SELECT q.campaign_lead_id FROM campaign_email_queue q
        WHERE q.campaign_id = shut.campaign_id AND q.mailbox_id = shut.mailbox_id AND q.status = 'pending'
          AND q.predecessor_id IS NOT NULL
        UNION ALL {_UNPLANNED}
    ) lead
    WHERE shut.campaign_id = ANY(%(campaigns)s) GROUP BY 1, 2, 3
) it JOIN mailbox m ON m.id = it.mailbox_id
ORDER BY it.campaign_id, it.is_removed DESC, m.address
"""  # noqa: S608
# At the least: a working day takes more than a day where a weekend or a holiday is in between.
_WAIT = """
next.wait_count * CASE next.wait_unit WHEN 'working days' THEN interval '34 hours'
                  ELSE ('1 ' || next.wait_unit)::interval END
"""
# Mailbox of each lead that has waited for it since before %(overdue)s, and whose next letter is not planned.
OVERDUE = f"""
SELECT shut.mailbox_id, lead.campaign_lead_id FROM {_SHUT} CROSS JOIN LATERAL (
    {_UNPLANNED} AND q.sent_at + {_WAIT} < %(overdue)s
) lead
"""  # noqa: S608


@dataclass(frozen=True)
class Waiting:
    """Leads of a campaign who wait for a mailbox."""

    campaign_id: int
    mailbox_id: int
    address: str
    is_removed: bool  # from the campaign; False: it is paused
    leads: int

    @property
    def why(self) -> Reason:
        code = Code.FOLLOW_UPS_WITHOUT_MAILBOX if self.is_removed else Code.FOLLOW_UPS_OF_PAUSED
        return Reason(code, mailbox=self.address, leads=self.leads)


def waiting(campaign_ids: Sequence[int]) -> list[Waiting]:
    """How many leads wait for each mailbox, by campaign: removed ones, which need a decision, before paused ones."""
    return rows(Waiting, WAITING, {**recipients.rules(), "campaigns": list(campaign_ids)})
