"""Which database this is, and whether it may send: a restored backup is disarmed until a person has looked at it."""

from hashlib import blake2b
from typing import NamedTuple
from uuid import UUID

from models.store.database import execute, fetch, fetch_row


class Mark(NamedTuple):
    """A row of the history that was seen: a database that lacks it knows less than it did."""

    history_id: int
    email_id: int
    at: str  # as text, to the microsecond


def identity() -> UUID:
    """The name that the database was given when it was made; a backup and a copy of it bear the same one."""
    found: UUID = fetch("SELECT id FROM installation")[0][0]
    return found


MARK = """
SELECT i.id || current_database() || CASE WHEN has_function_privilege('pg_control_system()', 'EXECUTE')
    THEN (SELECT system_identifier::text FROM pg_control_system()) ELSE '' END
FROM installation i
"""


def mark() -> str:
    """A short name of this database, which a copy of it elsewhere does not bear."""
    return blake2b(fetch(MARK)[0][0].encode(), digest_size=8).hexdigest()


def disarmed_reason() -> str | None:
    found: str | None = fetch("SELECT disarmed_reason FROM installation")[0][0]
    return found


def lock_disarmed_reason() -> str | None:
    """The same, which nobody else changes until the transaction ends."""
    found: str | None = fetch("SELECT disarmed_reason FROM installation FOR NO KEY UPDATE")[0][0]
    return found


def set_disarmed_reason(reason: str | None) -> None:
    """An order of models/owner/arming.py, which records it."""
    execute("UPDATE installation SET disarmed_reason = %s", (reason,))


LATEST = "SELECT id, email_id, at::text FROM email_history ORDER BY id DESC LIMIT 1"


def latest() -> Mark | None:
    """The newest row of the history."""
    row = fetch_row(LATEST)
    return Mark(*row) if row else None


def knows(mark: Mark) -> bool:
    query = "SELECT true FROM email_history WHERE id = %s AND email_id = %s AND at::text = %s"
    return fetch_row(query, mark) is not None
