"""What servers refused lately because of the mailbox, and how much it had sent by then."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from models.store import counting
from models.store.database import fetch, rows

_LATELY_DAYS = 14
_LATEST = 20


@dataclass(frozen=True)
class MailboxRefusal:
    at: datetime
    code: int
    enhanced: str | None
    reply: str


LATEST = """
SELECT ended_at AS at, code, enhanced, reply FROM attempt
WHERE mailbox_id = %(mailbox)s AND outcome IN ('deferred', 'refused', 'unanswered') AND scope = 'mailbox'
  AND code IS NOT NULL AND reply IS NOT NULL AND ended_at > statement_timestamp() - %(days)s * interval '1 day'
ORDER BY ended_at DESC, id DESC LIMIT %(limit)s
"""


def latest(mailbox_id: int) -> list[MailboxRefusal]:
    """What servers refused lately because of this mailbox, the newest first."""
    return rows(MailboxRefusal, LATEST, {"mailbox": mailbox_id, "days": _LATELY_DAYS, "limit": _LATEST})


COUNTED = f"""
SELECT count(*)::int FROM campaign_email_queue WHERE mailbox_id = %(mailbox)s
  AND {counting.counts()} AND {counting.counted_at()} > %(since)s AND {counting.counted_at()} <= %(at)s
"""  # noqa: S608  # only our own words


def sent_before(mailbox_id: int, at: datetime, span: timedelta) -> int:
    """How many of the mailbox's e-mails to leads count in the span that ends at `at`."""
    return int(fetch(COUNTED, {"mailbox": mailbox_id, "since": at - span, "at": at})[0][0])
