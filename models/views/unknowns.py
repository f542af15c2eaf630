"""The e-mails that wait for a person: the dot may have left, and nothing proves what became of it."""

from dataclasses import dataclass
from datetime import datetime

from models.owner.settlement import may_send_again_from
from models.store.database import fetch
from models.views.overview import EMAIL_COLUMNS, EmailLine


@dataclass(frozen=True)
class Unknown:
    line: EmailLine
    since: datetime  # when it was handed over
    handed_over_by: str | None  # None: a machine's own record alone tells of it
    reason: str | None
    evidence_sought_at: datetime | None  # when a copy was last looked for
    mailbox_searchable: bool  # whether a copy can be looked for at all
    may_send_again_from: datetime  # before, its worker may still get the answer
    campaign_ended: bool  # nothing of it can be sent again


UNKNOWN = f"""
SELECT q.handed_over_at, handed.by, q.error, q.evidence_sought_at, m.imap_host IS NOT NULL,
       c.status IN ('completed', 'cancelled'), {EMAIL_COLUMNS}
LEFT JOIN LATERAL (
    SELECT h.by FROM email_history h WHERE h.email_id = q.id AND h.move = 'hand_over' ORDER BY h.id DESC LIMIT 1
) handed ON true
WHERE q.status = 'unknown' AND q.id > %(after)s AND (%(email)s::bigint IS NULL OR q.id = %(email)s)
ORDER BY q.id LIMIT %(limit)s
"""  # noqa: S608  # only our own words


def page(after: int = 0, limit: int = 50) -> list[Unknown]:
    """By id. after: the last id of the page before."""
    return _read(None, after, limit)


def one(email_id: int) -> Unknown | None:
    """None: it does not wait for a person, or not any more."""
    return next(iter(_read(email_id, 0, 1)), None)


def _read(email_id: int | None, after: int, limit: int) -> list[Unknown]:
    return [
        Unknown(EmailLine(*line), since, by, reason, sought_at, searchable, may_send_again_from(since), ended)
        for since, by, reason, sought_at, searchable, ended, *line in fetch(
            UNKNOWN, {"email": email_id, "after": after, "limit": limit}
        )
    ]


def count() -> int:
    found: int = fetch("SELECT count(*)::int FROM campaign_email_queue WHERE status = 'unknown'")[0][0]
    return found
