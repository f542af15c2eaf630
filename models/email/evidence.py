"""Which unknown e-mails a copy is to be looked for, and when that was last done.

The verdict itself is a move: see emails.accept().
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import config
from models.store.database import execute, fetch, rows


class Doubtful(NamedTuple):
    """An e-mail of which nothing proves yet whether it was sent."""

    email_id: int
    claim_token: UUID
    message_id: str
    handed_over_at: datetime


# As many as one conversation has the time for; the others' turn comes at the next tick.
_AT_ONCE = 20
_LOCKS = 1_702_260_326  # with a mailbox's id, what nothing else in this database locks

# First when a provider has had the time to file its copy, then at doubling ages. A mark older than the hand-over is an
# earlier attempt's.
_IS_DUE = """
q.status = 'unknown' AND m.imap_host IS NOT NULL AND clock_timestamp() >= q.handed_over_at + %(first)s
  AND (q.evidence_sought_at IS NULL
       OR clock_timestamp() - q.handed_over_at >= 2 * (q.evidence_sought_at - q.handed_over_at))
"""


DUE = f"""
SELECT q.mailbox_id FROM campaign_email_queue q JOIN mailbox m ON m.id = q.mailbox_id
WHERE {_IS_DUE} GROUP BY q.mailbox_id ORDER BY min(q.handed_over_at)
"""  # noqa: S608  # only our own words


def due() -> list[int]:
    """The mailboxes with mails whose copies are to be looked for now, the longest in doubt first."""
    return [mailbox_id for (mailbox_id,) in fetch(DUE, _values())]


TAKE = f"""
WITH due AS (
    SELECT q.id FROM campaign_email_queue q JOIN mailbox m ON m.id = q.mailbox_id
    WHERE q.mailbox_id = %(mailbox)s AND {_IS_DUE}
    ORDER BY q.evidence_sought_at NULLS FIRST, q.id LIMIT %(at_once)s FOR NO KEY UPDATE OF q
)
UPDATE campaign_email_queue q SET evidence_sought_at = clock_timestamp() FROM due WHERE q.id = due.id
RETURNING q.id AS email_id, q.claim_token, q.message_id, q.handed_over_at
"""  # noqa: S608


def take(mailbox_id: int) -> list[Doubtful]:
    """The mailbox's mails that are due, marked beforehand: a look that fails is not repeated at once."""
    return rows(Doubtful, TAKE, {**_values(), "mailbox": mailbox_id, "at_once": _AT_ONCE})


def forget(mailbox_id: int) -> None:
    """Look again at the next tick: the owner has changed what the last look may have failed at."""
    query = "UPDATE campaign_email_queue SET evidence_sought_at = NULL WHERE mailbox_id = %s AND status = 'unknown'"
    execute(query, (mailbox_id,))


@contextmanager
def alone(mailbox_id: int) -> Iterator[bool]:
    """Whether nobody else looks into this mailbox. A process that dies gives the lock back with its session."""
    key = (_LOCKS, mailbox_id)
    got: bool = fetch("SELECT pg_try_advisory_lock(%s, %s::int)", key)[0][0]
    try:
        yield got
    finally:
        if got:
            fetch("SELECT pg_advisory_unlock(%s, %s::int)", key)


def _values() -> dict[str, Any]:
    return {"first": timedelta(seconds=config.settings().imap.first_look_seconds)}
