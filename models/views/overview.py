"""Campaigns, mailboxes and e-mails as pages, API and commands show them, with the sender's own rules for limits."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, NamedTuple

from models.email import limits
from models.email.claims import EARLIER_SUBJECT
from models.email.locks import NoSuchEmail
from models.health import calibrations, domains
from models.health.calibrations import CalibrationFinding
from models.health.domains import DomainFinding
from models.owner import mailboxes as boxes
from models.planning import sequences
from models.states import CampaignStatus, MailboxStatus, Status
from models.store import reason_columns
from models.store.database import clock, fetch_row
from models.store.database import row as read_row
from models.store.database import rows as read_rows
from models.store.tables import Campaign, CampaignEmailQueue, Mailbox
from models.views import incoming, responses
from models.views.incoming import Reading
from models.views.responses import Responses
from models.views.standings import HOLDING as HOLDING
from models.views.standings import Standing as Standing
from models.views.standings import StandingName as StandingName
from models.views.standings import standing as standing
from models.views.standings import standings as standings
from reasons import Code, Reason, Why
from scheduling.window import warsaw_day

Q = CampaignEmailQueue


@dataclass(frozen=True)
class _Email:
    id: int
    campaign: str
    lead: str
    mailbox: str
    status: str
    scheduled_at: datetime
    sent_at: datetime | None
    attempts: int
    error: str | None
    message_id: str
    campaign_id: int
    mailbox_id: int
    deferred_until: datetime | None  # time of the next attempt after a temporary or unclear answer
    step: int  # of its campaign's sequence, from 1


@dataclass(frozen=True)
class EmailLine(_Email):
    why: Why | None  # its error, for people


EMAIL_COLUMNS = """
       q.id, c.name AS campaign, cl.address AS lead, m.address AS mailbox, q.status, q.scheduled_at, q.sent_at,
       q.attempts, q.error, q.message_id, q.campaign_id, q.mailbox_id,
       CASE WHEN q.status = 'pending' AND q.deferred_since IS NOT NULL THEN q.scheduled_at END AS deferred_until,
       letter.position AS step, q.error_code, q.error_values
FROM campaign_email_queue q
JOIN campaign c ON c.id = q.campaign_id
JOIN campaign_step letter ON letter.id = q.step_id
JOIN campaign_lead cl ON cl.id = q.campaign_lead_id
JOIN mailbox m ON m.id = q.mailbox_id
"""

EMAIL_LINES = f"""
SELECT {EMAIL_COLUMNS}
WHERE (%(email)s::bigint IS NULL OR q.id = %(email)s)
  AND (%(campaign)s::bigint IS NULL OR q.campaign_id = %(campaign)s)
  AND (%(status)s::text IS NULL OR q.status = %(status)s)
  AND (%(places)s::bigint[] IS NULL OR q.campaign_lead_id = ANY(%(places)s))
  AND q.id > %(after)s
ORDER BY q.id LIMIT %(limit)s
"""  # only our own words


def emails(
    *,
    campaign_id: int | None = None,
    status: Status | None = None,
    places: list[int] | None = None,
    after: int = 0,
    limit: int = 100,
) -> list[EmailLine]:
    """E-mails by id, a page at a time. places: see found_leads.places(). after: the last id of the page before."""
    values = {"campaign": campaign_id, "status": status, "places": places, "after": after, "limit": limit}
    return email_lines(EMAIL_LINES, {"email": None, **values})


def email(email_id: int) -> EmailLine:
    values = {"email": email_id, "campaign": None, "status": None, "places": None, "after": 0, "limit": 1}
    for line in email_lines(EMAIL_LINES, values):
        return line
    raise NoSuchEmail(f"there is no e-mail {email_id}")


@dataclass(frozen=True)
class EmailRow(_Email):
    """What EMAIL_COLUMNS selects."""

    error_code: str | None
    error_values: dict[str, object] | None

    def line(self) -> EmailLine:
        columns = {field.name: getattr(self, field.name) for field in fields(_Email)}
        return EmailLine(**columns, why=reason_columns.current(self.error, self.error_code, self.error_values))


def email_lines(query: str, values: Mapping[str, object] | Sequence[object]) -> list[EmailLine]:
    """Read e-mails. query: selects EMAIL_COLUMNS."""
    return [row.line() for row in read_rows(EmailRow, query, values)]


CONTENT = "SELECT content FROM email_content WHERE email_id = %s AND content <> ''::bytea"


def content(email_id: int) -> bytes | None:
    """The message last handed over for this e-mail, byte for byte. None: nothing was, or it is gone."""
    row = fetch_row(CONTENT, (email_id,))
    return None if row is None else bytes(row[0])


GONE = "SELECT recorded_at, deleted_at FROM email_content WHERE email_id = %s AND content = ''::bytea"


@dataclass(frozen=True)
class _Gone:
    recorded_at: datetime
    deleted_at: datetime | None


def why_no_content(email_id: int) -> Reason | None:
    """Why the message that was handed over is gone. None: it is kept, or nothing was handed over."""
    it = read_row(_Gone, GONE, (email_id,))
    if it is None:
        return None
    # An earlier one was deleted, if it was handed over again.
    if it.deleted_at is None or it.deleted_at < it.recorded_at:
        return Reason(Code.ERASED)
    days = (it.deleted_at - it.recorded_at).days
    return Reason(Code.LETTER_DELETED, day=f"{warsaw_day(it.deleted_at):%Y-%m-%d}", days=days)


@dataclass(frozen=True)
class StepLine:
    """A letter of a campaign's sequence."""

    number: int
    after: str | None  # its wait, like "3 working days"; None: the first
    subject: str  # of one without its own: "Re: " and that of the letters that it answers
    answers: bool  # it has no subject of its own, and stays in their thread
    removed: bool  # from the sequence, after it had e-mails


@dataclass(frozen=True)
class CampaignHead:
    """What is said of a campaign without counting all its leads and e-mails."""

    id: int
    name: str
    status: CampaignStatus
    standing: Standing
    responses: Responses


@dataclass(frozen=True)
class CampaignLine(CampaignHead):
    leads: int
    emails: int  # of all leads and steps, planned or not
    counts: dict[str, int]  # status -> e-mails; without those not planned yet
    used_today: int
    daily_limit: int
    next_at: datetime | None  # of the next pending e-mail
    steps: list[StepLine]

    @property
    def saying(self) -> str:
        return str(self.standing)


# One campaign at a time: for all at once Postgres would scan whole tables.
CAMPAIGN_COUNTS = """
SELECT ids.id AS campaign_id, it.* FROM unnest(%s::bigint[]) AS ids (id) CROSS JOIN LATERAL (
    SELECT status, count(*)::int AS emails, min(scheduled_at) AS earliest FROM campaign_email_queue
    WHERE campaign_id = ids.id GROUP BY status
) it
"""
LEADS_AND_STEPS = """
SELECT ids.id AS campaign_id, (SELECT count(*)::int FROM campaign_lead l WHERE l.campaign_id = ids.id) AS leads,
       (SELECT count(*)::int FROM campaign_step s WHERE s.campaign_id = ids.id AND s.removed_at IS NULL) AS steps,
       (SELECT count(*)::int FROM campaign_step s JOIN campaign_email_queue q
            ON q.campaign_id = s.campaign_id AND q.step_id = s.id AND q.predecessor_id IS NOT NULL
        WHERE s.campaign_id = ids.id AND s.removed_at IS NOT NULL) AS of_removed_steps
FROM unnest(%s::bigint[]) AS ids (id)
"""


@dataclass(frozen=True)
class CampaignCount:
    """A row of CAMPAIGN_COUNTS."""

    campaign_id: int
    status: Status
    emails: int
    earliest: datetime


class _Size(NamedTuple):
    campaign_id: int
    leads: int
    steps: int
    of_removed_steps: int  # e-mails


def heads(rows: Sequence[Campaign]) -> list[CampaignHead]:
    stands, responded = standings(rows), responses.of_campaigns([row.id for row in rows])
    return [CampaignHead(row.id, row.name, row.status, stands[row.id], responded[row.id]) for row in rows]


def campaigns(rows: Sequence[Campaign]) -> list[CampaignLine]:
    ids = [row.id for row in rows]
    sizes = {it.campaign_id: it for it in read_rows(_Size, LEADS_AND_STEPS, (ids,))}
    used, steps = limits.campaigns_used(ids, warsaw_day(clock())), steps_of(ids)
    counts: dict[int, dict[str, int]] = {}
    next_at: dict[int, datetime] = {}
    for it in read_rows(CampaignCount, CAMPAIGN_COUNTS, (ids,)):
        counts.setdefault(it.campaign_id, {})[it.status] = it.emails
        if it.status is Status.PENDING:
            next_at[it.campaign_id] = it.earliest
    return [
        CampaignLine(
            **vars(head),
            leads=sizes[row.id].leads,
            emails=sizes[row.id].leads * sizes[row.id].steps + sizes[row.id].of_removed_steps,
            counts={status: counts.get(row.id, {}).get(status, 0) for status in Status},
            used_today=used.get(row.id, 0),
            daily_limit=row.daily_limit,
            next_at=next_at.get(row.id),
            steps=steps[row.id],
        )
        for row, head in zip(rows, heads(rows), strict=True)
    ]


STEPS = f"""
SELECT s.campaign_id, s.position AS number, s.wait_count, s.wait_unit, s.subject IS NULL AS answers,
       s.removed_at IS NOT NULL AS removed,
       COALESCE(s.subject, 'Re: ' || {EARLIER_SUBJECT}) AS subject
FROM campaign_step s WHERE s.campaign_id = ANY(%s) ORDER BY s.campaign_id, s.position
"""  # noqa: S608  # only our own words


@dataclass(frozen=True)
class _Step:
    campaign_id: int
    number: int
    wait_count: int | None
    wait_unit: str | None
    answers: bool
    removed: bool
    subject: str


def steps_of(campaign_ids: Sequence[int]) -> defaultdict[int, list[StepLine]]:
    """Campaign id -> its letters in order."""
    found: defaultdict[int, list[StepLine]] = defaultdict(list)
    for it in read_rows(_Step, STEPS, (list(campaign_ids),)):
        wait = sequences.wait(it.wait_count, it.wait_unit)
        found[it.campaign_id].append(
            StepLine(it.number, str(wait) if wait else None, it.subject, it.answers, it.removed)
        )
    return found


@dataclass(frozen=True)
class MailboxError:
    """An attempt of a mailbox that was not accepted."""

    at: datetime
    email_id: int
    move: str
    reason: str | None
    code: int | None
    why: Why | None


@dataclass(frozen=True)
class MailboxLine:
    id: int
    address: str
    status: str  # active, paused, or closed: after faults, or because of its domain's DNS
    why: Why | None  # why it is closed or paused
    closed_until: datetime | None
    used_today: int  # warm-up included
    daily_limit: int  # today's: a ramp may keep it lower
    gap_seconds: float
    used_campaign: int
    used_warmup: int
    faults: int  # consecutive, since the last accepted e-mail
    closed_phase: str | None  # of the fault that closed it
    errors: list[MailboxError]  # the last five
    domain: list[DomainFinding]  # what DNS last said about its domain
    sends_nothing: Reason | None  # why an active mailbox sends nothing today; None: it may send
    calibration: list[CalibrationFinding]  # what its latest calibration mail has shown
    inbox: Reading | None  # how reading its inbox goes; None: it has no IMAP server
    responses: Responses  # of the leads whose messages came to it

    @property
    def reason(self) -> str | None:
        """The reason in English, if there is one."""
        return None if self.why is None else str(self.why)


def mailboxes(rows: Sequence[Mailbox]) -> list[MailboxLine]:
    now = clock()
    ids = [row.id for row in rows]
    used, errors = limits.mailboxes_used_by(ids, warsaw_day(now)), _errors(ids)
    findings = domains.of_addresses(row.address for row in rows)
    of_day = limits.mailboxes_on(ids, warsaw_day(now))
    used = {it: limits.Used(it, 0, 0) for it in ids} | used
    calibration = calibrations.of_mailboxes(ids)
    readings, responded = incoming.readings(), responses.of_mailboxes(ids)
    return [
        _mailbox(
            row,
            used[row.id],
            of_day[row.id],
            now,
            errors=errors[row.id],
            domain=findings[row.address],
            calibration=calibration[row.id],
            inbox=readings.get(row.id),
            responses=responded[row.id],
        )
        for row in rows
    ]


ERRORS = """
SELECT ids.id AS mailbox_id, a.ended_at AS at, a.email_id, h.move, h.reason, a.code, h.reason_code, h.reason_values
FROM unnest(%s::bigint[]) AS ids (id)
CROSS JOIN LATERAL (
    SELECT * FROM attempt
    WHERE mailbox_id = ids.id AND outcome IN ('deferred', 'refused', 'unanswered')
    ORDER BY ended_at DESC, id DESC LIMIT 5
) a
CROSS JOIN LATERAL (
    SELECT move, reason, reason_code, reason_values FROM email_history
    WHERE email_id = a.email_id AND claim_token = a.claim_token AND move IN ('doubt', 'reject', 'retry', 'release')
    ORDER BY id DESC LIMIT 1
) h
ORDER BY a.ended_at DESC, a.id DESC
"""


@dataclass(frozen=True)
class _ErrorRow:
    """A row of ERRORS."""

    mailbox_id: int
    at: datetime
    email_id: int
    move: str
    reason: str | None
    code: int | None
    reason_code: str | None
    reason_values: dict[str, Any] | None


def _errors(mailbox_ids: Sequence[int]) -> defaultdict[int, list[MailboxError]]:
    found: defaultdict[int, list[MailboxError]] = defaultdict(list)
    for it in read_rows(_ErrorRow, ERRORS, (mailbox_ids,)):
        why = reason_columns.read(it.reason, it.reason_code, it.reason_values)
        found[it.mailbox_id].append(MailboxError(it.at, it.email_id, it.move, it.reason, it.code, why))
    return found


def _mailbox(row: Mailbox, used: limits.Used, of_day: limits.OfDay, now: datetime, **rest: Any) -> MailboxLine:
    """The mailbox's line for pages. rest: the fields that are read elsewhere."""
    closed = row.closed_until is not None and row.closed_until > now
    paused = boxes.why_paused(row)
    used_today, is_active = used.all, row.status == MailboxStatus.ACTIVE and not closed
    return MailboxLine(
        id=row.id,
        address=row.address,
        status="closed"
        if isinstance(paused, Reason) or (closed and row.status == MailboxStatus.ACTIVE)
        else row.status,
        why=paused or (boxes.why_closed(row) if closed else None),
        closed_until=row.closed_until if closed and paused is None else None,
        used_today=used_today,
        daily_limit=of_day.limit,
        gap_seconds=row.gap_seconds,
        used_campaign=used.campaign,
        used_warmup=used.warmup,
        faults=row.faults,
        closed_phase=row.closed_phase if closed and paused is None else None,
        sends_nothing=_used_up(used_today, of_day) if is_active else None,
        **rest,
    )


def _used_up(used: int, of_day: limits.OfDay) -> Reason | None:
    limit = of_day.limit
    if of_day.frozen_to is not None:
        return Reason(Code.MAILBOX_FROZEN, to=f"{of_day.frozen_to:%Y-%m-%d}")
    if limit == 0:
        return Reason(Code.SENDS_NOTHING)
    if used < limit:
        return None
    return Reason(Code.SENDS_NO_MORE, used=used, limit=limit)


COUNTS = "SELECT status, count(*)::int AS emails FROM campaign_email_queue GROUP BY status"


class _StatusCount(NamedTuple):
    status: Status
    emails: int


def counts() -> dict[str, int]:
    """Status -> e-mails, of all campaigns."""
    found = {it.status: it.emails for it in read_rows(_StatusCount, COUNTS)}
    return {status: found.get(status, 0) for status in Status}
