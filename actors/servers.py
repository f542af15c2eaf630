"""A mailbox's row -> its mail servers. The only place where its password is decrypted, for workers and admin."""

from typing import NamedTuple, Protocol

from mail.connection import Server
from models.owner import mailboxes
from models.store import vault
from models.store.tables import Mailbox


class SmtpLogin(Protocol):
    """A mailbox's SMTP settings: its row, or a claim of one of its e-mails."""

    @property
    def smtp_host(self) -> str: ...
    @property
    def smtp_port(self) -> int: ...
    @property
    def smtp_security(self) -> str: ...
    @property
    def username(self) -> str | None: ...
    @property
    def password_encrypted(self) -> str | None: ...


class SentFolderPlace(NamedTuple):
    server: Server
    folder: str | None  # None: the folder the server flags as Sent


def smtp(of: SmtpLogin) -> Server:
    """Raises vault.KeyInvalid if the stored password cannot be decrypted."""
    return Server(of.smtp_host, of.smtp_port, of.smtp_security, of.username, _password(of.password_encrypted))


def sent_folder(of: Mailbox) -> SentFolderPlace | None:
    """None: it has no IMAP server. Raises vault.KeyInvalid."""
    where = mailboxes.sent_mail(of)
    if where is None:
        return None
    password = _password(of.password_encrypted)
    server = Server(where.imap_host, where.imap_port, where.imap_security, of.username, password)
    return SentFolderPlace(server, where.sent_folder)


def inbox(of: Mailbox) -> Server | None:
    """Where what comes back is read. None: it has no IMAP server. Raises vault.KeyInvalid."""
    where = sent_folder(of)
    return None if where is None else where.server


def _password(encrypted: str | None) -> str | None:
    return None if encrypted is None else vault.decrypt(encrypted)
