"""Addresses that no campaign may write to. They survive every import."""

from models.email import recipients
from models.store import tick_request
from models.store.database import database, execute
from models.store.tables import Suppression


def add(address: str, reason: str, by: str = "suppression") -> None:
    """Cancel what is planned for this person, too. address: normalised. Adding it again keeps the first reason."""
    with database.atomic():
        Suppression.insert(address=address, reason=reason).on_conflict_ignore().execute()
        recipients.cancel_forbidden(by, address)
        tick_request.ask_for_tick()


def remove(address: str) -> bool:
    """Leads that got no e-mail for it are planned then; what was cancelled stays cancelled."""
    with database.atomic():
        tick_request.ask_for_tick()
        return bool(execute("DELETE FROM suppression WHERE address = %s", (address,)))


def every() -> list[Suppression]:
    return sorted(Suppression.select(), key=lambda row: row.address)
