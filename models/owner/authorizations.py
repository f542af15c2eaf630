"""OAuth2 authorizations of mailboxes: their rows, and the lock under which one process at a time renews a token.

Tokens and secrets come and go encrypted. A mailbox has a password or an authorization, never both.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from peewee import SQL

from models.email.claims import Access
from models.owner import mailboxes
from models.store.database import execute, fetch, row, rows

_LOCKS = 1_702_260_327  # namespace of the advisory locks, with a mailbox's id


@dataclass(frozen=True)
class Authorization:
    mailbox_id: int
    provider: str
    tenant: str | None
    client_id: str
    client_secret_encrypted: str | None = field(repr=False)
    refresh_token_encrypted: str = field(repr=False)
    access_token_encrypted: str = field(repr=False)
    access_ends_at: datetime
    consent_ends_at: datetime | None  # None: the provider does not say
    authorized_at: datetime
    authorized_by: str

    @property
    def access(self) -> Access:
        return Access(self.access_token_encrypted, self.access_ends_at)


@dataclass(frozen=True)
class Granted:
    """What an owner's consent gave."""

    provider: str
    tenant: str | None
    client_id: str
    client_secret_encrypted: str | None = field(repr=False)
    refresh_token_encrypted: str = field(repr=False)
    access_token_encrypted: str = field(repr=False)
    access_lasts: timedelta
    consent_lasts: timedelta | None


EVERY = """
SELECT mailbox_id, provider, tenant, client_id, client_secret_encrypted, refresh_token_encrypted,
       access_token_encrypted, access_ends_at, consent_ends_at, authorized_at, authorized_by
FROM mailbox_authorization
"""


def every() -> list[Authorization]:
    return rows(Authorization, EVERY)


OF = f"{EVERY} WHERE mailbox_id = %s"


def of(mailbox_id: int) -> Authorization | None:
    """The mailbox's OAuth2 authorization. None if it has a password or no login."""
    return row(Authorization, OF, (mailbox_id,))


def access(mailbox_id: int) -> Access | None:
    found = of(mailbox_id)
    return None if found is None else found.access


def grant(mailbox_id: int, by: str, username: str, it: Granted) -> None:
    """Log in with OAuth2 as `username` from now on. Opens the mailbox: its faults were of the old login."""
    columns = {
        "provider": it.provider,
        "tenant": it.tenant,
        "client_id": it.client_id,
        "client_secret_encrypted": it.client_secret_encrypted,
        "refresh_token_encrypted": it.refresh_token_encrypted,
        "access_token_encrypted": it.access_token_encrypted,
        "access_ends_at": SQL("clock_timestamp() + %s", [it.access_lasts]),
        "consent_ends_at": SQL("clock_timestamp() + %s", [it.consent_lasts]),
    }
    mailboxes.authorize(mailbox_id, by, username, columns)


@contextmanager
def lock(mailbox_id: int) -> Iterator[None]:
    """Wait until no other process renews this mailbox's token, at most the lock timeout.

    The lock is the session's and not a transaction's: none is open while the login server is asked.
    """
    key = (_LOCKS, mailbox_id)
    fetch("SELECT pg_advisory_lock(%s, %s::int)", key)
    try:
        yield
    finally:
        fetch("SELECT pg_advisory_unlock(%s, %s::int)", key)


# Names the old refresh token: an owner may have authorized the mailbox anew meanwhile.
RENEW = """
UPDATE mailbox_authorization
SET access_token_encrypted = %(access)s, access_ends_at = clock_timestamp() + %(access_lasts)s,
    refresh_token_encrypted = COALESCE(%(refresh)s, refresh_token_encrypted),
    consent_ends_at = COALESCE(clock_timestamp() + %(consent_lasts)s::interval,
                               CASE WHEN %(refresh)s IS NULL THEN consent_ends_at END),
    renewed_at = clock_timestamp()
WHERE mailbox_id = %(mailbox)s AND refresh_token_encrypted = %(old)s
"""


def renew(
    old: Authorization,
    access_encrypted: str,
    access_lasts: timedelta,
    refresh_encrypted: str | None,
    consent_lasts: timedelta | None,
) -> None:
    """Keep a new access token. refresh_encrypted: None keeps the old refresh token."""
    values = {
        "mailbox": old.mailbox_id,
        "old": old.refresh_token_encrypted,
        "access": access_encrypted,
        "access_lasts": access_lasts,
        "refresh": refresh_encrypted,
        "consent_lasts": consent_lasts,
    }
    execute(RENEW, values)


EXPIRE = """
UPDATE mailbox_authorization SET access_ends_at = clock_timestamp()
WHERE mailbox_id = %s AND access_token_encrypted = %s AND access_ends_at > clock_timestamp()
"""


def expire(mailbox_id: int, access: Access) -> None:
    """A server refused this access token: get another one before the next login."""
    execute(EXPIRE, (mailbox_id, access.token_encrypted))


# Either e-mails will be due when the token has ended, or the refresh token was not used for so long: providers end the
# consents of those that are idle, and an ended consent is to be known before e-mails depend on it.
DUE = """
SELECT o.mailbox_id FROM mailbox_authorization o JOIN mailbox m ON m.id = o.mailbox_id
WHERE m.status = 'active' AND (m.closed_until IS NULL OR m.closed_until <= clock_timestamp())
  AND (o.renewed_at < clock_timestamp() - %(idle)s
       OR o.access_ends_at < clock_timestamp() + %(ahead)s AND EXISTS (
           SELECT FROM campaign_email_queue q
           WHERE q.mailbox_id = m.id AND q.status = 'pending' AND q.scheduled_at < clock_timestamp() + %(ahead)s))
ORDER BY o.access_ends_at LIMIT %(most)s
"""


def due(ahead: timedelta, idle: timedelta, most: int) -> list[int]:
    """Ids of open mailboxes whose tokens are to be renewed before an e-mail needs them."""
    return [mailbox_id for (mailbox_id,) in fetch(DUE, {"ahead": ahead, "idle": idle, "most": most})]
