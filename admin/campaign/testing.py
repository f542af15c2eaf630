"""`campaign test`: one letter of a campaign to an address of one's own, through one of its mailboxes."""

from dataclasses import replace
from typing import Annotated

import typer

import clock
from admin.campaign.preview import Lead, Step, composed
from admin.person import who
from logins.send_test import send, told
from mail.address import normalise
from mail.outcome import Accepted
from models.owner import campaigns, mailboxes
from models.views import letters
from ops.terminal import escape_controls


def send_test(
    name: Annotated[str, typer.Argument(help="The campaign's name.")],
    to: Annotated[str, typer.Option("--to", help="The address that gets the test mail.")],
    lead: Lead = None,
    step: Step = 1,
    mailbox: Annotated[
        str | None, typer.Option(help="One of the campaign's mailboxes. Default: that of the lead's own letter.")
    ] = None,
) -> None:
    """Send a lead's letter to an address of yours, marked as a test. It counts towards its mailbox's daily limit.

    It is sent once and at once, whatever the campaign's window, and never again by itself.

    Example: python -m admin campaign test Autumn --to ola@your-domain.pl --step 2
    """
    row = campaigns.find(name)
    normalise(to)
    box = None if mailbox is None else mailboxes.find(normalise(mailbox)).id
    it = letters.of_lead(row, None if lead is None else normalise(lead), box, step=step)
    it = replace(it, recipient=to.strip())
    composed(it, clock.now(), is_test=True)  # refused before anything is counted
    _, outcome = send(
        row.id,
        it.mailbox_id,
        it.recipient,
        who(),
        lambda message_id: composed(replace(it, message_id=message_id), clock.now(), is_test=True),
    )
    print(escape_controls(told(outcome, mailboxes.get(it.mailbox_id), it.recipient)))
    if not isinstance(outcome, Accepted):
        raise typer.Exit(1)
