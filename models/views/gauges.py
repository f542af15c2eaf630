"""Values for monitoring, read in one snapshot and with the same number of statements for any number of campaigns.

Numbers that the pages also show are read by the same functions.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from models.email import hints, windows
from models.health import findings, heartbeats, invariants
from models.planning import usable
from models.states import CampaignStatus, MailboxStatus, Status
from models.store import installation
from models.store.database import clock, database, execute
from models.store.database import rows as read_rows
from models.store.tables import Campaign, Mailbox
from models.views import overview, responses, sequences, unknowns
from models.views.incoming import Reading
from models.views.overview import MailboxLine, Standing
from models.views.responses import Responses
from scheduling.window import warsaw_day, warsaw_day_bounds

# Prometheus scrapes again soon: a failed scrape is better than one that slows down sending.
_LONGEST_MILLISECONDS = 5000
MAILBOX_STATES = (*MailboxStatus, "auth_failed", "provider_limit", "unreachable", "dns", "closed")


@dataclass(frozen=True)
class CampaignGauge:
    """The gauges' values of an active or paused campaign."""

    id: int
    name: str
    is_active: bool
    counts: dict[str, int]  # status -> e-mails
    window_open: bool
    standing: Standing
    delay_seconds: float
    last_start_at: datetime | None
    responses: Responses
    follow_ups_held: int


@dataclass(frozen=True)
class MailboxGauge:
    id: int
    state: str  # one of MAILBOX_STATES
    used_campaign: int  # on this Warsaw day; likewise below
    used_warmup: int
    limit: int
    gap_seconds: float
    planned: int
    due_oldest_seconds: float
    inbox: Reading | None  # None: it has no IMAP server


@dataclass(frozen=True)
class Gauges:
    campaigns: list[CampaignGauge]
    mailboxes: list[MailboxGauge]
    unknown: int
    to_be_judged: int
    hinted: int
    armed: bool
    tick_completed_at: datetime | None
    violations: dict[str, int]  # rule -> violations at its latest check
    invariants_checked_at: datetime | None  # oldest check of any rule; None if one was never checked


def read() -> Gauges:
    with database.atomic():
        execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        execute("SET LOCAL statement_timeout = %s", (_LONGEST_MILLISECONDS,))
        now = clock()
        campaigns = _campaigns(now)
        violations, checked_at = _findings()
        return Gauges(
            campaigns=campaigns,
            mailboxes=_mailboxes([it for it in campaigns if it.is_active], now),
            unknown=unknowns.count(),
            to_be_judged=responses.count_needs_a_person(),
            hinted=hints.count_marked(),
            armed=installation.disarmed_reason() is None,
            tick_completed_at=heartbeats.last("tick"),
            violations=violations,
            invariants_checked_at=checked_at,
        )


def _findings() -> tuple[dict[str, int], datetime | None]:
    found, slugs = findings.every(), [rule.slug for rule in invariants.RULES]
    violations = {slug: found[slug].violations if slug in found else 0 for slug in slugs}
    checked_at = [found[slug].checked_at for slug in slugs if slug in found]
    return violations, min(checked_at) if len(checked_at) == len(slugs) else None


def _campaigns(now: datetime) -> list[CampaignGauge]:
    running = Campaign.status.in_([CampaignStatus.ACTIVE, CampaignStatus.PAUSED])
    rows = list(Campaign.select().where(running).order_by(Campaign.id))
    standings = overview.standings(rows)
    frozen = windows.frozen_days()
    counts: defaultdict[int, dict[str, int]] = defaultdict(lambda: dict.fromkeys(Status, 0))
    ids = [row.id for row in rows]
    responded, held = responses.of_campaigns(ids), sequences.unread()
    for it in read_rows(overview.CampaignCount, overview.CAMPAIGN_COUNTS, (ids,)):
        counts[it.campaign_id][it.status] = it.emails
    return [
        CampaignGauge(
            id=row.id,
            name=row.name,
            is_active=row.status == CampaignStatus.ACTIVE,
            counts=counts[row.id],
            window_open=usable.problem(row) is None and windows.window_of(row, frozen).is_open(now),
            standing=standings[row.id],
            delay_seconds=row.delay_seconds,
            last_start_at=row.last_start_at,
            responses=responded[row.id],
            follow_ups_held=held.get(row.id, 0),
        )
        for row in rows
    ]


class _Ahead(NamedTuple):
    mailbox_id: int
    planned: int
    due_since: datetime | None


# For each mailbox: e-mails planned until the day ends, and the due time of its oldest overdue e-mail.
AHEAD = """
SELECT mailbox_id, count(*)::int AS planned,
       min(scheduled_at) FILTER (WHERE campaign_id = ANY(%(open)s) AND scheduled_at <= %(now)s) AS due_since
FROM campaign_email_queue
WHERE status = 'pending' AND campaign_id = ANY(%(active)s) AND scheduled_at < %(ends)s
GROUP BY mailbox_id
"""


def _mailboxes(active: Sequence[CampaignGauge], now: datetime) -> list[MailboxGauge]:
    rows = list(Mailbox.select().order_by(Mailbox.id))
    values = {
        "active": [it.id for it in active],
        "open": [it.id for it in active if it.window_open],
        "now": now,
        "ends": warsaw_day_bounds(warsaw_day(now))[1],
    }
    ahead = {it.mailbox_id: it for it in read_rows(_Ahead, AHEAD, values)}
    return [
        _mailbox(line, _state(line, row.closed_code), ahead.get(line.id, _Ahead(line.id, 0, None)), now)
        for line, row in zip(overview.mailboxes(rows), rows, strict=True)
    ]


def _mailbox(line: MailboxLine, state: str, ahead: _Ahead, now: datetime) -> MailboxGauge:
    oldest = ahead.due_since
    return MailboxGauge(
        id=line.id,
        state=state,
        used_campaign=line.used_campaign,
        used_warmup=line.used_warmup,
        limit=line.daily_limit,
        gap_seconds=line.gap_seconds,
        planned=ahead.planned,
        # 0 for a closed mailbox: its own state says so, and its e-mails are expected to wait.
        due_oldest_seconds=(now - oldest).total_seconds() if oldest and line.status == MailboxStatus.ACTIVE else 0.0,
        inbox=line.inbox,
    )


_LOGIN_CODES = (530, 534, 535, 538)


def _state(line: MailboxLine, code: int | None) -> str:
    """What closed the mailbox, from the phase and the reply code, if there was a reply."""
    if line.status != "closed":
        return line.status
    if line.closed_until is None:
        return "dns"
    if line.closed_phase is None:
        return "closed"
    if code in _LOGIN_CODES or (line.closed_phase == "auth" and (code is None or code // 100 != 4)):
        return "auth_failed"
    return "unreachable" if line.closed_phase in ("connect", "tls") or code is None else "provider_limit"
