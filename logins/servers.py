"""A mailbox's row -> its mail servers. The only place where its password is decrypted."""

from typing import NamedTuple

from logins import tokens
from mail.connection import Server
from models.email.claims import Claim
from models.owner import authorizations, mailboxes
from models.store import vault
from models.store.tables import Mailbox


class SentFolderPlace(NamedTuple):
    server: Server
    folder: str | None  # None: the folder the server flags as Sent


class _Login(NamedTuple):
    username: str | None
    password: str | None
    token: str | None


def smtp(of: Mailbox | Claim) -> Server:
    """The SMTP server with its login. Raises vault.KeyInvalid if a secret cannot be decrypted, and oauth.NoToken."""
    return Server(of.smtp_host, of.smtp_port, of.smtp_security, *_login(of))


def smtp_with(of: Mailbox, username: str, token: str) -> Server:
    """The SMTP server with an access token that is not stored yet."""
    return Server(of.smtp_host, of.smtp_port, of.smtp_security, username, token=token)


def sent_folder(of: Mailbox) -> SentFolderPlace | None:
    """The Sent folder and its server. None: there is no IMAP server. Raises vault.KeyInvalid and oauth.NoToken."""
    where = mailboxes.sent_mail(of)
    if where is None:
        return None
    server = Server(where.imap_host, where.imap_port, where.imap_security, *_login(of))
    return SentFolderPlace(server, where.sent_folder)


def inbox(of: Mailbox) -> Server | None:
    """The server of the inbox. None: there is no IMAP server. Raises vault.KeyInvalid and oauth.NoToken."""
    where = sent_folder(of)
    return None if where is None else where.server


def _login(of: Mailbox | Claim) -> _Login:
    """The login with an OAuth2 access token if the mailbox is authorized, else with its password if it has one."""
    mailbox_id, access = (of.mailbox_id, of.access) if isinstance(of, Claim) else (of.id, authorizations.access(of.id))
    if access is not None:
        return _Login(of.username, None, tokens.current(mailbox_id, access))
    encrypted = of.password_encrypted
    return _Login(of.username, None if encrypted is None else vault.decrypt(encrypted), None)
