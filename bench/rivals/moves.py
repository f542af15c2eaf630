"""What the Celery rivals do to a mail's rows: claim, hand over, accept; with gates and without."""

import os
import socket
from dataclasses import dataclass
from typing import Protocol

import psutil

from bench.rivals.letter import Mail
from bench.rivals.statements import Connection
from bench.rows import SUBJECT, TEXT


@dataclass(frozen=True)
class Wait:
    """A gate is closed: ask again after so many seconds."""

    seconds: float


class Moves(Protocol):
    def claim(self, mail_id: int, token: str) -> Mail | Wait | None:
        """None: it is not to be sent now, and whoever opens the gate will ask again."""

    def hand_over(self, mail_id: int, token: str, content: bytes) -> bool: ...

    def accept(self, mail_id: int, token: str, reply: str) -> None: ...

    def release(self, mail_id: int, token: str, reason: str) -> None: ...


class Short:
    """Three commits, and no gates."""

    def __init__(self, url: str) -> None:
        self._connection = Connection(url, "short_moves.sql")

    def claim(self, mail_id: int, token: str) -> Mail | Wait | None:
        with self._connection.transaction() as on:
            found = on.run("claim", mail_id, token)
            if found is None:
                return None
            on.run("history", mail_id, "claim", token, None)
        sender, recipient, fields, message_id = found
        return Mail(sender, recipient, fields, message_id, SUBJECT, TEXT)

    def hand_over(self, mail_id: int, token: str, content: bytes) -> bool:
        with self._connection.transaction() as on:
            held = on.run("hand_over", mail_id, token) is not None
            if held:
                on.run("history", mail_id, "hand_over", token, None)
        return held

    def accept(self, mail_id: int, token: str, reply: str) -> None:
        with self._connection.transaction() as on:
            if on.run("accept", mail_id, token) is not None:
                on.run("history", mail_id, "accept", token, reply)

    def release(self, mail_id: int, token: str, reason: str) -> None:
        raise RuntimeError(f"mail {mail_id} was not accepted: {reason}")


# Gates that open by themselves; the planner gives another time for the others.
_WAITS = {"early", "busy", "gap", "pace", "host"}


class Gated:
    """The same with every lock and gate, on Punktual's tables."""

    def __init__(self, url: str, at_once_to_a_host: int) -> None:
        self._connection = Connection(url, "gated.sql")
        self._at_once = at_once_to_a_host
        self._worker = (socket.gethostname(), os.getpid(), psutil.Process().create_time())

    def claim(self, mail_id: int, token: str) -> Mail | Wait | None:
        with self._connection.transaction() as on:
            for lock in ("lock_campaign", "lock_mailbox", "lock_host"):
                on.run(lock, mail_id)
            closed, seconds = on.run("claim_gate", mail_id, self._at_once) or ("stale", 0.0)
            if closed is not None:
                return Wait(min(max(seconds, 0.05), 2.0)) if closed in _WAITS else None
            found = on.run("claim", mail_id, token, *self._worker)
        return Mail(*found) if found else None

    def hand_over(self, mail_id: int, token: str, content: bytes) -> bool:
        with self._connection.transaction() as on:
            for lock in ("lock_campaign", "lock_mailbox", "lock_email"):
                on.run(lock, mail_id)
            (closed,) = on.run("hand_over_gate", mail_id, token) or ("stale",)
            return closed is None and on.run("hand_over", mail_id, token, content) is not None

    def accept(self, mail_id: int, token: str, reply: str) -> None:
        with self._connection.transaction() as on:
            on.run("lock_email", mail_id)
            on.run("accept", mail_id, token, reply)

    def release(self, mail_id: int, token: str, reason: str) -> None:
        with self._connection.transaction() as on:
            on.run("lock_email", mail_id)
            on.run("release", mail_id, token, reason)

    def close(self) -> None:
        self._connection.close()
