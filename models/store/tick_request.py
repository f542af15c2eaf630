"""Asks for a tick now: whoever gives an order need not wait for the minute.

Part of the order's transaction: Postgres tells those who listen when it is committed, and nobody if it is not. Nothing
depends on it: where nobody hears it, the next tick does the same.
"""

from collections.abc import Iterator

from models.store import database

_CHANNEL = "punktual_tick"


def ask_for_tick() -> None:
    database.notify(_CHANNEL)


def heard() -> Iterator[None]:
    """Yield when a tick was asked for, for ever; several at once count as one. Raises what database.FAILURES lists."""
    return database.notifications(_CHANNEL)
