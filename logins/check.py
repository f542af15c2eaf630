"""Checks a mailbox's SMTP and IMAP servers. Sends nothing, and stores nothing but a renewed OAuth2 token."""

from typing import NamedTuple

from logins import servers
from mail import imap, smtp
from mail.connection import Timeouts
from mail.imap import Patience, SentFolderUnreadable
from mail.oauth import NoToken
from mail.outcome import Deferred, Refused
from messages import Message, Said, gettext_noop
from models.store.tables import Mailbox
from reasons import why


class ServerCheck(NamedTuple):
    server: str
    works: bool
    says: Said


_NO_IMAP = gettext_noop("not set up: unknown e-mails need a person's decision")
_WORKS = gettext_noop("ok, sent e-mails are in %(folder)s")
# While a person waits before a page.
_QUICK_SMTP = Timeouts(
    command_seconds=10.0, conversation_seconds=20.0, answer_seconds=10.0, dot_after_hand_over_seconds=1.0
)
_QUICK_IMAP = Patience(command_seconds=10.0, conversation_seconds=20.0)


def of_servers(row: Mailbox, *, quickly: bool = False) -> list[ServerCheck]:
    """Check a mailbox's SMTP and IMAP servers. quickly: a server that takes longer than 20 s does not work."""
    return [
        _smtp(row, _QUICK_SMTP if quickly else Timeouts.configured()),
        _imap(row, _QUICK_IMAP if quickly else Patience.configured()),
    ]


def _smtp(row: Mailbox, limits: Timeouts) -> ServerCheck:
    try:
        outcome = smtp.log_in(servers.smtp(row), row.address, limits)
    except NoToken as failure:
        return ServerCheck("smtp", False, _failed("login", why(failure)))
    if isinstance(outcome, Deferred | Refused):
        return ServerCheck("smtp", False, _failed(outcome.phase, outcome.reply.instead or str(outcome.reply)))
    return ServerCheck("smtp", True, "ok")


def _imap(row: Mailbox, limits: Patience) -> ServerCheck:
    try:
        where = servers.sent_folder(row)
    except NoToken as failure:
        return ServerCheck("imap", False, _failed("login", why(failure)))
    if where is None:
        return ServerCheck("imap", True, Message(_NO_IMAP))
    try:
        with imap.sent_folder(where.server, where.folder, limits) as sent:
            return ServerCheck("imap", True, Message(_WORKS, folder=sent.name))
    except SentFolderUnreadable as failure:
        return ServerCheck("imap", False, _failed(failure.step, why(failure)))


def _failed(step: str, said: Said) -> Message:
    return Message("%(step)s: %(said)s", step=step, said=said)
