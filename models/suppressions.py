"""Addresses that no campaign may write to. They survive every import."""

from models.tables import Suppression


def add(address: str, reason: str) -> None:
    """address: normalised. Adding it again keeps the first reason."""
    Suppression.insert(address=address, reason=reason).on_conflict_ignore().execute()


def remove(address: str) -> bool:
    return bool(Suppression.delete().where(Suppression.address == address).execute())


def every() -> list[Suppression]:
    return list(Suppression.select().order_by(Suppression.address))
