"""Commands about single e-mails."""

import sys
from typing import Annotated

import typer

from admin import confirm, lead, show
from admin.letter import print_readable, readable
from admin.person import who
from bounds import HIGHEST_ID
from models.email.locks import NoSuchEmail
from models.owner import campaigns, reopening, settlement
from models.states import CampaignStatus, Status
from models.views import conversation_lines, conversations, exports, history, overview
from models.views.history import PastMove

app = typer.Typer(help="Single e-mails: status and history.", no_args_is_help=True)


def _may_be(id: int | None) -> int | None:
    if id is not None and not 1 <= id <= HIGHEST_ID:
        raise NoSuchEmail(f"there is no e-mail {id}")
    return id


_A_PAGE = 100
Id = Annotated[int, typer.Argument(metavar="ID", help="The e-mail's id.", callback=_may_be)]


_PLANNED_WHEN = {
    CampaignStatus.DRAFT: "it is a draft, and campaign forecast shows what will be planned",
    CampaignStatus.ACTIVE: "they are planned within a minute of its start",
    CampaignStatus.PAUSED: "it is paused",
    CampaignStatus.COMPLETED: "it has ended",
    CampaignStatus.CANCELLED: "it has ended",
}


@app.command("list")
def list_(
    campaign: Annotated[str | None, typer.Option(help="Only e-mails of this campaign.")] = None,
    status: Annotated[Status | None, typer.Option(help="Only e-mails in this status.")] = None,
    search: Annotated[
        str | None, typer.Option(help="Only leads with this in their address, name, company or another column.")
    ] = None,
    after: Annotated[
        int, typer.Option(min=0, max=HIGHEST_ID, help="Only e-mails with a higher id, for the next page.")
    ] = 0,
    limit: Annotated[
        int | None, typer.Option(min=1, max=10_000, help="Maximum number of e-mails. Default: 100; for --csv, all.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All e-mails, however many.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Write CSV for Excel, with the leads' own columns.")] = False,
    semicolons: Annotated[bool, typer.Option("--semicolons", help="Separate the CSV's columns by semicolons.")] = False,
    json: show.AsJson = False,
) -> None:
    """List e-mails, ordered by id. As CSV and JSON with the leads' own columns.

    Example: python -m admin email list --campaign Autumn --csv > autumn.csv
    """
    row = campaigns.find(campaign) if campaign else None
    campaign_id = row.id if row else None
    if limit is None and not (csv or every):
        limit = _A_PAGE
    if csv and json:
        raise typer.BadParameter("give either --csv or --json")
    if semicolons and not csv:
        raise typer.BadParameter("--semicolons wants --csv")
    places = None if search is None else lead.searched(search, campaign_id)
    found = exports.emails(campaign_id=campaign_id, status=status, places=places, after=after, limit=limit)
    if row and not overview.emails(campaign_id=row.id, limit=1):
        print(f"no e-mail of {row.name!r} is planned yet: {_PLANNED_WHEN[row.status]}", file=sys.stderr)
    if csv:
        for line in exports.as_csv(found, exports.column_names(campaign_id), ";" if semicolons else ","):
            sys.stdout.buffer.write(line.encode("utf-8", "replace"))
        sys.stdout.buffer.flush()
        return
    lines = list(found)
    if json:
        show.as_json([{**show.plain(it.line), "fields": it.fields} for it in lines])
        return
    rows = [(it.id, it.lead, it.status, it.scheduled_at, it.sent_at, it.error) for it in (each.line for each in lines)]
    show.table(("id", "lead", "status", "planned", "sent", "error"), rows, "there is no such e-mail")
    if len(lines) == limit:
        print(f"more: --after {lines[-1].line.id}")


@app.command("show")
def show_(id: Id, json: show.AsJson = False) -> None:
    """Show one e-mail: its content and every status change with its reason.

    Example: python -m admin email show 17
    """
    line, moves, content = overview.email(id), history.of_email(id), overview.content(id)
    gone = overview.why_no_content(id)
    told = {name: it for name, it in vars(line).items() if name != "why"}
    if conversation := conversations.of_email(id):
        told["conversation"] = conversation_lines.line(conversation)
    if json:
        show.as_json(
            {
                **told,
                "history": [_move(move) for move in moves],
                "content": None if content is None else readable(content),
                "content_gone": None if gone is None else str(gone),
            }
        )
        return
    show.pairs(told.items())
    print()
    rows = [(it.at, it.move, it.to_status, it.scheduled_to, it.reason or _why(it), it.by) for it in moves]
    show.table(("at", "move", "status", "planned", "why", "by"), rows, "it has no history")
    if content is not None:
        print("\nHanded over to the server:\n")
        print_readable(content)
    elif gone is not None:
        print(f"\nHanded over to the server; its content is no longer kept: {gone}")


def _why(it: PastMove) -> str | None:
    """Why an e-mail moved: the server's reply, or the folder and header in which the proof was found."""
    if it.kept and "folder" in it.kept:
        return f"found in {it.kept['folder']} by its {it.kept['header']}"
    return it.conversation.reply if it.conversation else None


def _move(row: PastMove) -> dict[str, object]:
    names = ("at", "move", "from_status", "to_status", "reason", "scheduled_from", "scheduled_to", "by", "detail")
    return {name: getattr(row, name) for name in names}


@app.command()
def settle(
    id: Id,
    reason: Annotated[str, typer.Option(help="How you know. Stored in the history.")],
    sent: Annotated[bool, typer.Option("--sent", help="The e-mail was sent.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Send it again. The lead may get it twice.")] = False,
    yes: confirm.Yes = False,
) -> None:
    """Decide an e-mail whose outcome is unknown.

    Example: python -m admin email settle 17 --sent --reason "the lead answered it"
    """
    if sent == again:
        raise typer.BadParameter("give either --sent or --again")
    if sent:
        settlement.sent(id, reason, who())
    else:
        confirm.ask("Send it again? If it arrived after all, the lead gets it twice.", yes=yes)
        settlement.again(id, reason, who())
    print(f"e-mail {id} is {overview.email(id).status}")


@app.command()
def retry(
    id: Annotated[int | None, typer.Argument(metavar="[ID]", help="The failed e-mail's id.", callback=_may_be)] = None,
    campaign: Annotated[
        str | None, typer.Option(help="Instead of an ID: failed e-mails of this campaign. Needs --code.")
    ] = None,
    code: Annotated[
        int | None, typer.Option(min=400, max=599, help="Only e-mails that failed with this SMTP code, like 550.")
    ] = None,
    enhanced: Annotated[
        str | None, typer.Option(help="Only e-mails that failed with this enhanced code, like 5.7.1.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why. Required; stored in the history.")] = "",
) -> None:
    """Try failed e-mails again. They are planned after the campaign's other e-mails.

    Example: python -m admin email retry 17 --reason "the provider unblocked us"
    """
    one, several = id is not None, campaign is not None and code is not None
    if one == several or (one and (campaign or code or enhanced)):
        raise typer.BadParameter("give either an ID, or --campaign and --code")
    if id is not None:
        reopening.one(id, reason, who())
        print(f"e-mail {id} is planned for {show.moment(overview.email(id).scheduled_at)}")
        return
    assert campaign is not None
    assert code is not None
    done = reopening.of_campaign(campaigns.find(campaign).id, code, enhanced, reason, who())
    left = (
        f"; {done.must_not_be_written_to} are not, because their leads must not be written to"
        if done.must_not_be_written_to
        else ""
    )
    print(f"{done.count} e-mails are planned again{left}")
