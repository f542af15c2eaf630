"""Addresses and domains that no campaign may write to. Imports of leads do not remove them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from peewee import chunked

from models.audit import changes
from models.email import recipients
from models.email.suppressed import DOMAIN, ENTRY
from models.people import forgotten
from models.states import INBOX
from models.store import reason_columns, tick_request
from models.store.database import database, execute, fetch_row, rows
from models.store.tables import Suppression
from reasons import Why


@dataclass(frozen=True)
class NewSuppression:
    """A suppression to add.

    key: a normalised address, or "@" with a domain, for its subdomains too: see mail.address.suppressible.
    email_id: our e-mail that the person answered. proof: what proves it, like the Message-ID of the answer.
    """

    key: str
    reason: Why
    email_id: int | None = None
    proof: str | None = None


@dataclass(frozen=True)
class Suppressed:
    address: str  # normalised; of a domain "@" with it
    why: Why
    since: datetime
    by: str | None  # None: added before this was recorded
    email_id: int | None
    proof: str | None

    @property
    def reason(self) -> str:
        """The reason in English."""
        return str(self.why)


@dataclass(frozen=True)
class _Row:
    address: str
    reason: str
    reason_code: str | None
    reason_values: dict[str, Any] | None
    since: datetime
    by: str | None
    email_id: int | None
    proof: str | None


def add(key: str, reason: Why, by: str, *, email_id: int | None = None, proof: str | None = None) -> bool:
    """Suppress an address or a domain: see NewSuppression.

    Cancels what is planned for these people, and once it returns nothing more is handed over to them. Adding it again
    returns False, and keeps the first reason, unless that was a message and this is a person's order.
    """
    return bool(add_each([NewSuppression(key, reason, email_id, proof)], by))


def add_each(entries: Sequence[NewSuppression], by: str) -> list[str]:
    """Suppress several, each recorded as an order of its own. Returns which were not suppressed before."""
    with database.atomic():
        new = _insert(_without_forgotten(entries), by)
        for it in entries:
            if it.key not in new and by != INBOX:
                execute(TAKE_OVER, {"key": it.key, "by": by, **reason_columns.for_sql(it.reason, "reason")})
            if it.key in new:
                changes.record_of_address(it.key, {"suppressed": [None, str(it.reason)]}, by, "suppress")
        recipients.stop_suppressed([it.key for it in entries], by)
        tick_request.ask_for_tick()
    return new


def import_(entries: Sequence[NewSuppression], by: str) -> int:
    """Suppress a list, all or none, recorded as one order. Returns how many were not suppressed before."""
    with database.atomic():
        new = _insert(_without_forgotten(entries), by)
        if new:
            changes.record_of_installation({"suppressed": [None, len(new)]}, by, "import suppressions")
        recipients.stop_suppressed(new, by)
        tick_request.ask_for_tick()
    return len(new)


def add_silently(entries: Sequence[NewSuppression], by: str) -> None:
    """Suppress without a record, for forgetting.py: it records its own order.

    No more is handed over to these people once the caller commits.
    """
    _insert(entries, by)
    recipients.stop_suppressed([it.key for it in entries], by)


def _without_forgotten(entries: Sequence[NewSuppression]) -> list[NewSuppression]:
    """Leave out people who were forgotten: they are suppressed, and their address is not written down again."""
    forgotten.lock_forgetting()
    gone = forgotten.among([it.key for it in entries])
    return [it for it in entries if it.key not in gone]


def _insert(entries: Sequence[NewSuppression], by: str) -> list[str]:
    """Insert the suppressions. Returns the keys that are new."""
    found = []
    values = (
        {
            "address": it.key,
            **reason_columns.written(it.reason, "reason"),
            "by": by,
            "email_id": it.email_id,
            "proof": it.proof,
        }
        # In one order, so that two imports at once cannot wait for each other's rows.
        for it in sorted(entries, key=lambda it: it.key)
    )
    for batch in chunked(values, 1000):
        insert = Suppression.insert_many(batch).on_conflict_ignore()
        found += [key for (key,) in insert.returning(Suppression.address).tuples().execute()]
    return found


# A person's order is a reason of its own: it stays when the message is corrected that was the first one.
TAKE_OVER = """
UPDATE suppression SET by = %(by)s, reason = %(reason)s, reason_code = %(reason_code)s,
    reason_values = %(reason_values)s
WHERE address = %(key)s AND by = 'inbox'
"""
REMOVE = """
DELETE FROM suppression WHERE address = %(key)s AND (%(only_of)s::text IS NULL OR by = %(only_of)s) RETURNING reason
"""


def remove(key: str, by: str, reason: Why | None = None, *, only_of: str | None = None) -> bool:
    """End a suppression. Leads that were left out can be planned again; cancelled e-mails stay cancelled.

    only_of: end it only if this is who suppressed it. Returns False if nothing was ended.
    """
    with database.atomic():
        row = fetch_row(REMOVE, {"key": key, "only_of": only_of})
        if row is None:
            return False
        changes.record_of_address(key, {"suppressed": [row[0], None]}, by, "unsuppress", reason)
        tick_request.ask_for_tick()
    return True


_COLUMNS = """
s.address, s.reason, s.reason_code, s.reason_values, s.created_at AS since, COALESCE(s.by, ordered.by) AS by,
s.email_id, s.proof
"""
_ORDERED = """
LEFT JOIN LATERAL (
    SELECT c.by FROM change c WHERE c.address = s.address AND c.verb = 'suppress' ORDER BY c.id DESC LIMIT 1
) ordered ON s.by IS NULL
"""
EVERY = f"SELECT {_COLUMNS} FROM suppression s {_ORDERED}"  # noqa: S608  # only our own words


def every() -> list[Suppressed]:
    """All suppressions: addresses first, then domains, each in order."""
    found = map(_suppressed, rows(_Row, EVERY))
    return sorted(found, key=lambda it: (it.address.startswith(DOMAIN), it.address))


PAGE = f"""
{EVERY} WHERE s.address > %(after)s AND (%(part)s = '' OR strpos(s.address, %(part)s) > 0)
ORDER BY s.address LIMIT %(limit)s
"""  # only our own words


def page(after: str, part: str, limit: int) -> list[Suppressed]:
    """A page of the suppressions, by address.

    after: the last address of the page before. part: what the address contains; "" for all.
    """
    return [_suppressed(it) for it in rows(_Row, PAGE, {"after": after, "part": part, "limit": limit})]


OF = f"""
SELECT asked.address AS asked, {_COLUMNS} FROM unnest(%(addresses)s::text[]) AS asked (address)
CROSS JOIN LATERAL {ENTRY.format(address="asked.address")} s {_ORDERED}
"""  # noqa: S608  # only our own words


@dataclass(frozen=True)
class _Asked(_Row):
    asked: str


def of(addresses: Collection[str]) -> dict[str, Suppressed]:
    """Normalised address -> what keeps it from being written to; others are left out."""
    return {row.asked: _suppressed(row) for row in rows(_Asked, OF, {"addresses": list(addresses)})}


def _suppressed(row: _Row) -> Suppressed:
    why = reason_columns.current(row.reason, row.reason_code, row.reason_values)
    return Suppressed(row.address, why or "", row.since, row.by, row.email_id, row.proof)
