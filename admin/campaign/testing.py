"""`campaign test`: one letter of a campaign to an address of one's own, through one of its mailboxes."""

import sys
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Annotated

import typer

import clock
from actors import record
from admin.campaign.preview import Lead, composed
from admin.person import who
from logins import servers
from mail import smtp
from mail.address import normalise, on_the_wire
from mail.connection import Timeouts
from mail.outcome import Accepted, Deferred, Outcome, Refused, Unanswered
from models.owner import campaigns, mail_tests, mailboxes
from models.owner.mail_tests import Order, TestMailRefused
from models.store import database, vault
from models.store.tables import Mailbox
from models.views import letters
from ops.terminal import escape_controls


def send_test(
    name: Annotated[str, typer.Argument(help="The campaign's name.")],
    to: Annotated[str, typer.Option("--to", help="The address that gets the test mail.")],
    lead: Lead = None,
    mailbox: Annotated[
        str | None, typer.Option(help="One of the campaign's mailboxes. Default: that of the lead's own letter.")
    ] = None,
) -> None:
    """Send a lead's letter to an address of yours, marked as a test. It counts towards its mailbox's daily limit.

    It is sent once and at once, whatever the campaign's window, and never again by itself.

    Example: python -m admin campaign test Autumn --to ola@your-domain.pl
    """
    row, recipient = campaigns.find(name), normalise(to)
    box = None if mailbox is None else mailboxes.find(normalise(mailbox)).id
    it = letters.of_lead(row, None if lead is None else normalise(lead), box)
    it = replace(it, recipient=to.strip())
    composed(it, clock.now(), is_test=True)  # refused before anything is counted
    sender = mailboxes.get(it.mailbox_id)
    order = mail_tests.begin(row.id, sender.id, recipient, who())
    try:
        content = composed(replace(it, message_id=order.message_id), clock.now(), is_test=True)
        outcome = converse(order, sender, it.recipient, content)
    except vault.KeyInvalid as error:
        raise TestMailRefused(f"{sender.address} cannot send it: {error}") from None
    finally:
        with suppress(*database.FAILURES):  # its lease ends it
            mail_tests.abandon(order.id)
    print(escape_controls(told(outcome, sender, it.recipient)))
    if not isinstance(outcome, Accepted):
        raise typer.Exit(1)


def converse(order: Order, sender: Mailbox, to: str, content: bytes) -> Outcome:
    hand_over = partial(mail_tests.hand_over, order.id)
    server, limits = servers.smtp(sender), Timeouts.configured()
    with smtp.conversation(server, sender.address, on_the_wire(to), content, limits, hand_over) as outcome:
        try:
            mail_tests.end(order.id, record.conversation_of(outcome))
        except database.FAILURES as failure:
            print(f"punktual: its result could not be recorded: {database.why(failure)}", file=sys.stderr)
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
