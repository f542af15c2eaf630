"""E-mails that need a person's decision: the final dot may have been sent, and there is no proof of the outcome."""

from dataclasses import dataclass
from datetime import datetime

from models.owner.settlement import may_send_again_from
from models.store.database import fetch, rows
from models.views.overview import EMAIL_COLUMNS, EmailLine, EmailRow


@dataclass(frozen=True)
class Unknown:
    line: EmailLine
    since: datetime  # when it was handed over
    handed_over_by: str | None  # None: only a machine's hand-over log tells of it
    evidence_sought_at: datetime | None  # when a copy was last searched for
    mailbox_searchable: bool  # whether a copy can be searched for
    may_send_again_from: datetime  # until then its worker may still get the answer
    campaign_ended: bool  # so the e-mail cannot be sent again

    @property
    def reason(self) -> str | None:
        return self.line.error


UNKNOWN = f"""
SELECT q.handed_over_at AS since, handed.by AS handed_over_by, q.evidence_sought_at,
       m.imap_host IS NOT NULL AS mailbox_searchable, c.status IN ('completed', 'cancelled') AS campaign_ended,
       {EMAIL_COLUMNS}
LEFT JOIN LATERAL (
    SELECT h.by FROM email_history h WHERE h.email_id = q.id AND h.move = 'hand_over' ORDER BY h.id DESC LIMIT 1
) handed ON true
WHERE q.status = 'unknown' AND q.id > %(after)s AND (%(email)s::bigint IS NULL OR q.id = %(email)s)
ORDER BY q.id LIMIT %(limit)s
"""  # noqa: S608  # only our own words


def page(after: int = 0, limit: int = 50) -> list[Unknown]:
    """A page of e-mails that need a decision, by id. after: the last id of the previous page."""
    return _read(None, after, limit)


def one(email_id: int) -> Unknown | None:
    """The e-mail if it needs a decision. None if it does not, or not any more."""
    return next(iter(_read(email_id, 0, 1)), None)


@dataclass(frozen=True)
class _Row(EmailRow):
    since: datetime
    handed_over_by: str | None
    evidence_sought_at: datetime | None
    mailbox_searchable: bool
    campaign_ended: bool

    def unknown(self) -> Unknown:
        return Unknown(
            line=self.line(),
            since=self.since,
            handed_over_by=self.handed_over_by,
            evidence_sought_at=self.evidence_sought_at,
            mailbox_searchable=self.mailbox_searchable,
            may_send_again_from=may_send_again_from(self.since),
            campaign_ended=self.campaign_ended,
        )


def _read(email_id: int | None, after: int, limit: int) -> list[Unknown]:
    values = {"email": email_id, "after": after, "limit": limit}
    return [row.unknown() for row in rows(_Row, UNKNOWN, values)]


def count() -> int:
    found: int = fetch("SELECT count(*)::int FROM campaign_email_queue WHERE status = 'unknown'")[0][0]
    return found
