"""Loaded into a real process of the product: logs its durable effects, and can kill it right before one.

A durable effect outlives the process: a commit, a message published or acknowledged, bytes on a socket or the disk. Two
entries are only marks, so that each step of the pipeline has a name: `compose`, and `answer`, where the dot was sent
and its answer was not read yet.
"""

import os
import re
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dramatiq import Message
from dramatiq.brokers.rabbitmq import RabbitmqBroker, _RabbitmqConsumer
from dramatiq.worker import ConsumerThread
from psycopg2.extensions import TRANSACTION_STATUS_IDLE

from mail.connection import Connection
from models.email import moves
from models.store.database import Prepared, database
from tests.waiting import BOUND

LOG, DIE_BEFORE = "EFFECTS_LOG", "EFFECTS_DIE_BEFORE"
_WRITES = re.compile(r"\b(INSERT|UPDATE|DELETE)\b(?! SKIP| OF)")
# Of a packet of prepared statements.
_COMMITS, _EXECUTED = "; COMMIT; ", re.compile(r"\bEXECUTE (\w+)")
_MOVES = {it.name for it in vars(moves).values() if isinstance(it, Prepared) and "INSERT" in it.preparation}
_OURS = re.compile(r"^(?:actors|models)\.(?:\w+\.)*(\w+)$")
_PLUMBING = {"models.store.database", "models.email.move_statements", "actors.disk.jsonlines"}

_lock = threading.Lock()
_count = 0
# A delayed message whose time has come is published again and then acknowledged, while another thread may already work
# on it. Here it waits for that, so that the effects have one order.
_acknowledged = threading.Event()
_acknowledged.set()


def reached(name: str) -> None:
    """Called right before the effect. If the process is to die here, nothing of it happens any more."""
    global _count
    if name.endswith(".claim"):
        _acknowledged.wait(BOUND)
    with _lock:
        _count += 1
        if _count == int(os.environ.get(DIE_BEFORE, "0")):
            os.kill(os.getpid(), signal.SIGKILL)
            threading.Event().wait()
        with Path(os.environ[LOG]).open("a") as log:
            log.write(f"{name}\n")


def watch() -> None:
    """Wrap every function through which a process can have an effect."""
    _before(database, "commit", _commit)
    _before(database, "execute_sql", _statement)
    _before(RabbitmqBroker, "enqueue", lambda _, message, **__: _published(message))
    _before(_RabbitmqConsumer, "ack", lambda _, message: f"acknowledge {message.queue_name}")
    _after(_RabbitmqConsumer, "ack", _acknowledged.set)
    _before(Connection, "connect", lambda *_: "connect")
    _before(Connection, "send", lambda _, sent: _command(sent))
    _before(Connection, "write_dot", lambda *_: "dot")
    _before(Connection, "getreply", lambda _, seconds=None: "answer" if seconds is not None else None)
    # Written, a line outlives its process; only a machine that loses its power needs it synced too.
    for name in ("write", "ftruncate"):
        _before(os, name, lambda *_: _caller() if _is_on_a_line() else None)


def mark(owner: Any, attribute: str) -> None:
    """Name a step that is no effect."""
    _before(owner, attribute, lambda *_: attribute)


def _before(owner: Any, attribute: str, name: Callable[..., str | None]) -> None:
    original = getattr(owner, attribute)

    def watched(*arguments: Any, **options: Any) -> Any:
        if effect := name(*arguments, **options):
            reached(effect)
        return original(*arguments, **options)

    setattr(owner, attribute, watched)


def _after(owner: Any, attribute: str, then: Callable[[], None]) -> None:
    original = getattr(owner, attribute)

    def followed(*arguments: Any, **options: Any) -> Any:
        try:
            return original(*arguments, **options)
        finally:
            then()

    setattr(owner, attribute, followed)


def _published(message: Message[Any]) -> str:
    if isinstance(threading.current_thread(), ConsumerThread):
        _acknowledged.clear()
    return f"publish {message.queue_name}"


def _commit(*_: object) -> str | None:
    """None: the last packet of its transaction has committed it."""
    session: Any = None if database.is_closed() else database.connection()  # type: ignore[no-untyped-call]
    is_over = session and not session.begins and session.get_transaction_status() == TRANSACTION_STATUS_IDLE
    return None if is_over else _caller()


def _statement(query: str, *_: object) -> str | None:
    """A write outside a transaction is its own commit, and a packet may commit its transaction."""
    if _COMMITS in query:
        return _caller()
    is_write = _WRITES.search(query) and not query.lstrip().startswith("SELECT")
    is_move = not _MOVES.isdisjoint(_EXECUTED.findall(query))
    return _caller() if (is_write or is_move) and not database.in_transaction() else None


def _command(sent: str | bytes) -> str:
    line = sent.encode() if isinstance(sent, str) else sent
    verb = line[:4].decode("ascii", "replace").upper()
    return verb if verb in ("EHLO", "MAIL", "RCPT", "DATA", "QUIT", "AUTH", "RSET") else "body"


def _is_on_a_line() -> bool:
    """Whether it is our own files that are written: the one who asks is two calls up."""
    return bool(sys._getframe(3).f_globals.get("__name__") == "actors.disk.jsonlines")


def _caller() -> str:
    """The public function of ours that this is done for."""
    frame = sys._getframe()
    while frame := frame.f_back:  # type: ignore[assignment]
        module, function = frame.f_globals.get("__name__", ""), frame.f_code.co_name
        if (found := _OURS.match(module)) and module not in _PLUMBING and not function.startswith(("_", "<")):
            return f"{found[1]}.{function}"
    return "nobody of ours"
