"""Decides who is to blame for a refusal, from what the server answered to other leads since it last accepted an e-mail.

The decision is a pure function of the answers, which are read from the attempts.
"""

from collections.abc import Collection
from dataclasses import dataclass

from models.store import counting

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


# SQL: one row about a mailbox `m`. `accepted`: the hand-over of its last accepted e-mail. `since`: the time from which
# answers count: that one, or when a person last confirmed that the mailbox works.
_COUNTING_FROM = f"""
SELECT last.at AS accepted, greatest(last.at, m.watched_from) AS since FROM (
    SELECT COALESCE(max(handed_over_at), to_timestamp(0)) AS at FROM (
        SELECT a.handed_over_at FROM campaign_email_queue a WHERE a.mailbox_id = m.id AND a.status = 'sent'
        ORDER BY {counting.counted_at("a")} DESC LIMIT 1
    ) latest
) last
"""  # noqa: S608  # only our own words
# SQL: the e-mails with this kind of refusal since then, the e-mail `q` among them. Not counted: those that also got it
# earlier, while others were accepted, and those clearly refused again after they were reopened. Neither says anything
# about the mailbox.
_ALIKE = """
SELECT r.id, l.lead_id, split_part(p.address, '@', 2) AS domain
FROM (
    SELECT email_id FROM (
        SELECT * FROM attempt
        WHERE mailbox_id = m.id AND outcome IN ('deferred', 'refused', 'unanswered')
        ORDER BY ended_at DESC, id DESC LIMIT 500
    ) latest
    WHERE ended_at > counting.since AND scope = %(scope)s AND code = %(code)s
      AND enhanced IS NOT DISTINCT FROM %(enhanced)s
    UNION SELECT q.id
) refused
JOIN campaign_email_queue r ON r.id = refused.email_id
JOIN campaign_lead l ON l.id = r.campaign_lead_id JOIN lead p ON p.id = l.lead_id
WHERE NOT EXISTS (
    SELECT FROM attempt a
    WHERE a.email_id = r.id AND a.mailbox_id = m.id AND a.ended_at <= counting.accepted
      AND a.outcome IN ('deferred', 'refused') AND a.code = %(code)s
      AND a.enhanced IS NOT DISTINCT FROM %(enhanced)s)
  AND (%(scope)s = 'unclear' OR NOT EXISTS (
    SELECT FROM email_history e WHERE e.email_id = r.id AND e.move = 'reopen'))
"""
# SQL: one row, for an e-mail `q` and its mailbox `m`. Parameters: scope, code and enhanced code of its refusal, which
# is not recorded yet.
ANSWERS = f"""
SELECT counting.since AS counting_from, array_agg(alike.id) AS emails, array_agg(alike.lead_id) AS leads,
       array_agg(alike.domain) AS domains
FROM ({_COUNTING_FROM}) counting LEFT JOIN LATERAL ({_ALIKE}) alike ON true
GROUP BY counting.since
"""  # noqa: S608  # only our own words
