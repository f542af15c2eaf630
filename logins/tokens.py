"""OAuth2 access tokens of mailboxes: one that is valid, and a new one from the provider shortly before it ends.

One process at a time asks for a mailbox's new token.
"""

from datetime import timedelta

import clock
from mail import oauth
from mail.oauth import App, Provider, Tokens
from models.email.claims import Access
from models.owner import authorizations
from models.owner.authorizations import Authorization, Granted
from models.store import database, vault
from ops.watch import logs
from reasons import Code, Reason

log = logs.get()

# A token that is given to a mail server is valid for at least as long as a slow connection takes.
_LEAST = timedelta(minutes=2)


def current(mailbox_id: int, access: Access) -> str:
    """An access token that is valid for a login now. access: as the row said lately.

    Raises oauth.NoToken, vault.KeyInvalid, and what the database raises.
    """
    return vault.decrypt(access.token_encrypted) if _is_valid(access, _LEAST) else renewed(mailbox_id, _LEAST)


def renewed(mailbox_id: int, least: timedelta) -> str:
    """An access token that is valid for at least so long. Raises as current()."""
    with authorizations.lock(mailbox_id):
        found = authorizations.of(mailbox_id)
        if found is None:
            raise oauth.Refused(Reason(Code.ACCESS_ENDED, error="it was removed"))
        if _is_valid(found.access, least):
            return vault.decrypt(found.access_token_encrypted)  # another process has just renewed it
        tokens = oauth.refresh(app_of(found), vault.decrypt(found.refresh_token_encrypted))
        _keep(found, tokens)
        log.info("token_renewed", mailbox_id=mailbox_id, lasts_seconds=round(tokens.access_lasts.total_seconds()))
        return tokens.access


def _is_valid(access: Access, least: timedelta) -> bool:
    return access.ends_at > clock.now() + least


def _keep(old: Authorization, tokens: Tokens) -> None:
    refresh = None if tokens.refresh is None else vault.encrypt(tokens.refresh)
    authorizations.renew(old, vault.encrypt(tokens.access), tokens.access_lasts, refresh, tokens.consent_lasts)


def app_of(it: Authorization) -> App:
    """The app registration with which a mailbox was authorized. Raises vault.KeyInvalid."""
    secret = None if it.client_secret_encrypted is None else vault.decrypt(it.client_secret_encrypted)
    return App(Provider(it.provider), it.client_id, secret, it.tenant)


def granted(app: App, tokens: Tokens) -> Granted:
    """What is kept of a consent. The server must have given a refresh token."""
    assert tokens.refresh is not None
    return Granted(
        provider=app.provider,
        tenant=app.tenant,
        client_id=app.client_id,
        client_secret_encrypted=None if app.client_secret is None else vault.encrypt(app.client_secret),
        refresh_token_encrypted=vault.encrypt(tokens.refresh),
        access_token_encrypted=vault.encrypt(tokens.access),
        access_lasts=tokens.access_lasts,
        consent_lasts=tokens.consent_lasts,
    )


def distrust(mailbox_id: int, access: Access) -> None:
    """Expire a token that the mail server refused, as after a change of the password: the next login gets another."""
    try:
        authorizations.expire(mailbox_id, access)
    except database.FAILURES as failure:
        if not database.is_outage(failure):
            raise
        database.close()
