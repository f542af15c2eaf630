"""Addresses that no campaign may write to. Imports do not remove them."""

from dataclasses import dataclass
from datetime import datetime

from models.email import recipients
from models.owner import changes
from models.store import tick_request
from models.store.database import database, fetch_row, rows


@dataclass(frozen=True)
class Suppressed:
    address: str  # normalised
    reason: str
    since: datetime
    by: str | None  # None: added before this was recorded


ADD = "INSERT INTO suppression (address, reason) VALUES (%s, %s) ON CONFLICT DO NOTHING RETURNING reason"


def add(address: str, reason: str, by: str) -> None:
    """Also cancels what is planned for this person. address: normalised. Adding it again keeps the first reason."""
    with database.atomic():
        if fetch_row(ADD, (address, reason)):
            changes.record_of_address(address, {"suppressed": [None, reason]}, by, "suppress")
        recipients.cancel_forbidden(by, address)
        tick_request.ask_for_tick()


REMOVE = "DELETE FROM suppression WHERE address = %s RETURNING reason"


def remove(address: str, by: str) -> bool:
    """Leads that were left out can be planned again; cancelled e-mails stay cancelled. False: it was not suppressed."""
    with database.atomic():
        row = fetch_row(REMOVE, (address,))
        if row is None:
            return False
        changes.record_of_address(address, {"suppressed": [row[0], None]}, by, "unsuppress")
        tick_request.ask_for_tick()
    return True


EVERY = """
SELECT s.address, s.reason, s.created_at AS since, ordered.by
FROM suppression s LEFT JOIN LATERAL (
    SELECT c.by FROM change c WHERE c.address = s.address AND c.verb = 'suppress' ORDER BY c.id DESC LIMIT 1
) ordered ON true
"""


def every() -> list[Suppressed]:
    return sorted(rows(Suppressed, EVERY), key=lambda it: it.address)
