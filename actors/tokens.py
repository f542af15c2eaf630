"""Renews OAuth2 access tokens in advance, for mailboxes that are about to send: e-mails seldom wait for one."""

from datetime import timedelta

from actors import queues
from actors.record import pause_after
from logins.tokens import renewed
from mail import oauth
from mail.outcome import Phase
from models.owner import authorizations, mailboxes
from models.store import database, vault
from ops.watch import logs
from reasons import why
from scheduling import timetable

log = logs.get()

# Renewed in advance if it ends within this, which is longer than the time between two runs.
_AHEAD = timedelta(minutes=15)
# The refresh token of an idle mailbox is used this often: Microsoft ends one that was not used for 90 days.
_IDLE = timedelta(days=1)
_AT_ONCE = 50  # the rest is due at the next run


@queues.actor(queues.UPKEEP, timetable.TOKENS)
def renew_tokens() -> None:
    for mailbox_id in authorizations.due(_AHEAD, _IDLE, _AT_ONCE):
        renew_in_advance(mailbox_id)


def renew_in_advance(mailbox_id: int) -> None:
    try:
        renewed(mailbox_id, _AHEAD)
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
