"""Logs and counts each move of an e-mail."""

from typing import Any

from models.email import announcements
from models.email.announcements import Moved
from models.states import Move, Status
from ops.watch import logs, metrics
from reasons import Reason

log = logs.get()
# Fields of a conversation that explain a move; without the server's words, which may name the lead.
_TOLD = ("code", "enhanced", "scope", "phase", "seconds")


def watch() -> None:
    """Log and count every move that this process commits from now on."""
    announcements.listen(_log)
    announcements.listen(_count)


def _log(it: Moved) -> None:
    write = log.warning if it.to_status is Status.UNKNOWN else log.info
    if it.email_id is None:
        write("emails_moved", **_fields(it), count=it.count)
    else:
        write("email_moved", email_id=it.email_id, mailbox_id=it.mailbox_id, **_fields(it), **_why(it))


def _fields(it: Moved) -> dict[str, Any]:
    named = {
        "move": it.move,
        "campaign_id": it.campaign_id,
        "from_status": it.from_status,
        "to_status": it.to_status,
        "scheduled_at": it.scheduled_at and it.scheduled_at.isoformat(),
        # Only the code of our reasons: the sentence may contain a server's words.
        "reason": it.reason.code if isinstance(it.reason, Reason) else it.reason,
        "by": it.by,
    }
    return {name: value for name, value in named.items() if value is not None}


def _why(it: Moved) -> dict[str, Any]:
    told = {name: getattr(it.conversation, name, None) for name in _TOLD} | {"header": it.detail.get("header")}
    return {name: value for name, value in told.items() if value not in (None, {})}


def _count(it: Moved) -> None:
    if it.move is Move.REPLAN and isinstance(it.reason, Reason):
        metrics.REPLANNED.labels(it.reason.code).inc(it.count)
    if it.move is Move.ACCEPT:
        metrics.SENT.labels(it.campaign_id, it.mailbox_id).inc()
    # Late proof says that it was sent, not when.
    if it.move is Move.ACCEPT and it.from_status is Status.SENDING and it.sent_at and it.scheduled_at:
        metrics.SCHEDULE_LAG.observe((it.sent_at - it.scheduled_at).total_seconds())
