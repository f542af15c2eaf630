"""Announces each committed move to listeners: the log and the counters register here, so models need not know them."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from models.email.attempts import Conversation
from models.states import Move, Status
from models.store.database import database
from reasons import Why


@dataclass(frozen=True, kw_only=True)
class Moved:
    """One move of one e-mail; if email_id is None, of `count` e-mails of a campaign at once."""

    move: Move
    campaign_id: int
    by: str
    count: int = 1
    email_id: int | None = None
    mailbox_id: int | None = None
    from_status: Status | None = None
    to_status: Status | None = None
    reason: Why | None = None
    scheduled_at: datetime | None = None  # after the move
    sent_at: datetime | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    conversation: Conversation | None = None  # that caused it


_log = logging.getLogger(__name__)
_listeners: list[Callable[[Moved], None]] = []


def listen(listener: Callable[[Moved], None]) -> None:
    if listener not in _listeners:
        _listeners.append(listener)


def tell(moved: Moved) -> None:
    """Call the listeners after the commit; never for a move that is rolled back."""
    database.after_commit(partial(_tell, moved))


def _tell(moved: Moved) -> None:
    """Call the listeners and log what they raise: the move is committed and must not look as if it had failed."""
    for listener in _listeners:
        try:
            listener(moved)
        except Exception:  # noqa: BLE001  # whatever it is
            _log.exception("a move was not told of")
