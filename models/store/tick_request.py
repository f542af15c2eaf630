"""Asks for a tick now, so that an order takes effect before the next minute.

A NOTIFY in the order's transaction: Postgres delivers it on commit only. Nothing depends on it: if nobody listens, the
next tick does the same.
"""

from collections.abc import Iterator

from models.store import database

_CHANNEL = "punktual_tick"


def ask_for_tick() -> None:
    database.notify(_CHANNEL)


def heard() -> Iterator[None]:
    """Yield, for ever, when a tick was asked for; several at once count as one. Raises database.FAILURES."""
    return database.notifications(_CHANNEL)
