"""Pauses a campaign when too many of its e-mails are refused, to protect the domain's reputation.

Only results since the campaign was last started or resumed count: the owner who resumed it has seen the earlier ones.
"""

from dataclasses import dataclass

import config
from models.email import locks
from models.owner import campaigns
from models.states import PROTECTION, CampaignStatus
from models.store.database import database, rows
from models.store.tables import Campaign
from reasons import Code, Reason

BY = PROTECTION


@dataclass(frozen=True)
class Results:
    """A campaign's latest e-mails with a final answer, and how many of them were refused."""

    count: int
    refused: int  # those that bounced included
    bounced: int = 0

    @property
    def reason(self) -> Reason:
        if self.bounced:
            return Reason(Code.TOO_MANY_BOUNCED, refused=self.refused, count=self.count)
        return Reason(Code.TOO_MANY_REFUSED, refused=self.refused, count=self.count)


@dataclass(frozen=True)
class Paused:
    campaign_id: int
    results: Results


def protect() -> list[Paused]:
    """Pause each active campaign with too many refusals. Safe to run beside itself and beside owners' orders."""
    return [paused for row in _suspects() if _too_many(results(row)) and (paused := _pause(row.id))]


# Campaigns with a refusal; most have none and need no further check.
SUSPECTS = """
SELECT c.* FROM campaign c
WHERE c.status = 'active' AND (
    EXISTS (
        SELECT FROM campaign_email_queue q
        WHERE q.campaign_id = c.id AND q.status = 'failed'
          AND q.scheduled_at >= COALESCE(c.watched_from, '-infinity'))
    OR EXISTS (
        SELECT FROM campaign_email_queue q
        WHERE q.campaign_id = c.id AND q.status = 'pending' AND q.deferred_since IS NOT NULL
          AND q.scheduled_at >= COALESCE(c.watched_from, '-infinity'))
    OR EXISTS (
        SELECT FROM incoming i
        WHERE i.campaign_id = c.id AND i.class = 'bounce' AND i.kind <> 'temporary'
          AND i.received_at >= COALESCE(c.watched_from, '-infinity')))
ORDER BY c.id
"""


def _suspects() -> list[Campaign]:
    if config.settings().sending.pause_at_failed_percent == "off":
        return []
    return list(Campaign.raw(SUSPECTS))


def _pause(campaign_id: int) -> Paused | None:
    """Check again under the lock: the owner may have paused or resumed it meanwhile."""
    with database.atomic():
        [row] = locks.lock_campaigns([campaign_id])
        found = results(row)
        if row.status != CampaignStatus.ACTIVE or not _too_many(found):
            return None
        campaigns.pause(campaign_id, by=BY, reason=found.reason)
    return Paused(campaign_id, found)


# Refusals counted: of the lead, of the content, and the last one of an e-mail that was given up. A permanent but
# unclear refusal counts while its e-mail waits. An e-mail that was sent and bounced counts as refused, unless the
# bounce was temporary. An e-mail that could not be composed was never sent and does not count.
# Only the latest thousand results: older ones say little about the current leads, and the bound keeps the query cheap.
RESULTS = """
WITH latest AS (
    (SELECT id, status, scheduled_at FROM campaign_email_queue
     WHERE campaign_id = %(campaign)s AND status = 'sent'
       AND scheduled_at >= COALESCE(%(since)s::timestamptz, '-infinity')
     ORDER BY scheduled_at DESC LIMIT 1000)
    UNION ALL
    (SELECT id, status, scheduled_at FROM campaign_email_queue
     WHERE campaign_id = %(campaign)s AND status = 'failed'
       AND scheduled_at >= COALESCE(%(since)s::timestamptz, '-infinity')
     ORDER BY scheduled_at DESC LIMIT 1000)
    UNION ALL
    (SELECT id, status, scheduled_at FROM campaign_email_queue
     WHERE campaign_id = %(campaign)s AND status = 'pending' AND deferred_since IS NOT NULL
       AND scheduled_at >= COALESCE(%(since)s::timestamptz, '-infinity')
     ORDER BY scheduled_at DESC LIMIT 1000)
    ORDER BY scheduled_at DESC LIMIT 1000
), answered AS (
    SELECT status, status = 'sent' AND EXISTS (
        SELECT FROM incoming i WHERE i.email_id = latest.id AND i.class = 'bounce' AND i.kind <> 'temporary'
    ) AS bounced
    FROM latest LEFT JOIN LATERAL (
        SELECT a.scope, a.code FROM attempt a
        WHERE latest.status <> 'sent' AND a.email_id = latest.id AND a.scope IN ('lead', 'content', 'unclear')
        ORDER BY a.ended_at DESC, a.id DESC LIMIT 1
    ) refusal ON true
    WHERE status = 'sent'
       OR (status = 'failed' AND refusal.code IS NOT NULL)
       OR (status = 'pending' AND refusal.scope = 'unclear' AND refusal.code >= 500)
)
SELECT count(*)::int AS count, (count(*) FILTER (WHERE status <> 'sent' OR bounced))::int AS refused,
       (count(*) FILTER (WHERE bounced))::int AS bounced
FROM answered
"""


def results(row: Campaign) -> Results:
    [found] = rows(Results, RESULTS, {"campaign": row.id, "since": row.watched_from})
    return found


def _too_many(found: Results) -> bool:
    rules = config.settings().sending
    percent = rules.pause_at_failed_percent
    return (
        percent != "off" and found.count >= rules.pause_after_results and found.refused * 100 >= found.count * percent
    )
