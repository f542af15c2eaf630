"""Tells of each move once it is committed, to the log and the counters: models know of neither."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from models.database import database
from models.states import Move, Status


@dataclass(frozen=True, kw_only=True)
class Moved:
    """One move of one e-mail, or, where email_id is None, of `count` e-mails of a campaign at once."""

    move: Move
    campaign_id: int
    by: str
    count: int = 1
    email_id: int | None = None
    mailbox_id: int | None = None
    from_status: Status | None = None
    to_status: Status | None = None
    reason: str | None = None
    scheduled_at: datetime | None = None  # after the move
    sent_at: datetime | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


_listeners: list[Callable[[Moved], None]] = []


def listen(listener: Callable[[Moved], None]) -> None:
    if listener not in _listeners:
        _listeners.append(listener)


def tell(moved: Moved) -> None:
    """A move that is rolled back is never told of."""
    for listener in _listeners:
        database.after_commit(partial(listener, moved))
