"""Asks a mailbox's servers whether they would take a mail and show its copy. No mail is sent, and nothing is stored."""

from typing import NamedTuple

from mail import imap, smtp
from mail.connection import Server, Timeouts
from mail.imap import Patience, SentFolderUnreadable
from mail.outcome import Deferred, Refused
from models.owner import mailboxes
from models.store import vault
from models.store.tables import Mailbox


class Verdict(NamedTuple):
    server: str
    works: bool
    says: str


def servers(row: Mailbox) -> list[Verdict]:
    password = row.password_encrypted and vault.decrypt(row.password_encrypted)
    return [_smtp(row, password), _imap(row, password)]


def _smtp(row: Mailbox, password: str | None) -> Verdict:
    server = Server(row.smtp_host, row.smtp_port, row.smtp_security, row.username, password)
    outcome = smtp.log_in(server, row.address, Timeouts.configured())
    if isinstance(outcome, Deferred | Refused):
        return Verdict("smtp", False, f"{outcome.phase}: {outcome.reply}")
    return Verdict("smtp", True, "ok")


def _imap(row: Mailbox, password: str | None) -> Verdict:
    where = mailboxes.sent_mail(row)
    if where is None:
        return Verdict("imap", True, "not set up: unknown mails wait for a person")
    server = Server(where.imap_host, where.imap_port, where.imap_security, row.username, password)
    try:
        with imap.sent_folder(server, where.sent_folder, Patience.configured()) as sent:
            return Verdict("imap", True, f"ok, sent mails are in {sent.name}")
    except SentFolderUnreadable as failure:
        return Verdict("imap", False, f"{failure.step}: {failure}")
