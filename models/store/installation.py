"""The database's identity, and whether it may send: a restored backup is disarmed until a person has checked it."""

from hashlib import blake2b
from typing import Any, NamedTuple
from uuid import UUID

from models.store import reason_columns
from models.store.database import execute, fetch, once_a_session, row, rows
from reasons import Why


class HistoryPosition(NamedTuple):
    """A row of email_history that was seen. A database without it has gone back in time."""

    history_id: int
    email_id: int
    at: str  # as text, to the microsecond


class Seen(NamedTuple):
    """What a machine has seen in a database, and which must still be there."""

    installation: UUID | None = None
    history: HistoryPosition | None = None
    hand_over: tuple[int, UUID] | None = None  # an e-mail, and the token under which it was handed over

    def values(self) -> dict[str, Any]:
        """The parameters of KNOWS."""
        history, hand_over = self.history or (None, None, None), self.hand_over or (None, None)
        names = ("seen_history", "seen_email", "seen_at", "seen_hand_over", "seen_token")
        token = hand_over[1] and str(hand_over[1])
        installation = self.installation and str(self.installation)
        return {"seen_installation": installation, **dict(zip(names, (*history, hand_over[0], token), strict=True))}


NOTHING_SEEN = Seen()


class DatabaseDisagrees(Exception):
    """The database is disarmed, is another one, or lacks something that this machine has seen in it."""


# Condition on a row of email_history: it records the hand-over.
HANDED_OVER = "move IN ('hand_over', 'recover')"
KNOWS = f"""
(%(seen_installation)s::uuid IS NULL OR i.id = %(seen_installation)s::uuid)
AND (%(seen_history)s::bigint IS NULL OR EXISTS (
    SELECT FROM email_history
    WHERE id = %(seen_history)s::bigint AND email_id = %(seen_email)s::bigint AND at::text = %(seen_at)s::text))
AND (%(seen_token)s::uuid IS NULL OR EXISTS (
    SELECT FROM email_history
    WHERE email_id = %(seen_hand_over)s::bigint AND claim_token = %(seen_token)s::uuid AND {HANDED_OVER}))
"""  # noqa: S608  # only our own words
# For a claim, within its own statement.
AGREES = f"(SELECT i.disarmed_reason IS NULL AND {KNOWS} FROM installation i)"  # noqa: S608  # only our own words


def identity(*, again: bool = False) -> UUID:
    """The id given to the database when it was created. Backups and copies have the same one.

    Read once per session, unless `again`.
    """
    return once_a_session(_identity, again=again)


def _identity() -> UUID:
    found: UUID = fetch("SELECT id FROM installation")[0][0]
    return found


FINGERPRINT = """
SELECT i.id || current_database() || CASE WHEN has_function_privilege('pg_control_system()', 'EXECUTE')
    THEN (SELECT system_identifier::text FROM pg_control_system()) ELSE '' END
FROM installation i
"""


def fingerprint() -> str:
    """A short id of this database, different from that of a copy on another server."""
    return blake2b(fetch(FINGERPRINT)[0][0].encode(), digest_size=8).hexdigest()


DISARMED = """
SELECT disarmed_reason AS text, disarmed_reason_code AS code, disarmed_reason_values AS values FROM installation
"""


class _Disarmed(NamedTuple):
    text: str | None  # None: it is armed
    code: str | None
    values: dict[str, Any] | None


def disarmed_reason() -> Why | None:
    return _disarmed_reason(DISARMED)


def lock_disarmed_reason() -> Why | None:
    """Why the database is disarmed, locked until the transaction ends. None if it is not."""
    return _disarmed_reason(f"{DISARMED} FOR NO KEY UPDATE")


def _disarmed_reason(query: str) -> Why | None:
    [found] = rows(_Disarmed, query)
    return reason_columns.current(found.text, found.code, found.values)


SET_DISARMED = """
UPDATE installation
SET disarmed_reason = %(disarmed_reason)s, disarmed_reason_code = %(disarmed_reason_code)s,
    disarmed_reason_values = %(disarmed_reason_values)s
"""


def set_disarmed_reason(reason: Why | None) -> None:
    """Write why the database is disarmed; None arms it. For models/owner/arming.py, which records the change."""
    execute(SET_DISARMED, reason_columns.for_sql(reason, "disarmed_reason"))


LATEST = "SELECT id AS history_id, email_id, at::text AS at FROM email_history ORDER BY id DESC LIMIT 1"
# Writes to Postgres's log and nothing else.
FLUSH = "SELECT pg_logical_emit_message(true, 'punktual', '')"


def latest() -> HistoryPosition | None:
    """The newest row of email_history. When this returns, it is on Postgres's disk. Not inside a transaction."""
    newest = row(HistoryPosition, LATEST)
    # Claims and plans are committed without waiting for the disk. If a crash lost this row, it would look like a
    # restored backup. This commit waits, and Postgres writes its log in order.
    execute(FLUSH)
    return newest


KNOWN = f"SELECT {KNOWS} FROM installation i"  # noqa: S608  # only our own words


def knows(seen: Seen) -> bool:
    """Whether this is the database that the machine has seen, with all that it saw."""
    return bool(fetch(KNOWN, seen.values())[0][0])
