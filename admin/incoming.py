"""Commands about what came back: replies, bounces, complaints."""

from enum import StrEnum
from typing import Annotated

import typer

from admin import show
from admin.person import who
from bounds import HIGHEST_ID
from mail.address import normalise
from models.inbox import incoming
from models.inbox.incoming import NoSuchIncoming
from models.owner import campaigns, mailboxes
from models.views import incoming as views

app = typer.Typer(help="What came back: replies, bounces and complaints.", no_args_is_help=True)

Class = StrEnum("Class", {each.upper(): each for each in incoming.CLASSES})  # type: ignore[misc]
Kind = StrEnum("Kind", {each.upper(): each for each in incoming.BOUNCES})  # type: ignore[misc]


def _may_be(id: int) -> int:
    if not 1 <= id <= HIGHEST_ID:
        raise NoSuchIncoming(f"there is no message {id}")
    return id


Id = Annotated[int, typer.Argument(metavar="ID", help="The message's id.", callback=_may_be)]


@app.command("list")
def list_(
    class_: Annotated[Class | None, typer.Option("--class", help="Only messages of this class.")] = None,
    campaign: Annotated[str | None, typer.Option(help="Only messages about this campaign.")] = None,
    mailbox: Annotated[str | None, typer.Option(help="Only messages to this mailbox.")] = None,
    lead: Annotated[str | None, typer.Option(help="Only messages about this lead.")] = None,
    before: Annotated[
        int | None, typer.Option(min=1, max=HIGHEST_ID, help="Only messages with a lower id, for the next page.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Maximum number of messages.")] = 50,
    json: show.AsJson = False,
) -> None:
    """List what came back, the latest first.

    Example: python -m admin incoming list
    """
    lines = views.page(
        class_name=class_,
        campaign_id=campaigns.find(campaign).id if campaign else None,
        mailbox_id=mailboxes.find(normalise(mailbox)).id if mailbox else None,
        lead=normalise(lead) if lead else None,
        before=before,
        limit=limit,
    )
    if json:
        show.as_json(lines)
        return
    cells = [
        (it.id, it.received_at, it.class_name, it.kind, it.lead or it.sender, it.campaign, _short(it.excerpt))
        for it in lines
    ]
    show.table(("id", "received", "class", "kind", "lead", "campaign", "text"), cells, "nothing came back yet")
    if len(lines) == limit:
        print(f"more: --before {lines[-1].id}")


def _short(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= 60 else f"{words[:59]}…"


@app.command("show")
def show_(id: Id, json: show.AsJson = False) -> None:
    """Show one message: its class, the rule that decided, its new text, and what followed.

    Example: python -m admin incoming show 5
    """
    line = views.one(id)
    if line is None:
        raise NoSuchIncoming(f"there is no message {id}")
    if json:
        show.as_json(line)
        return
    show.pairs(vars(line).items())


@app.command()
def correct(
    id: Id,
    class_: Annotated[Class, typer.Option("--class", help="What it really is. other: no answer.")],
    reason: Annotated[str, typer.Option(help="How you know. Stored with the change.")],
    kind: Annotated[Kind | None, typer.Option(help="Of a bounce: why. address suppresses the lead.")] = None,
) -> None:
    """Correct a message's class. Takes back what followed from the old one, and does what follows from the new one.

    Example: python -m admin incoming correct 5 --class human --reason "she asks for a call"
    """
    incoming.correct(id, class_, who(), reason, kind)
    print(f"message {id} is {class_}")
