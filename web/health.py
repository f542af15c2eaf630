"""Liveness of this process, and readiness of everything that sending needs. Public: reveals no secret."""

import threading
from collections.abc import Callable

from flask import Blueprint
from flask.typing import ResponseReturnValue

import clock
import config
from models.health import heartbeats
from models.store import database, migrate
from ops import broker_check

SECONDS = 2.0
KEPT_SECONDS = 1.0
READ_ONLY = "the database is a standby or read-only"

blueprint = Blueprint("health", __name__, url_prefix="/health")


@blueprint.get("/live")
def live() -> ResponseReturnValue:
    return {"live": True}


@blueprint.get("/ready")
def ready() -> ResponseReturnValue:
    """503 unless each check is ok."""
    found = latest.read()
    checks = {name: {"ok": why is None, "why": why} for name, why in found.items()}
    is_ready = not any(found.values())
    return {"ready": is_ready, "checks": checks}, 200 if is_ready else 503


def check_readiness() -> dict[str, str | None]:
    """Check -> why it fails; None: it is ok."""
    found = _database()
    if not config.settings().broker.embedded:
        found["broker"] = broker_check.why_not(SECONDS) or _shared(found)
    return found


def _database() -> dict[str, str | None]:
    try:
        with database.bounded_statements(SECONDS):
            lacks = migrate.missing()
            return {
                "database": READ_ONLY if database.takes_no_writes() else None,
                "schema": f"missing migrations: {', '.join(lacks)}" if lacks else None,
                "tick": None if lacks else _tick(),
            }
    except database.FAILURES as failure:
        why = READ_ONLY if database.is_read_only(failure) else "the database does not answer"
        return dict.fromkeys(("database", "schema", "tick"), why)


def _tick() -> str | None:
    last = heartbeats.last("tick")
    if last is None:
        return "no tick has completed yet"
    if not heartbeats.is_overdue(last):
        return None
    return f"the last tick completed {round((database.clock() - last).total_seconds())} s ago"


def _shared(found: dict[str, str | None]) -> str | None:
    if found["database"] or found["schema"]:
        return None
    try:
        return heartbeats.shared()
    except database.FAILURES:
        return None


class Latest:
    """Caches the last result for a moment, so that many requests cost one check."""

    def __init__(
        self, look: Callable[[], dict[str, str | None]], seconds: Callable[[], float] = clock.boottime
    ) -> None:
        self._look, self._seconds = look, seconds
        self._lock = threading.Lock()
        self.forget()

    def forget(self) -> None:
        self._found: dict[str, str | None] = {}
        self._until = 0.0

    def read(self) -> dict[str, str | None]:
        with self._lock:
            if self._seconds() >= self._until:
                self._found = self._look()
                self._until = self._seconds() + KEPT_SECONDS
            return self._found


latest = Latest(check_readiness)
