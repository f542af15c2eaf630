"""Addresses that no campaign may write to. They survive every import."""

from models.database import execute
from models.tables import Suppression


def add(address: str, reason: str) -> None:
    """address: normalised. Adding it again keeps the first reason."""
    Suppression.insert(address=address, reason=reason).on_conflict_ignore().execute()


def remove(address: str) -> bool:
    return bool(execute("DELETE FROM suppression WHERE address = %s", (address,)))


def every() -> list[Suppression]:
    return sorted(Suppression.select(), key=lambda row: row.address)
