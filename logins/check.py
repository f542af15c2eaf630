"""Checks a mailbox's SMTP and IMAP servers. Sends nothing, and stores nothing but a renewed OAuth2 token."""

from typing import NamedTuple

from logins import servers
from mail import imap, smtp
from mail.connection import Timeouts
from mail.imap import Patience, SentFolderUnreadable
from mail.oauth import NoToken
from mail.outcome import Deferred, Refused
from models.store.tables import Mailbox


class ServerCheck(NamedTuple):
    server: str
    works: bool
    says: str


# While a person waits before a page.
_QUICK_SMTP = Timeouts(
    command_seconds=10.0, conversation_seconds=20.0, answer_seconds=10.0, dot_after_hand_over_seconds=1.0
)
_QUICK_IMAP = Patience(command_seconds=10.0, conversation_seconds=20.0)


def of_servers(row: Mailbox, *, quickly: bool = False) -> list[ServerCheck]:
    """quickly: a server that takes longer than 20 s does not work."""
    return [
        _smtp(row, _QUICK_SMTP if quickly else Timeouts.configured()),
        _imap(row, _QUICK_IMAP if quickly else Patience.configured()),
    ]


def _smtp(row: Mailbox, limits: Timeouts) -> ServerCheck:
    try:
        outcome = smtp.log_in(servers.smtp(row), row.address, limits)
    except NoToken as failure:
        return ServerCheck("smtp", False, f"login: {failure}")
    if isinstance(outcome, Deferred | Refused):
        return ServerCheck("smtp", False, f"{outcome.phase}: {outcome.reply.instead or outcome.reply}")
    return ServerCheck("smtp", True, "ok")


def _imap(row: Mailbox, limits: Patience) -> ServerCheck:
    try:
        where = servers.sent_folder(row)
    except NoToken as failure:
        return ServerCheck("imap", False, f"login: {failure}")
    if where is None:
        return ServerCheck("imap", True, "not set up: unknown e-mails need a person's decision")
    try:
        with imap.sent_folder(where.server, where.folder, limits) as sent:
            return ServerCheck("imap", True, f"ok, sent e-mails are in {sent.name}")
    except SentFolderUnreadable as failure:
        return ServerCheck("imap", False, f"{failure.step}: {failure}")
