"""Which inboxes are to be read now, how far each folder has been read, and how the looks went.

A look is claimed before it begins: one whose worker dies is due again after a while. Two at once would do no harm.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple

import config
from models.email import gates, inboxes
from models.store import tick_request
from models.store.database import execute, fetch, row, rows
from models.store.recordable import recordable
from scheduling.waits import TIME_TO_LOOK

# Paused after a failed look, times this for each failure.
_SLOWER, _SLOWEST = 2, 16


@dataclass(frozen=True)
class Look:
    """A claimed look into a mailbox."""

    mailbox_id: int
    started_at: datetime


@dataclass(frozen=True)
class Cursor:
    """How far a folder has been read."""

    mailbox_id: int
    folder: str
    uidvalidity: int
    last_uid: int
    since: date


# Follow-ups that are due soon, or overdue, need a recent look that began after their wait (gates.no_answer_is_unread).
# One that fails is tried again after a pause that grows.
_MAY_BEGIN = f"""
clock_timestamp() >= i.started_at + CASE WHEN i.failures = 0 AND i.read_at = i.started_at THEN interval '1 s'
    ELSE interval '20 s' * least(power({_SLOWER}, i.failures), {_SLOWEST}) END
"""
_IS_NEEDED = f"""
{_MAY_BEGIN} AND EXISTS (
    SELECT FROM {inboxes.SENDERS} sender JOIN campaign_email_queue q ON q.mailbox_id = sender.mailbox_id
    JOIN campaign c ON c.id = q.campaign_id AND c.status = 'active'
    WHERE q.status = 'pending' AND q.predecessor_id IS NOT NULL AND (q.mailbox_id = m.id OR m.id IN {inboxes.ITS})
      AND q.scheduled_at < clock_timestamp() + %(ahead)s AND q.wait_ends_at <= clock_timestamp()
      AND (i.read_at IS NULL OR i.read_at < q.wait_ends_at OR i.read_at < clock_timestamp() - %(lasts)s))
"""
# A look that was not recorded as ended, because its worker died, is due after the time that it may take.
_IS_DUE = f"""
m.imap_host IS NOT NULL AND (
    i.asked_at IS NOT NULL OR i.started_at IS NULL
    OR clock_timestamp() >= i.started_at + %(every)s * least(power({_SLOWER}, i.failures), {_SLOWEST})
    OR (i.failures = 0 AND i.read_at IS DISTINCT FROM i.started_at
        AND clock_timestamp() >= i.started_at + %(longest)s)
    OR ({_IS_NEEDED}))
"""
ANY_DUE = f"""
SELECT EXISTS (SELECT FROM mailbox m LEFT JOIN inbox i ON i.mailbox_id = m.id WHERE {_IS_DUE})
"""  # noqa: S608  # only our own words


def any_due() -> bool:
    return bool(fetch(ANY_DUE, _values())[0][0])


KNOWN = "INSERT INTO inbox (mailbox_id) SELECT id FROM mailbox WHERE imap_host IS NOT NULL ON CONFLICT DO NOTHING"
CLAIM_DUE = f"""
WITH due AS (
    SELECT i.mailbox_id FROM inbox i JOIN mailbox m ON m.id = i.mailbox_id
    WHERE {_IS_DUE}
    ORDER BY i.asked_at NULLS LAST, i.started_at NULLS FIRST, i.mailbox_id LIMIT 1 FOR NO KEY UPDATE OF i SKIP LOCKED
)
UPDATE inbox i SET started_at = clock_timestamp(), asked_at = NULL FROM due WHERE i.mailbox_id = due.mailbox_id
RETURNING i.mailbox_id, i.started_at
"""  # noqa: S608


def claim_due() -> Look | None:
    """Claim the inbox that has waited the longest, those that a person asked for first."""
    execute(KNOWN)
    return row(Look, CLAIM_DUE, _values())


ASK = """
INSERT INTO inbox (mailbox_id, asked_at) VALUES (%s, clock_timestamp())
ON CONFLICT (mailbox_id) DO UPDATE SET asked_at = excluded.asked_at
"""


def ask(mailbox_id: int) -> None:
    """Have the mailbox read soon."""
    execute(ASK, (mailbox_id,))
    tick_request.ask_for_tick()


# One is under way, or has just failed: then it is not asked for again.
ASK_TO_FOLLOW_UP = f"""
UPDATE inbox i SET asked_at = clock_timestamp()
FROM campaign_email_queue q
WHERE q.id = %s AND i.mailbox_id IN {inboxes.ITS} AND i.asked_at IS NULL AND {_MAY_BEGIN}
"""  # noqa: S608  # only our own words


def ask_to_follow_up(email_id: int) -> bool:
    """Ask to read the inboxes that a follow-up needs.

    Returns False if they have been asked for already, or a look is under way, has just ended or has just failed.
    """
    return bool(execute(ASK_TO_FOLLOW_UP, (email_id,)))


NOT_READ_SINCE = """
SELECT m.id AS mailbox_id, m.address FROM mailbox m LEFT JOIN inbox i ON i.mailbox_id = m.id
WHERE m.imap_host IS NOT NULL AND m.status = 'active' AND COALESCE(i.read_at < %s, true) ORDER BY m.address
"""


class Unread(NamedTuple):
    mailbox_id: int
    address: str


def not_read_since(moment: datetime) -> list[Unread]:
    """Active mailboxes whose inbox was not read to its end by a look that began at `moment` or later."""
    return rows(Unread, NOT_READ_SINCE, (moment,))


END = """
UPDATE inbox SET failures = 0, failed_at = NULL, failed_step = NULL, failed_reason = NULL,
    read_at = CASE WHEN %(complete)s THEN %(started_at)s ELSE read_at END,
    asked_at = CASE WHEN %(complete)s THEN asked_at ELSE clock_timestamp() END
WHERE mailbox_id = %(mailbox)s AND started_at = %(started_at)s
"""


def end(look: Look, *, complete: bool) -> None:
    """Record that a look has ended. complete: everything was read; otherwise the rest is due at once."""
    execute(END, {"mailbox": look.mailbox_id, "started_at": look.started_at, "complete": complete})


FAIL = """
UPDATE inbox SET failures = failures + 1, failed_at = clock_timestamp(), failed_step = %(step)s,
    failed_reason = %(reason)s
WHERE mailbox_id = %(mailbox)s
"""


def fail(look: Look, step: str, reason: str) -> None:
    execute(FAIL, {"mailbox": look.mailbox_id, "step": step, "reason": recordable(reason)[:500]})


CURSOR = """
WITH added AS (
    INSERT INTO inbox_cursor (mailbox_id, folder, uidvalidity, since)
    VALUES (%(mailbox)s, %(folder)s, %(uidvalidity)s, (clock_timestamp() - %(back)s)::date)
    ON CONFLICT DO NOTHING RETURNING *
)
SELECT mailbox_id, folder, uidvalidity, last_uid, since FROM added
UNION ALL
SELECT mailbox_id, folder, uidvalidity, last_uid, since FROM inbox_cursor
WHERE mailbox_id = %(mailbox)s AND folder = %(folder)s AND uidvalidity = %(uidvalidity)s
"""


def cursor(mailbox_id: int, folder: str, uidvalidity: int) -> Cursor:
    """How far a folder has been read. One that is new under this UIDVALIDITY is read from some days back."""
    values = {"mailbox": mailbox_id, "folder": recordable(folder), "uidvalidity": uidvalidity}
    back = timedelta(days=config.settings().imap.inbox_days_back)
    return rows(Cursor, CURSOR, {**values, "back": back})[0]


ADVANCE = """
UPDATE inbox_cursor SET last_uid = greatest(last_uid, %(uid)s), updated_at = clock_timestamp()
WHERE mailbox_id = %(mailbox)s AND folder = %(folder)s AND uidvalidity = %(uidvalidity)s
"""


def advance(at: Cursor, uid: int) -> None:
    """Record that everything up to this UID has been read, in the transaction of what was found there."""
    values = {"mailbox": at.mailbox_id, "folder": at.folder, "uidvalidity": at.uidvalidity}
    execute(ADVANCE, {**values, "uid": uid})


def _values() -> dict[str, object]:
    rules = config.settings().imap
    longest = rules.inbox_look_seconds + 4 * rules.command_timeout_seconds
    return {
        "every": timedelta(seconds=rules.inbox_every_seconds),
        "longest": timedelta(seconds=longest),
        "ahead": TIME_TO_LOOK,
        "lasts": gates.LOOK_LASTS / 2,
    }
