"""Sends a test mail through its mailbox: at once, for the person who waits for it, and never again by itself."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial

from logins import servers
from logins.conversations import conversation_of
from mail import smtp
from mail.address import normalise, on_the_wire
from mail.connection import Timeouts
from mail.oauth import NoToken
from mail.outcome import Accepted, Deferred, Outcome, Refused, Unanswered
from models.owner import mail_tests, mailboxes
from models.owner.mail_tests import Order, TestMailRefused
from models.store import database, vault
from models.store.tables import Mailbox
from ops.watch import logs

log = logs.get()

# While a person waits before a page.
QUICK = Timeouts(command_seconds=10.0, conversation_seconds=20.0, answer_seconds=30.0, dot_after_hand_over_seconds=1.0)


def send(
    campaign_id: int | None,
    mailbox_id: int,
    to: str,
    by: str,
    compose: Callable[[str], bytes],
    limits: Timeouts | None = None,
) -> tuple[Order, Outcome]:
    """Count a test mail and send it. compose: its content, by its Message-ID. Raises TestMailRefused."""
    order, sender = mail_tests.begin(campaign_id, mailbox_id, normalise(to), by), mailboxes.get(mailbox_id)
    try:
        return order, _converse(order, sender, to, compose(order.message_id), limits or Timeouts.configured())
    except (vault.KeyInvalid, NoToken) as error:
        raise TestMailRefused(f"{sender.address} cannot send it: {error}") from None
    finally:
        with suppress(*database.FAILURES):  # its lease ends it
            mail_tests.abandon(order.id)


def _converse(order: Order, sender: Mailbox, to: str, content: bytes, limits: Timeouts) -> Outcome:
    hand_over = partial(mail_tests.hand_over, order.id)
    with smtp.conversation(
        servers.smtp(sender), sender.address, on_the_wire(to), content, limits, hand_over
    ) as outcome:
        try:
            mail_tests.end(order.id, conversation_of(outcome))
        except database.FAILURES as failure:
            log.error("test_mail_not_recorded", mailbox_id=sender.id, error=database.why(failure))
    return outcome


def told(outcome: Outcome, sender: Mailbox, to: str) -> str:
    match outcome:
        case Accepted(reply):
            return f"sent to {to} from {sender.address}: {reply}"
        case Unanswered(reason):
            return f"nobody knows whether it was sent to {to}: {reason}. It counts, and is not sent again"
        case Deferred(_, phase, reply) | Refused(_, phase, reply):
            return f"not sent to {to} from {sender.address}: {phase}: {reply}"
    return f"not sent to {to} from {sender.address}: {outcome.reason}"
