"""Decides who is to blame for a refusal, from what the server answered to other leads since it last accepted an e-mail.

The decision is a pure function of the answers, which are read from the attempts.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from models.store import counting
from models.store.database import fetch

# The mailbox is to blame once this many leads got the same kind of answer with no acceptance in between.
_LEADS = 3
# "No such recipient" needs more leads, from several domains: a list may well have many dead addresses at one company.
_MISSING_LEADS, _MISSING_DOMAINS = 10, 3


@dataclass(frozen=True)
class Answer:
    """A refusal that one lead got."""

    lead_id: int
    domain: str  # of the lead's address
    scope: str  # as classified: lead, content or unclear
    code: int
    enhanced: str | None

    @property
    def kind(self) -> tuple[object, ...]:
        return self.scope, self.code, self.enhanced


def is_the_mailboxes(answer: Answer, others: Collection[Answer]) -> bool:
    """Whether the mailbox is to blame for this refusal, given the other refusals that count."""
    alike = [answer, *(other for other in others if other.kind == answer.kind)]
    leads, domains = {it.lead_id for it in alike}, {it.domain for it in alike}
    if answer.scope == "lead":
        return len(leads) >= _MISSING_LEADS and len(domains) >= _MISSING_DOMAINS
    return len(leads) >= _LEADS


class Blame(NamedTuple):
    is_the_mailboxes: bool
    since: datetime  # only later answers of the mailbox's server count


# The hand-over of the mailbox's last accepted e-mail, and the time from which answers count: that one, or when a person
# last confirmed that the mailbox works.
SINCE = f"""
SELECT accepted.at, greatest(accepted.at, m.watched_from)
FROM mailbox m CROSS JOIN LATERAL (
    SELECT COALESCE(max(handed_over_at), to_timestamp(0)) AS at FROM (
        SELECT q.handed_over_at FROM campaign_email_queue q WHERE q.mailbox_id = m.id AND q.status = 'sent'
        ORDER BY {counting.counted_at("q")} DESC LIMIT 1
    ) latest
) accepted
WHERE m.id = %(mailbox)s
"""  # noqa: S608  # only our own words

# E-mails that got this kind of refusal since then. Not counted: those that also got it earlier, while others were
# accepted, and those clearly refused again after they were reopened. Neither says anything about the mailbox.
ALIKE = """
WITH latest AS (
    SELECT * FROM attempt
    WHERE mailbox_id = %(mailbox)s AND outcome IN ('deferred', 'refused', 'unanswered')
    ORDER BY ended_at DESC, id DESC LIMIT 500
)
SELECT q.id, l.lead_id, split_part(p.address, '@', 2)
FROM (
    SELECT email_id FROM latest
    WHERE ended_at > %(since)s AND scope = %(scope)s AND code = %(code)s
      AND enhanced IS NOT DISTINCT FROM %(enhanced)s
    UNION SELECT %(email)s
) refused
JOIN campaign_email_queue q ON q.id = refused.email_id
JOIN campaign_lead l ON l.id = q.campaign_lead_id JOIN lead p ON p.id = l.lead_id
WHERE NOT EXISTS (
    SELECT FROM attempt a
    WHERE a.email_id = q.id AND a.mailbox_id = %(mailbox)s AND a.ended_at <= %(accepted)s
      AND a.outcome IN ('deferred', 'refused') AND a.code = %(code)s
      AND a.enhanced IS NOT DISTINCT FROM %(enhanced)s)
  AND (%(scope)s = 'unclear' OR NOT EXISTS (
    SELECT FROM email_history e WHERE e.email_id = q.id AND e.move = 'reopen'))
"""


def judge(email_id: int, mailbox_id: int, scope: str, code: int, enhanced: str | None) -> Blame:
    """Decide about a refusal that this e-mail just got and that is not recorded yet."""
    accepted, since = fetch(SINCE, {"mailbox": mailbox_id})[0]
    about = {"email": email_id, "mailbox": mailbox_id, "scope": scope, "code": code, "enhanced": enhanced}
    counting = {
        counted: Answer(lead_id, domain, scope, code, enhanced)
        for counted, lead_id, domain in fetch(ALIKE, {**about, "accepted": accepted, "since": since})
    }
    answer = counting.pop(email_id, None)
    return Blame(answer is not None and is_the_mailboxes(answer, counting.values()), since)
