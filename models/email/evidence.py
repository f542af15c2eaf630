"""Schedules the search for copies of unknown e-mails in Sent folders.

A copy that is found is recorded by moves.accept().
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import config
from models.store.database import execute, fetch, rows


class Doubtful(NamedTuple):
    """An unknown e-mail: nothing proves yet whether it was sent."""

    email_id: int
    claim_token: UUID
    message_id: str
    handed_over_at: datetime


# As many as fit into one conversation; the rest follow at the next tick.
_AT_ONCE = 20
_LOCKS = 1_702_260_326  # namespace of the advisory locks, with a mailbox's id

# The first search is after a provider has had time to file the copy, later ones whenever the e-mail's age has doubled.
# evidence_sought_at before the hand-over belongs to an earlier attempt.
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
    """Mailboxes with e-mails to search for now, the longest unknown first."""
    return [mailbox_id for (mailbox_id,) in fetch(DUE, _values())]


CLAIM_DUE = f"""
WITH due AS (
    SELECT q.id FROM campaign_email_queue q JOIN mailbox m ON m.id = q.mailbox_id
    WHERE q.mailbox_id = %(mailbox)s AND {_IS_DUE}
    ORDER BY q.evidence_sought_at NULLS FIRST, q.id LIMIT %(at_once)s FOR NO KEY UPDATE OF q
)
UPDATE campaign_email_queue q SET evidence_sought_at = clock_timestamp() FROM due WHERE q.id = due.id
RETURNING q.id AS email_id, q.claim_token, q.message_id, q.handed_over_at
"""  # noqa: S608


def claim_due(mailbox_id: int) -> list[Doubtful]:
    """Claim the mailbox's due e-mails. Marked before the search, so that a failing one is not repeated at once."""
    return rows(Doubtful, CLAIM_DUE, {**_values(), "mailbox": mailbox_id, "at_once": _AT_ONCE})


def forget(mailbox_id: int) -> None:
    """Make the mailbox's unknown e-mails due for a search: with its old settings the last one may have failed."""
    query = "UPDATE campaign_email_queue SET evidence_sought_at = NULL WHERE mailbox_id = %s AND status = 'unknown'"
    execute(query, (mailbox_id,))


@contextmanager
def try_lock(mailbox_id: int) -> Iterator[bool]:
    """Whether no other process searches this mailbox. The session's lock ends with the process."""
    key = (_LOCKS, mailbox_id)
    got: bool = fetch("SELECT pg_try_advisory_lock(%s, %s::int)", key)[0][0]
    try:
        yield got
    finally:
        if got:
            fetch("SELECT pg_advisory_unlock(%s, %s::int)", key)


def _values() -> dict[str, Any]:
    return {"first": timedelta(seconds=config.settings().imap.first_look_seconds)}
