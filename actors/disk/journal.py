"""Keeps outcomes of attempts on this machine's disk while the database is away, and records them later.

One file per machine, one JSON line per outcome, each on the disk before append() returns. A worker merges the file
before it claims anything. An unreadable journal stops claiming, because guessing could send an e-mail twice. An outcome
that a working database refuses goes to a second file, so that it does not hold up the others, and is tried again from
there.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import config
from actors.disk import jsonlines
from mail.outcome import (
    Accepted,
    Deferred,
    Outcome,
    Phase,
    Refused,
    Reply,
    Scope,
    Unanswered,
    Withdrawn,
    no_reply,
)
from models.email.claims import Attempt, Held
from models.store import reason_columns
from reasons import Reason


class JournalUnusable(Exception):
    """The journal is unreadable or the disk is full: nothing is claimed until a person has fixed it."""


class Unrecordable(Exception):
    """The database works but refuses this outcome."""


Record = Callable[[Attempt, Outcome], object]


def append(attempt: Attempt, outcome: Outcome) -> None:
    """Append an attempt's outcome to the journal. Raises OSError if it cannot be written."""
    with jsonlines.locked(path()) as journal:
        jsonlines.append(journal, _plain(attempt, outcome))


def merge(record: Record) -> None:
    """Record the journal's outcomes, then empty it. If killed in between they are recorded again, which is harmless.

    record: raises Unrecordable for an outcome to be set aside; any other exception ends the merge.
    """
    if _is_empty(path()):
        return
    with jsonlines.locked(path()) as journal:
        if refused := _refused(record, _read(path(), journal)):
            with jsonlines.locked(refused_path()) as aside:
                jsonlines.append(aside, *refused)
        jsonlines.empty(journal)


def retry_refused(record: Record) -> None:
    """Try again to record outcomes set aside, and keep those refused again."""
    if _is_empty(refused_path()):
        return
    with jsonlines.locked(refused_path()) as aside:
        found = _read(refused_path(), aside)
        refused = _refused(record, found)
        if len(refused) < len(found):
            jsonlines.replace(refused_path(), *refused)


def _refused(record: Record, outcomes: list[tuple[Attempt, Outcome]]) -> list[dict[str, object]]:
    """The outcomes that the database refuses, in the file's format."""
    refused = []
    for attempt, outcome in outcomes:
        try:
            record(attempt, outcome)
        except Unrecordable:
            refused.append(_plain(attempt, outcome))
    return refused


def check_room() -> None:
    """Raise JournalUnusable if the disk may have no room for an outcome: checked before an e-mail is sent."""
    least = config.settings().sending.journal_room_megabytes
    try:
        disk = jsonlines.disk_of(path())
    except OSError as error:
        raise JournalUnusable(f"{path()} cannot be written: {error.strerror}") from None
    free = disk.f_bavail * disk.f_frsize / 1e6
    if free < least:
        raise JournalUnusable(f"{path().parent} has {free:.0f} MB left, less than sending.journal_room_megabytes")


def is_waiting() -> bool:
    """Whether there are outcomes that must be recorded before anything is claimed."""
    return not _is_empty(path())


def is_empty() -> bool:
    return _is_empty(path()) and _is_empty(refused_path())


def count() -> int:
    """How many outcomes wait for the database."""
    return len(_look(path()))


def refused_emails() -> list[int]:
    """The e-mails whose outcomes the database refuses."""
    return [attempt.held.email_id for attempt, _ in _look(refused_path())]


def path() -> Path:
    return jsonlines.path_of("outcomes.jsonl")


def refused_path() -> Path:
    return jsonlines.path_of("refused.jsonl")


def _is_empty(file: Path) -> bool:
    try:
        return not os.stat(file).st_size
    except FileNotFoundError:
        return True


def _look(file: Path) -> list[tuple[Attempt, Outcome]]:
    with jsonlines.locked(file) as descriptor:
        return _read(file, descriptor)


def _read(file: Path, descriptor: int) -> list[tuple[Attempt, Outcome]]:
    try:
        lines = jsonlines.read(file, descriptor)
    except jsonlines.LinesUnreadable as error:
        raise JournalUnusable(f"{error}; a mail whose answer is lost shows as unknown") from None
    return [_parsed(file, number, line) for number, line in enumerate(lines, start=1)]


def _parsed(file: Path, number: int, it: Any) -> tuple[Attempt, Outcome]:
    try:
        held = Held(it["email_id"], UUID(it["token"]), it["by"])
        attempt = Attempt(held, it["campaign_id"], it["mailbox_id"], it["attempts"])
        return attempt, _outcome(it["outcome"], it)
    except (ValueError, KeyError, TypeError) as error:
        raise JournalUnusable(f"{file} line {number} is not an outcome: {error!r}") from None


def _outcome(kind: str, it: dict[str, Any]) -> Outcome:
    instead = reason_columns.read(None, it.get("reason_code"), it.get("reason_values"))
    code, enhanced, text = it["reply"]
    reply = Reply(code, enhanced, text, instead if isinstance(instead, Reason) else None)
    match kind:
        case "accepted":
            return Accepted(reply)
        case "deferred":
            return Deferred(Scope(it["scope"]), Phase(it["phase"]), reply)
        case "refused":
            return Refused(Scope(it["scope"]), Phase(it["phase"]), reply)
        case "withdrawn":
            return Withdrawn(reply.instead or reply.text)
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
    if reply.instead is not None:
        told = reason_columns.written(reply.instead, "reason")
        it |= {name: told[name] for name in ("reason_code", "reason_values")}
    if isinstance(outcome, Deferred | Refused):
        it |= {"scope": outcome.scope, "phase": outcome.phase}
    return it
