"""`campaign follow-ups`: what becomes of the sequences of a mailbox that a campaign does not have any more."""

from functools import partial
from typing import Annotated

import typer

from admin import confirm
from admin.person import who
from mail.address import normalise
from models.email import former_mailboxes
from models.owner import campaigns, mailboxes
from models.store.tables import Campaign
from ops.terminal import escape_controls


def follow_ups(
    name: Annotated[str, typer.Argument(help="The campaign's name.")],
    of: Annotated[str | None, typer.Option(help="The mailbox that is gone.")] = None,
    end: Annotated[bool, typer.Option("--end", help="Its leads get no further letters.")] = False,
    go_on_from: Annotated[
        str | None, typer.Option(help="Its leads get the next letter from this mailbox, in a new thread.")
    ] = None,
    yes: confirm.Yes = False,
) -> None:
    """Show follow-ups that wait for a removed or paused mailbox; or end them, or let them go on from another one.

    A mailbox that the campaign still has is taken from it.

    Example: python -m admin campaign follow-ups Autumn --of ola@your-domain.pl --go-on-from jan@your-domain.pl
    """
    row = campaigns.find(name)
    if of is None and not end and go_on_from is None:
        if not print_waiting(row):
            print("no follow-up waits for a mailbox")
        return
    if of is None or end == (go_on_from is not None):
        raise typer.BadParameter("give --of with either --end or --go-on-from")
    old, new = mailboxes.find(normalise(of)), mailboxes.find(normalise(go_on_from)) if go_on_from else None
    order = partial(campaigns.edit, row.id, who(), campaigns.decision(row.id, old.id, new.id if new else None))
    confirm.show_moves(order, [row.id])
    then = f"Let its leads get their next letters from {new.address}" if new else "End the sequences of its leads"
    confirm.ask(f"{then}?", yes=yes)
    order()
    print(f"follow-ups of {old.address} " + (f"go on from {new.address}, each in a new thread" if new else "are ended"))
    if new and old.imap_host is not None:
        print(
            f"answers to {old.address} are looked for there before each of them; if nobody can read it any more, remove"
            f" its IMAP settings: python -m admin mailbox edit {old.address} --imap-host ''"
        )


def print_waiting(row: Campaign) -> bool:
    """What waits for a mailbox, and what can be ordered. False: nothing."""
    found = former_mailboxes.waiting([row.id])
    for it in found:
        print(escape_controls(str(it.why)))
    if found:
        command = f'python -m admin campaign follow-ups "{row.name}" --of MAILBOX'
        print(escape_controls(f"decide: {command} --end, or --go-on-from ANOTHER"))
    return bool(found)


def shown(campaign_id: int) -> list[tuple[str, str]]:
    """Lines of `campaign show`."""
    return [("waiting", str(it.why)) for it in former_mailboxes.waiting([campaign_id])]
