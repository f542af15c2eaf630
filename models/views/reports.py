"""What came of a campaign's e-mails."""

from dataclasses import dataclass
from datetime import datetime

from models.store.database import fetch, row, rows
from models.store.tables import Campaign
from models.views import overview
from models.views.responses import Responses


@dataclass(frozen=True)
class FailureKind:
    """E-mails that failed with the same kind of answer."""

    scope: str | None  # whom it is about: lead, content, …
    code: int | None
    enhanced: str | None
    count: int
    example: str | None  # the latest answer


@dataclass(frozen=True)
class Lateness:
    """How long after their planned time e-mails were begun, in seconds."""

    begun: int
    median: float | None  # None: none was begun
    p95: float | None
    worst: float | None
    over_a_minute: int


@dataclass(frozen=True)
class Report:
    campaign: str
    status: str
    leads: int
    emails: int  # of all leads and steps, planned or not
    counts: dict[str, int]  # status -> e-mails
    not_planned: int
    first_sent_at: datetime | None
    last_sent_at: datetime | None
    failures: list[FailureKind]
    lateness: Lateness
    moves: dict[str, int]  # reason -> how often an e-mail was given another time or mailbox
    tests: int
    responses: Responses  # of its leads


@dataclass(frozen=True)
class _Sent:
    first: datetime | None
    last: datetime | None


@dataclass(frozen=True)
class _Moves:
    reason: str
    count: int


# By the last answer of each.
FAILURES = """
SELECT a.scope, a.code, a.enhanced, count(*)::int AS count,
       (array_agg(COALESCE(a.reply, q.error) ORDER BY a.id DESC))[1] AS example
FROM campaign_email_queue q
LEFT JOIN LATERAL (SELECT * FROM attempt WHERE email_id = q.id ORDER BY ended_at DESC, id DESC LIMIT 1) a ON true
WHERE q.campaign_id = %s AND q.status = 'failed'
GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3
"""
LATENESS = """
WITH late AS (
    SELECT GREATEST(extract(epoch FROM COALESCE(claimed_at, handed_over_at) - scheduled_at), 0)::float8 AS seconds
    FROM campaign_email_queue
    WHERE campaign_id = %s AND status IN ('sent', 'unknown', 'failed')
      AND COALESCE(claimed_at, handed_over_at) IS NOT NULL
)
SELECT count(*)::int AS begun, percentile_disc(0.5) WITHIN GROUP (ORDER BY seconds) AS median,
       percentile_disc(0.95) WITHIN GROUP (ORDER BY seconds) AS p95, max(seconds) AS worst,
       (count(*) FILTER (WHERE seconds > 60))::int AS over_a_minute
FROM late
"""
SENT = """
SELECT min(sent_at) AS first, max(sent_at) AS last FROM campaign_email_queue WHERE campaign_id = %s AND status = 'sent'
"""
MOVES = """
SELECT COALESCE(h.reason_code, h.reason) AS reason, count(*)::int AS count
FROM campaign_email_queue q JOIN email_history h ON h.email_id = q.id
WHERE q.campaign_id = %s AND h.move = 'replan' GROUP BY 1 ORDER BY 2 DESC, 1
"""
TESTS = "SELECT count(*)::int FROM test_mail WHERE campaign_id = %s"


def of(campaign: Campaign) -> Report:
    [line] = overview.campaigns([campaign])
    sent = row(_Sent, SENT, (campaign.id,))
    lateness = row(Lateness, LATENESS, (campaign.id,))
    assert sent is not None
    assert lateness is not None
    return Report(
        campaign=line.name,
        status=line.status,
        leads=line.leads,
        emails=line.emails,
        counts=line.counts,
        not_planned=line.emails - sum(line.counts.values()),
        first_sent_at=sent.first,
        last_sent_at=sent.last,
        failures=rows(FailureKind, FAILURES, (campaign.id,)),
        lateness=lateness,
        moves={it.reason: it.count for it in rows(_Moves, MOVES, (campaign.id,))},
        tests=fetch(TESTS, (campaign.id,))[0][0],
        responses=line.responses,
    )
