"""Notices to the people in charge: one for each problem that needs a person, for as long as its cause lasts.

The causes are read from the rows that the sender uses. A notice is claimed before it is sent, so that two workers do
not both send it; when a claim's lease expires it can be claimed again.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

import config
from models.email import former_mailboxes, holds, recipients
from models.states import PROTECTION
from models.store import reason_columns
from models.store.database import clock, execute, fetch, row, rows
from models.store.recordable import recordable
from reasons import Code, Reason, Why
from scheduling.waits import working_days_before


class Kind(StrEnum):
    UNKNOWN = "unknown"  # a campaign has unknown e-mails
    MAILBOX = "mailbox"  # a mailbox was closed after faults and has not worked since
    RECORDS = "records"  # a mailbox is closed because DNS records of its domain are missing
    CAMPAIGN = "campaign"  # a campaign paused itself
    DISARMED = "disarmed"  # all sending is stopped
    COMPLAINT = "complaint"  # leads marked a mailbox's e-mails as spam
    UNCLEAR = "unclear"  # replies to a mailbox that a person must judge
    CONSENT = "consent"  # a mailbox's OAuth2 authorization is about to end
    INBOX = "inbox"  # a mailbox's inbox cannot be read
    CALIBRATION = "calibration"  # a mailbox's calibration mail shows that receivers mistrust it
    DOMAIN = "domain"  # DNS records of a mailbox's domain are missing or wrong
    FOLLOW_UPS = "follow_ups"  # they wait for their mailbox: paused, taken from its campaign, or without an inbox


@dataclass(frozen=True)
class Due:
    """A claimed notice."""

    id: int
    kind: Kind
    subject: int  # the campaign's or the mailbox's id
    attempt: int
    reached: list[str]  # keys of the notifiers that already have it
    name: str
    count: int
    words: str | None  # a server's or our own


# Time for its owner to consent again. Google ends the consents of an app in testing after 7 days.
_BEFORE_CONSENT_ENDS = timedelta(days=3)
# Of an inbox, with growing pauses between them: after about half an hour.
_FAILED_LOOKS = 3
# Follow-ups have no other mailbox than the one that their leads know.
_WAITING_DAYS = 2  # working days

# An e-mail counts as unknown here only after the first search for its copy has ended, or should have.
CAUSE = f"""
cause AS (
    SELECT 'unknown' AS kind, q.campaign_id AS subject, c.name, count(*)::int AS count, NULL AS words,
           NULL AS code, NULL::jsonb AS values
    FROM campaign_email_queue q JOIN campaign c ON c.id = q.campaign_id JOIN mailbox m ON m.id = q.mailbox_id
    WHERE q.status = 'unknown' AND q.handed_over_at < clock_timestamp() - %(first_look)s
      AND (m.imap_host IS NULL OR q.evidence_sought_at < clock_timestamp() - %(look)s
           OR q.handed_over_at < clock_timestamp() - 5 * %(first_look)s)
    GROUP BY q.campaign_id, c.name
    UNION ALL
    SELECT 'mailbox', id, address, 1, closed_reason, closed_reason_code, closed_reason_values FROM mailbox
    WHERE status = 'active' AND faults > 0
    UNION ALL
    SELECT 'records', id, address, 1, paused_reason, paused_reason_code, paused_reason_values FROM mailbox
    WHERE status = 'paused' AND paused_by = %(protection)s
    UNION ALL
    SELECT 'campaign', id, name, 1, paused_reason, paused_reason_code, paused_reason_values FROM campaign
    WHERE status = 'paused' AND paused_by = %(protection)s
    UNION ALL
    SELECT 'complaint', i.mailbox_id, m.address, count(*)::int, NULL, NULL, NULL
    FROM incoming i JOIN mailbox m ON m.id = i.mailbox_id
    WHERE i.class = 'complaint' AND i.received_at > clock_timestamp() - interval '3 days'
    GROUP BY i.mailbox_id, m.address
    UNION ALL
    SELECT 'unclear', i.mailbox_id, m.address, count(*)::int, NULL, NULL, NULL
    FROM incoming i JOIN mailbox m ON m.id = i.mailbox_id
    WHERE {holds.NEEDS_A_PERSON} GROUP BY i.mailbox_id, m.address
    UNION ALL
    SELECT 'inbox', m.id, m.address, 1, i.failed_reason, NULL, NULL
    FROM inbox i JOIN mailbox m ON m.id = i.mailbox_id
    WHERE m.imap_host IS NOT NULL AND i.failures >= %(failed_looks)s
    UNION ALL
    SELECT 'follow_ups', m.id, m.address, count(DISTINCT waiting.campaign_lead_id)::int,
           max(waiting.words), max(waiting.code), NULL
    FROM mailbox m
    JOIN (SELECT q.mailbox_id, q.campaign_lead_id, NULL AS words, NULL AS code
          FROM campaign_email_queue q JOIN campaign c ON c.id = q.campaign_id AND c.status = 'active'
          WHERE q.status = 'pending' AND q.predecessor_id IS NOT NULL AND q.scheduled_at < %(overdue)s
          UNION ALL SELECT *, NULL, NULL FROM ({former_mailboxes.OVERDUE}) former
          -- Put off again and again, so that its time says nothing.
          UNION ALL
          SELECT q.mailbox_id, q.campaign_lead_id, %(no_inbox)s, %(no_inbox_code)s
          FROM mailbox blind JOIN campaign_email_queue q ON q.mailbox_id = blind.id AND q.status = 'pending'
              AND q.predecessor_id IS NOT NULL AND q.wait_ends_at < clock_timestamp()
          JOIN campaign c ON c.id = q.campaign_id AND c.status = 'active' AND NOT c.follow_up_without_inbox
          WHERE blind.imap_host IS NULL) waiting ON waiting.mailbox_id = m.id
    GROUP BY m.id, m.address
    UNION ALL
    SELECT 'domain', min(m.id), f.domain, count(DISTINCT f.record)::int, string_agg(DISTINCT f.reason, '; '), NULL, NULL
    FROM domain_finding f JOIN mailbox m ON regexp_replace(m.address, '^.*@', '') = f.domain AND m.status = 'active'
    WHERE f.state IN ('missing', 'wrong') GROUP BY f.domain
    UNION ALL
    SELECT 'calibration', m.id, m.address, count(*)::int, string_agg(f.reason, '; ' ORDER BY f.record), NULL, NULL
    FROM calibration_finding f JOIN mailbox m ON m.id = f.mailbox_id AND m.status = 'active'
    WHERE f.state IN ('missing', 'wrong') GROUP BY m.id, m.address
    UNION ALL
    SELECT 'consent', m.id, m.address, 1,
           to_char(o.consent_ends_at AT TIME ZONE 'Europe/Warsaw', 'YYYY-MM-DD HH24:MI'), NULL, NULL
    FROM mailbox_authorization o JOIN mailbox m ON m.id = o.mailbox_id
    WHERE m.status = 'active' AND o.consent_ends_at < clock_timestamp() + %(before_consent_ends)s
    UNION ALL
    SELECT 'disarmed', 0, '', 1, disarmed_reason, disarmed_reason_code, disarmed_reason_values FROM installation
    WHERE disarmed_reason IS NOT NULL
)
"""  # noqa: S608  # only our own words

ANY_DUE = f"""
WITH {CAUSE}, open AS (SELECT kind, subject, due_at FROM notice WHERE closed_at IS NULL)
SELECT EXISTS (
    SELECT FROM cause FULL JOIN open USING (kind, subject)
    WHERE cause.name IS NULL OR open.kind IS NULL OR open.due_at <= clock_timestamp())
"""  # noqa: S608  # only our own words


def any_due() -> bool:
    """Whether a cause is new or over, or a notice is to be sent again. Writes nothing."""
    return bool(fetch(ANY_DUE, _values())[0][0])


CAUSES = f"WITH {CAUSE} SELECT * FROM cause ORDER BY kind, subject"  # noqa: S608


@dataclass(frozen=True)
class _CauseRow:
    kind: Kind
    subject: int
    name: str
    count: int
    words: str | None
    code: str | None
    values: dict[str, Any] | None


@dataclass(frozen=True)
class Cause:
    """A problem that needs a person now, whether or not a notice was sent."""

    kind: Kind
    subject: int  # the campaign's or the mailbox's id; 0: the installation
    name: str
    count: int
    why: Why | None

    @property
    def reason(self) -> str | None:
        """In English."""
        return None if self.why is None else str(self.why)


def causes() -> list[Cause]:
    return [
        Cause(it.kind, it.subject, it.name, it.count, reason_columns.current(it.words, it.code, it.values))
        for it in rows(_CauseRow, CAUSES, _values())
    ]


REFRESH = f"""
WITH {CAUSE}, over AS (
    UPDATE notice n SET closed_at = clock_timestamp(), due_at = NULL
    WHERE n.closed_at IS NULL
      AND NOT EXISTS (SELECT FROM cause WHERE cause.kind = n.kind AND cause.subject = n.subject)
)
INSERT INTO notice (kind, subject, due_at) SELECT kind, subject, clock_timestamp() FROM cause
ON CONFLICT (kind, subject) WHERE closed_at IS NULL DO NOTHING
"""  # noqa: S608


def refresh() -> None:
    """Open a notice for each new cause, and close those whose cause is over."""
    execute(REFRESH, _values())


def over(kind: Kind, subject: int) -> None:
    """Close the notice because a person acted on it: if the problem comes back, there is a new notice."""
    close = "UPDATE notice SET closed_at = clock_timestamp(), due_at = NULL"
    execute(f"{close} WHERE kind = %s AND subject = %s AND closed_at IS NULL", (kind, subject))


CLAIM_DUE = f"""
WITH {CAUSE}, due AS (
    SELECT n.id, cause.name, cause.count, cause.words
    FROM notice n JOIN cause ON cause.kind = n.kind AND cause.subject = n.subject
    WHERE n.closed_at IS NULL AND n.due_at <= clock_timestamp()
    ORDER BY n.due_at, n.id LIMIT 1 FOR NO KEY UPDATE OF n SKIP LOCKED
)
UPDATE notice n SET attempts = n.attempts + 1, due_at = clock_timestamp() + %(lease)s FROM due WHERE n.id = due.id
RETURNING n.id, n.kind, n.subject, n.attempts AS attempt, n.reached, due.name, due.count, due.words
"""  # noqa: S608


def claim_due(lease: timedelta) -> Due | None:
    """Claim the notice that has been due the longest. If the worker dies, it is due again after the lease."""
    return row(Due, CLAIM_DUE, _values() | {"lease": lease})


def record_reached(notice_id: int, notifier: str) -> None:
    execute("UPDATE notice SET reached = reached || %s WHERE id = %s", ([notifier], notice_id))


# A notice closed meanwhile is not due any more.
RECORD_SENT = """
UPDATE notice SET told_at = CASE WHEN %(error)s::text IS NULL THEN clock_timestamp() ELSE told_at END,
    due_at = CASE WHEN closed_at IS NULL THEN clock_timestamp() + %(pause)s END,
    attempts = 0, reached = '{}', said = %(said)s, error = %(error)s
WHERE id = %(id)s
"""


def record_sent(notice_id: int, said: str, error: str | None = None) -> None:
    """Record that the notice reached every notifier, or with an error that it was given up."""
    pause = timedelta(hours=config.settings().notices.repeat_hours)
    execute(RECORD_SENT, {"id": notice_id, "said": said, "error": recordable(error), "pause": pause})


AGAIN = """
UPDATE notice SET due_at = CASE WHEN closed_at IS NULL THEN clock_timestamp() + %(pause)s END,
    said = %(said)s, error = %(error)s
WHERE id = %(id)s
"""


def record_failed(notice_id: int, said: str, error: str, pause: timedelta) -> None:
    """Record that some notifier did not get it, and when to try again."""
    execute(AGAIN, {"id": notice_id, "said": said, "error": recordable(error), "pause": pause})


class NoticeRow(NamedTuple):
    id: int
    kind: Kind
    opened_at: datetime
    told_at: datetime | None
    closed_at: datetime | None
    said: str | None
    error: str | None


LATEST = """
SELECT id, kind, opened_at, told_at, closed_at, said, error FROM notice ORDER BY id DESC LIMIT %s
"""


def latest(limit: int = 20) -> list[NoticeRow]:
    return rows(NoticeRow, LATEST, (limit,))


def _values() -> dict[str, object]:
    imap = config.settings().imap
    return {
        **recipients.rules(),
        "first_look": timedelta(seconds=imap.first_look_seconds),
        "look": timedelta(seconds=imap.conversation_timeout_seconds),
        "protection": PROTECTION,
        "before_consent_ends": _BEFORE_CONSENT_ENDS,
        "failed_looks": _FAILED_LOOKS,
        "no_inbox": str(Reason(Code.NO_INBOX)),
        "no_inbox_code": str(Code.NO_INBOX),
        "overdue": working_days_before(clock(), _WAITING_DAYS),
    }
