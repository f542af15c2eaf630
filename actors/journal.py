"""Keeps the outcomes of attempts on this machine's disk while the database is away, and records them when it is back.

One file a machine, one JSON line an outcome, each on the disk before append() returns. A worker merges it before it
claims anything; a journal that cannot be read stops claiming, because guessing could send a mail twice.
"""

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import config
from mail.outcome import Accepted, Deferred, Outcome, Phase, Refused, Reply, Scope, Unanswered, Withdrawn, no_reply
from models.claims import Attempt, Held


class JournalUnreadable(Exception):
    """The journal has a line that is no outcome: nothing is claimed until a person has looked at it."""


def append(attempt: Attempt, outcome: Outcome) -> None:
    """Raises OSError where the disk does not take it."""
    with _locked() as journal:
        line = json.dumps(_plain(attempt, outcome)).encode() + b"\n"
        before = os.fstat(journal).st_size
        try:
            if os.write(journal, line) != len(line):
                raise OSError("the disk is full")
            os.fsync(journal)
        except OSError:
            # Half a line would make the whole journal unreadable.
            os.ftruncate(journal, before)
            raise


def merge(record: Callable[[Attempt, Outcome], object]) -> None:
    """Record what the journal holds, and empty it. Killed in between, it is recorded again, which changes nothing."""
    if not _path().exists() or not _path().stat().st_size:
        return
    with _locked() as journal:
        for attempt, outcome in _read(journal):
            record(attempt, outcome)
        os.ftruncate(journal, 0)
        os.fsync(journal)


def _path() -> Path:
    return config.settings().var / "journal" / "outcomes.jsonl"


@contextmanager
def _locked() -> Iterator[int]:
    """The open journal, while no other process of this machine writes or merges it."""
    path = _path()
    path.parent.mkdir(parents=True, exist_ok=True)
    journal = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        fcntl.flock(journal, fcntl.LOCK_EX)
        yield journal
    finally:
        os.close(journal)


def _read(journal: int) -> list[tuple[Attempt, Outcome]]:
    size = os.fstat(journal).st_size
    lines = os.pread(journal, size, 0).split(b"\n")
    if lines.pop() != b"":
        raise JournalUnreadable(f"{_path()}: the last line is cut off; remove it, and its mail will show as unknown")
    return [_parsed(number, line) for number, line in enumerate(lines, start=1)]


def _parsed(number: int, line: bytes) -> tuple[Attempt, Outcome]:
    try:
        it = json.loads(line)
        held = Held(it["email_id"], UUID(it["token"]), it["by"])
        attempt = Attempt(held, it["campaign_id"], it["mailbox_id"], it["attempts"])
        return attempt, _outcome(it["outcome"], it)
    except (ValueError, KeyError, TypeError) as error:
        raise JournalUnreadable(f"{_path()} line {number} is no outcome: {error!r}") from None


def _outcome(kind: str, it: dict[str, str]) -> Outcome:
    reply = Reply(*it["reply"])
    match kind:
        case "accepted":
            return Accepted(reply)
        case "deferred":
            return Deferred(Scope(it["scope"]), Phase(it["phase"]), reply)
        case "refused":
            return Refused(Scope(it["scope"]), Phase(it["phase"]), reply)
        case "withdrawn":
            return Withdrawn(reply.text)
    raise ValueError(f"there is no outcome {kind!r}")


def _plain(attempt: Attempt, outcome: Outcome) -> dict[str, object]:
    assert not isinstance(outcome, Unanswered), "only what is proved is worth keeping"
    reply = no_reply(outcome.reason) if isinstance(outcome, Withdrawn) else outcome.reply
    it: dict[str, object] = {
        "email_id": attempt.held.email_id,
        "token": str(attempt.held.token),
        "by": attempt.held.by,
        "campaign_id": attempt.campaign_id,
        "mailbox_id": attempt.mailbox_id,
        "attempts": attempt.attempts,
        "outcome": type(outcome).__name__.lower(),
        "reply": [reply.code, reply.enhanced, reply.text],
    }
    if isinstance(outcome, Deferred | Refused):
        it |= {"scope": outcome.scope, "phase": outcome.phase}
    return it
