"""The command that checks all invariants and everything that sending needs."""

from collections.abc import Callable, Iterator
from dataclasses import asdict

import typer

import config
from actors import queues
from actors.disk import forgotten, handover_log, journal, suppressed
from actors.disk.journal import JournalUnusable
from actors.disk.jsonlines import LinesUnreadable
from actors.process.backlog import BrokerAway, backlog
from admin import show
from models.email import hints
from models.health import heartbeats, invariants
from models.health.invariants import CheckResult
from models.owner import authorizations, mailboxes
from models.people import forgetting, remembered
from models.store import database, installation, migrate, vault
from models.store.vault import KeyInvalid
from ops import broker_check

_BROKER_SECONDS = 10.0


def doctor(json: show.AsJson = False) -> None:
    """Check every invariant and everything that sending needs. One line each; exit status 1 if one fails."""
    database.open_database("punktual doctor")
    findings = list(results())
    if json:
        show.as_json([asdict(it) for it in findings])
    else:
        for it in findings:
            print(f"ok    {it.rule}" if it.holds else f"FAIL  {it.rule}: {it.broken_by}")
    if not all(it.holds for it in findings):
        raise typer.Exit(1)


def results() -> Iterator[CheckResult]:
    missing = migrate.missing()
    yield CheckResult("every migration is applied", ", ".join(missing) or None)
    if missing:
        return  # the other checks need tables that may be missing
    yield from invariants.check()
    for rule, look in CHECKS:
        yield CheckResult(rule, look())
    if not config.settings().broker.embedded:  # the embedded broker is inside another process
        yield CheckResult("the broker holds a message for each hinted e-mail", _broker())


def _writes() -> str | None:
    return "it is a standby or read-only: nothing is sent" if database.takes_no_writes() else None


def _clock() -> str | None:
    _, off = database.clock_difference()
    tolerated = config.settings().sending.clock_tolerance_seconds
    return None if off.total_seconds() <= tolerated else f"they are {off.total_seconds():.1f} s apart"


def _secret_key() -> str | None:
    try:
        vault.encrypt("any")
        for box in mailboxes.every():
            if box.password_encrypted:
                vault.decrypt(box.password_encrypted)
        for it in authorizations.every():
            vault.decrypt(it.refresh_token_encrypted)
    except KeyInvalid as error:
        return str(error)
    return None


def _journal() -> str | None:
    try:
        journal.check_room()
        waiting, refused = journal.count(), journal.refused_emails()
    except JournalUnusable as error:
        return str(error)
    if refused:
        emails = ", ".join(map(str, refused))
        return f"the database refuses to record the outcomes of e-mails {emails}: the worker's log says why"
    return f"{waiting} outcomes in {journal.path()} wait to be recorded" if waiting else None


def _handover_log() -> str | None:
    if reason := installation.disarmed_reason():
        return str(reason)
    try:
        return (
            None if handover_log.agrees() else "some are missing: nothing is sent until you run `python -m admin arm`"
        )
    except (LinesUnreadable, OSError) as error:
        return str(error)


def _forgotten() -> str | None:
    try:
        return None if forgetting.is_repeated(forgotten.keys()) else "it knows some of them: run `python -m admin arm`"
    except (LinesUnreadable, OSError) as error:
        return str(error)


def _suppressed() -> str | None:
    try:
        count = len(remembered.missing(suppressed.noted()))
    except (LinesUnreadable, OSError, vault.KeyInvalid) as error:
        return str(error)
    return f"it lacks {count}: run `python -m admin arm`" if count else None


def _broker() -> str | None:
    """Whether RabbitMQ answers, and, without a running worker, has the messages that the database expects."""
    if why := broker_check.why_not(_BROKER_SECONDS) or heartbeats.shared():
        return why
    try:
        found = backlog(queues.DELIVER, _BROKER_SECONDS)
    except BrokerAway as error:
        return str(error)
    marked = hints.count_marked()
    # RabbitMQ does not count messages held by a worker, so the numbers must only agree without one.
    if not found.consumers and found.messages < marked:
        return f"{marked} e-mails are hinted, but the broker holds {found.messages} messages and no worker runs"
    return None


CHECKS: tuple[tuple[str, Callable[[], str | None]], ...] = (
    ("the database uses UTF-8 and keeps one session per connection", database.unsuitable),
    ("the database can be written to", _writes),
    ("this machine's clock agrees with the database's", _clock),
    ("the secret key decrypts the stored passwords and tokens", _secret_key),
    ("the journal is empty and has room", _journal),
    ("the database has every hand-over in this machine's log", _handover_log),
    ("the database has forgotten the people that this machine forgot", _forgotten),
    ("the database has the suppressions that this machine has seen", _suppressed),
)
