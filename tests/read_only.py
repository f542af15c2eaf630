"""A read-only Postgres server, as a managed one becomes when its disk is nearly full."""

from collections.abc import Iterator
from contextlib import contextmanager

from models.store import database
from tests.waiting import until


@contextmanager
def read_only_server() -> Iterator[None]:
    """Make existing and new sessions read-only. This thread's own session stays open until it is closed."""
    _turn("on")
    try:
        yield
    finally:
        _turn("off")


def _turn(read_only: str) -> None:
    database.execute(f"ALTER SYSTEM SET default_transaction_read_only = {read_only}")
    database.execute("SELECT pg_reload_conf()")
    until(lambda: database.takes_no_writes() == (read_only == "on"), "the server to turn")
