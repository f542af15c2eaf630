"""What came back, for pages and API: messages, which of them need a person, holds, and how the reading goes."""

from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any

from models.email.holds import NEEDS_A_PERSON as _NEEDS_A_PERSON
from models.store import reason_columns
from models.store.database import rows
from reasons import Why


@dataclass(frozen=True)
class IncomingLine:
    """A message that came back, as it counts now."""

    id: int
    received_at: datetime
    mailbox: str
    folder: str
    uid: int
    class_name: str
    kind: str | None
    status: str | None
    rule: str
    read_as: str  # the class by that rule, before a person corrected it
    sender: str
    subject: str
    excerpt: str
    returns_on: date | None
    email_id: int | None
    campaign_id: int | None
    campaign: str | None
    lead: str | None  # the lead's address
    matched_by: str | None
    suppressed: str | None
    suppressed_sender: str | None  # beside the lead
    held_until: datetime | None
    needs_a_person: bool  # unclear, or it holds its lead until somebody decides
    is_held: bool  # until held_until; without it until a person decides, or for good
    corrected_at: datetime | None
    corrected_by: str | None
    evidence: dict[str, Any]


_COLUMNS = """
SELECT i.id, i.received_at, m.address AS mailbox, i.folder, i.uid, i.class AS class_name, i.kind, i.status, i.rule,
       i.read_as, i.sender, i.subject, i.excerpt, i.returns_on, i.email_id, i.campaign_id, c.name AS campaign,
       p.address AS lead, i.matched_by, i.suppressed, i.evidence ->> 'suppressed_sender' AS suppressed_sender,
       held.until AS held_until, held.id IS NOT NULL AS is_held,
       i.class = 'unclear' OR COALESCE(held.is_open, false) AS needs_a_person,
       i.corrected_at, i.corrected_by, i.evidence
FROM incoming i JOIN mailbox m ON m.id = i.mailbox_id
LEFT JOIN campaign c ON c.id = i.campaign_id LEFT JOIN lead p ON p.id = i.lead_id
LEFT JOIN LATERAL (
    SELECT h.id, h.until, NOT h.stops AND h.until IS NULL AS is_open FROM hold h
    WHERE h.incoming_id = i.id AND h.lifted_at IS NULL AND (h.until IS NULL OR h.until > clock_timestamp())
    ORDER BY h.until DESC NULLS FIRST LIMIT 1
) held ON true
"""
PAGE = f"""
{_COLUMNS}
WHERE (%(class)s::text IS NULL OR i.class = %(class)s)
  AND (%(campaign)s::bigint IS NULL OR i.campaign_id = %(campaign)s)
  AND (%(mailbox)s::bigint IS NULL OR i.mailbox_id = %(mailbox)s)
  AND (%(lead)s::text IS NULL OR p.address = %(lead)s) AND (%(before)s::bigint IS NULL OR i.id < %(before)s)
ORDER BY i.id DESC LIMIT %(limit)s
"""  # only our own words


def page(
    *,
    class_name: str | None = None,
    campaign_id: int | None = None,
    mailbox_id: int | None = None,
    lead: str | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[IncomingLine]:
    """A page of messages, the latest first. lead: a normalised address. before: the last id of the page before."""
    values = {"class": class_name, "campaign": campaign_id, "mailbox": mailbox_id, "lead": lead}
    return rows(IncomingLine, PAGE, {**values, "before": before, "limit": limit})


def one(incoming_id: int) -> IncomingLine | None:
    return next(iter(rows(IncomingLine, f"{_COLUMNS} WHERE i.id = %s", (incoming_id,))), None)


OF_EMAIL = f"{_COLUMNS} WHERE i.email_id = %s ORDER BY i.id"


def of_email(email_id: int) -> list[IncomingLine]:
    """What came back for one e-mail, in order."""
    return rows(IncomingLine, OF_EMAIL, (email_id,))


# Also their answers to others' letters, what they wrote as strangers, and what could not be brought to them.
OF_PERSON = f"""
{_COLUMNS}
WHERE i.id IN (
    SELECT theirs.id FROM incoming theirs JOIN lead p ON p.id = theirs.lead_id WHERE p.address = %(address)s
    UNION SELECT id FROM incoming WHERE sender = %(address)s OR evidence -> 'recipients' ? %(address)s)
ORDER BY i.id DESC
"""  # noqa: S608  # only our own words


def of_person(address: str) -> list[IncomingLine]:
    """All that came back from a person or about their letters, the latest first. address: normalised."""
    return rows(IncomingLine, OF_PERSON, {"address": address})


NEEDS_A_PERSON = f"{_COLUMNS} WHERE {_NEEDS_A_PERSON} AND i.id > %(after)s ORDER BY i.id LIMIT %(limit)s"


def needs_a_person(after: int = 0, limit: int = 50) -> list[IncomingLine]:
    """Messages that a person has to judge, the oldest first. after: the last id of the page before."""
    return rows(IncomingLine, NEEDS_A_PERSON, {"after": after, "limit": limit})


@dataclass(frozen=True)
class Reading:
    """How reading a mailbox's inbox goes."""

    read_at: datetime | None  # the start of the last look that read everything
    lag_minutes: int | None  # since then; None: never
    failures: int  # since the last look that worked
    failed_at: datetime | None
    failed_step: str | None
    failed_reason: str | None


@dataclass(frozen=True)
class _ReadingRow(Reading):
    mailbox_id: int

    def reading(self) -> Reading:
        return Reading(**{field.name: getattr(self, field.name) for field in fields(Reading)})


READINGS = """
SELECT m.id AS mailbox_id, i.read_at, (extract(epoch FROM clock_timestamp() - i.read_at) / 60)::int AS lag_minutes,
       COALESCE(i.failures, 0) AS failures, i.failed_at, i.failed_step, i.failed_reason
FROM mailbox m LEFT JOIN inbox i ON i.mailbox_id = m.id WHERE m.imap_host IS NOT NULL
"""


def readings() -> dict[int, Reading]:
    """Mailbox id -> how reading its inbox goes, for mailboxes with IMAP settings."""
    return {it.mailbox_id: it.reading() for it in rows(_ReadingRow, READINGS)}


@dataclass(frozen=True)
class HoldLine:
    """A lead that is not written to, because of a message."""

    lead: str
    campaign: str | None  # None: from every campaign
    incoming_id: int
    stops: bool
    until: datetime | None
    why: Why
    since: datetime

    @property
    def reason(self) -> str:
        """The reason in English."""
        return str(self.why)


@dataclass(frozen=True)
class _HoldRow:
    lead: str
    campaign: str | None
    incoming_id: int
    stops: bool
    until: datetime | None
    reason: str
    reason_code: str | None
    reason_values: dict[str, Any] | None
    since: datetime


HOLDS = """
SELECT p.address AS lead, c.name AS campaign, h.incoming_id, h.stops, h.until, h.reason, h.reason_code, h.reason_values,
       h.created_at AS since
FROM hold h
JOIN lead p ON (h.domain IS NULL AND p.id = h.lead_id)
            OR (%(lead)s::text IS NOT NULL AND p.id <> h.lead_id AND h.domain = split_part(p.address, '@', -1))
LEFT JOIN campaign c ON c.id = h.campaign_id
WHERE h.lifted_at IS NULL AND (h.until IS NULL OR h.until > clock_timestamp())
  AND (%(lead)s::text IS NULL OR p.address = %(lead)s)
  AND (%(campaign)s::bigint IS NULL OR h.campaign_id IS NULL OR h.campaign_id = %(campaign)s)
ORDER BY h.id DESC LIMIT %(limit)s
"""


def holds(*, lead: str | None = None, campaign_id: int | None = None, limit: int | None = 100) -> list[HoldLine]:
    """The holds that stand, the latest first. lead: a normalised address; with those of colleagues who stopped it."""
    found = rows(_HoldRow, HOLDS, {"lead": lead, "campaign": campaign_id, "limit": limit})
    return [HoldLine(it.lead, it.campaign, it.incoming_id, it.stops, it.until, _why(it), it.since) for it in found]


def _why(it: _HoldRow) -> Why:
    return reason_columns.read(it.reason, it.reason_code, it.reason_values) or it.reason
