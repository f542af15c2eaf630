"""OAuth2 access tokens of mailboxes: one that is valid, and a new one from the provider shortly before it ends.

One process at a time asks for a mailbox's new token. Workers renew the tokens of mailboxes that are about to send in
advance, so that an e-mail seldom waits for a login server.
"""

from datetime import timedelta

import clock
from actors import queues
from actors.record import pause_after
from mail import oauth
from mail.oauth import App, Provider, Tokens
from mail.outcome import Phase
from models.email.claims import Access
from models.owner import authorizations, mailboxes
from models.owner.authorizations import Authorization, Granted
from models.store import database, vault
from ops.watch import logs
from reasons import Code, Reason, why
from scheduling import timetable

log = logs.get()

# A token that is given to a mail server is valid for at least as long as a slow connection takes.
_LEAST = timedelta(minutes=2)
# Renewed in advance if it ends within this, which is longer than the time between two runs.
_AHEAD = timedelta(minutes=15)
# The refresh token of an idle mailbox is used this often: Microsoft ends one that was not used for 90 days.
_IDLE = timedelta(days=1)
_AT_ONCE = 50  # the rest is due at the next run


def current(mailbox_id: int, access: Access) -> str:
    """An access token that is valid for a login now. access: as the row said lately.

    Raises oauth.NoToken, vault.KeyInvalid, and what the database raises.
    """
    return vault.decrypt(access.token_encrypted) if _is_valid(access, _LEAST) else _renewed(mailbox_id, _LEAST)


def _renewed(mailbox_id: int, least: timedelta) -> str:
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
    """Raises vault.KeyInvalid."""
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
    """The mail server refused this token, as after a change of the password: the next login gets another one."""
    try:
        authorizations.expire(mailbox_id, access)
    except database.FAILURES as failure:
        if not database.is_outage(failure):
            raise
        database.close()


@queues.actor(queues.UPKEEP, timetable.TOKENS)
def renew_tokens() -> None:
    for mailbox_id in authorizations.due(_AHEAD, _IDLE, _AT_ONCE):
        renew_in_advance(mailbox_id)


def renew_in_advance(mailbox_id: int) -> None:
    try:
        _renewed(mailbox_id, _AHEAD)
    except oauth.Away as failure:
        # The token may still be valid: whoever needs one finds out.
        log.warning("token_not_renewed", mailbox_id=mailbox_id, reason=str(failure))
    except database.FAILURES as failure:
        if not database.took_too_long(failure):
            raise
        log.warning("token_not_renewed", mailbox_id=mailbox_id, reason="another process is renewing it")
    except (oauth.Refused, vault.KeyInvalid) as failure:
        until = mailboxes.close(mailbox_id, why(failure), pause_after, Phase.AUTH)
        log.warning("mailbox_closed", mailbox_id=mailbox_id, until=until.isoformat(), phase=Phase.AUTH)
