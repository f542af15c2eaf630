"""Commands about campaigns."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from admin import confirm, lead, show
from admin.campaign import drafts, edit, follow_ups, preview, report, summary, testing
from admin.campaign import leads as importing
from admin.person import who
from intake import edits
from intake.campaign_file import FileInvalid, read_campaign
from mail.compose import Templates
from models.audit import changes
from models.inbox import reply_stops
from models.owner import campaigns, mailboxes
from models.owner.campaigns import AddedLeads, CampaignInvalid
from models.states import CampaignStatus
from models.store.tables import Campaign
from models.views import overview

app = typer.Typer(help="Campaigns: their leads, content and schedule.", no_args_is_help=True)
app.command("preview")(preview.preview)
app.command("test")(testing.send_test)
app.command("forecast")(summary.forecast)
app.command("report")(report.report)
app.command("edit")(edit.edit)
app.command("follow-ups")(follow_ups.follow_ups)
app.command("delete")(drafts.delete)
app.command("copy")(drafts.copy)

Name = Annotated[str, typer.Argument(help="The campaign's name.")]


@app.command()
def add(
    file: Annotated[Path, typer.Argument(help="Campaign file (TOML).")],
    leads: importing.File,
    map: importing.Map = None,
    sheet: importing.Sheet = None,
    encoding: importing.Encoding = None,
    legal_basis: importing.Basis = None,
    legal_basis_source: importing.BasisSource = None,
    legal_basis_date: importing.BasisDate = None,
    skip_bad: importing.SkipBad = False,
    skip_recent: importing.SkipRecent = False,
    skip_hidden: importing.SkipHidden = False,
    yes: confirm.Yes = False,
) -> None:
    """Add a campaign and its leads as a draft. Nothing is written unless everything is valid.

    Shows the first leads as they were read, and asks at a terminal before it writes them.

    Example: python -m admin campaign add campaign.toml --leads klienci.xlsx --skip-bad
    """
    basis = lead.checked_basis(legal_basis, legal_basis_source, legal_basis_date)
    campaign, letters = read_campaign(file)
    senders = edit.senders_of(file, campaign)
    new = campaign.as_new([row.id for row in senders])
    edit.check_inboxes(file, campaign, senders)
    order = importing.Order(leads, map or (), sheet, encoding, basis, skip_bad, skip_recent, skip_hidden, yes)
    added = importing.bring_in(order, letters, new.name, None, partial(campaigns.add_staged, new, who()))
    if added is None:
        raise FileInvalid(f"{leads.name}: no lead is left, so {new.name!r} was not added")
    print(f"added {campaign.name!r} with {importing.counted(added.leads)}, as a draft")
    summary.print_if_started(campaigns.get(added.id))


@app.command()
def add_leads(
    name: Name,
    leads: importing.File,
    map: importing.Map = None,
    sheet: importing.Sheet = None,
    encoding: importing.Encoding = None,
    legal_basis: importing.Basis = None,
    legal_basis_source: importing.BasisSource = None,
    legal_basis_date: importing.BasisDate = None,
    skip_bad: importing.SkipBad = False,
    skip_recent: importing.SkipRecent = False,
    skip_hidden: importing.SkipHidden = False,
    yes: confirm.Yes = False,
) -> None:
    """Add leads to a campaign, behind those that it has.

    Leads that it has already get their new fields, after these are shown, if a letter with them is to come and none is
    on its way. A completed campaign is paused, and sends to the new leads once it is resumed.

    Example: python -m admin campaign add-leads Autumn --leads more.csv
    """
    basis = lead.checked_basis(legal_basis, legal_basis_source, legal_basis_date)
    row = campaigns.find(name)
    campaigns.check_takes_leads(row)
    order = importing.Order(leads, map or (), sheet, encoding, basis, skip_bad, skip_recent, skip_hidden, yes)
    letters = [Templates.of(it.subject, it.text, it.html) for it in campaigns.letters(row.id)]
    added = importing.bring_in(order, letters, name, row, partial(campaigns.add_staged_leads, row.id, who()))
    if added is None:
        print(f"nothing was added to {name!r}: it has these leads already, or they were left out")
        return
    changed = f" and changed {added.changed:,}" if added.changed else ""
    print(f"added {importing.counted(added.new)} to {name!r}{changed}{_then(row, added)}")


def _then(row: Campaign, added: AddedLeads) -> str:
    """What comes of new leads."""
    if added.new and row.status == CampaignStatus.COMPLETED:
        return f"; it was completed, and is paused until you resume it: campaign resume {row.name!r}"
    return "; their e-mails are being planned" if added.new and row.status == CampaignStatus.ACTIVE else ""


@app.command()
def start(name: Name, yes: confirm.Yes = False) -> None:
    """Start a draft campaign. Shows first what will be sent, and when.

    Example: python -m admin campaign start Autumn
    """
    row = campaigns.find(name)
    if because := edits.why_not_started(row):
        raise CampaignInvalid(because)
    if row.status == CampaignStatus.DRAFT:
        summary.print_if_started(row)
        confirm.ask("Start it?", yes=yes)
    campaigns.start(row.id, who())
    print(f"started {name!r}; {_what_happens_now(row.id)}")


@app.command()
def pause(name: Name, reason: confirm.Reason = None) -> None:
    """Pause a campaign. Nothing is sent until it is resumed.

    Example: python -m admin campaign pause Autumn --reason "the offer has changed"
    """
    campaigns.pause(campaigns.find(name).id, who(), confirm.checked(reason))
    print(f"paused {name!r}")


@app.command()
def resume(name: Name) -> None:
    """Resume a paused campaign. Its pending e-mails are planned again from now, at the campaign's pace.

    Example: python -m admin campaign resume Autumn
    """
    row = campaigns.find(name)
    campaigns.resume(row.id, who())
    print(f"resumed {name!r}; {_what_happens_now(row.id, 'again')}")


def _what_happens_now(campaign_id: int, *again: str) -> str:
    """The result of starting or resuming. A campaign that cannot send yet is started anyway; its owner is told why."""
    standing = overview.standing(campaigns.get(campaign_id))
    if standing.sends or standing.gate in ("unplanned", "time", "downtime"):
        return " ".join(("its e-mails are being planned", *again))
    return f"nothing is sent yet: {standing}"


@app.command()
def cancel(name: Name, reason: confirm.Reason = None, yes: confirm.Yes = False) -> None:
    """Cancel a campaign for good. Its unsent e-mails are never sent. Its name is free then.

    Example: python -m admin campaign cancel Autumn --reason "sold out"
    """
    row = campaigns.find(name)
    [line] = overview.campaigns([row])
    confirm.ask(f"Cancel {name!r} for good, with {line.counts['pending']} planned e-mails?", yes=yes)
    count = campaigns.cancel(row.id, who(), confirm.checked(reason))
    print(f"cancelled {name!r} and its {count} pending e-mails")


@app.command()
def replies(
    name: Name,
    all_campaigns: Annotated[
        bool | None,
        typer.Option("--all-campaigns/--this-campaign", help="Where a reply stops the lead's further e-mails."),
    ] = None,
    colleagues: Annotated[
        bool | None,
        typer.Option(
            "--colleagues/--no-colleagues", help="Whether it also stops leads at the same domain, unless it is public."
        ),
    ] = None,
) -> None:
    """Show or change what a person's reply stops, for replies that are read from now on.

    Example: python -m admin campaign replies Autumn --all-campaigns
    """
    row = campaigns.find(name)
    stops = reply_stops.change(row.id, who(), in_all_campaigns=all_campaigns, colleagues=colleagues)
    where = "all campaigns" if stops.in_all_campaigns else "this campaign"
    print(f"a reply stops the lead{' and its colleagues' if stops.colleagues else ''} in {where}")


@app.command("list")
def list_(json: show.AsJson = False) -> None:
    """List all campaigns, each with whether it is sending and, if not, why.

    Example: python -m admin campaign list
    """
    lines = overview.campaigns(campaigns.every())
    if json:
        show.as_json(lines)
        return
    rows = [(it.name, it.status, f"{it.counts['sent']}/{it.emails}", it.saying) for it in lines]
    show.table(("campaign", "status", "sent", "now"), rows, "there is no campaign yet")


@app.command("show")
def show_(name: Name, json: show.AsJson = False) -> None:
    """Show one campaign.

    Example: python -m admin campaign show Autumn
    """
    [line] = overview.campaigns([campaigns.find(name)])
    orders = changes.of_campaign(line.id, show.FEW)
    if json:
        show.as_json({**vars(line), "changes": orders})
        return
    counts = ", ".join(f"{count} {status}" for status, count in line.counts.items() if count)
    too_small = mailboxes.too_small_for(line.id)
    show.pairs(
        [
            ("campaign", line.name),
            ("status", line.status),
            ("now", line.saying),
            ("leads", line.leads),
            ("e-mails", counts or "none planned yet"),
            ("came back", show.responses(line.responses)),
            ("today", f"{line.used_today}/{line.daily_limit}"),
            ("next e-mail", line.next_at),
            *(
                (f"step {it.number}", f"{it.after} later: {it.subject}{' (removed)' if it.removed else ''}")
                for it in line.steps[1:]
            ),
            *follow_ups.shown(line.id),
            *(("letter too large for", f"{mailboxes.get(id).address}: {why}") for id, why in too_small.items()),
        ]
    )
    show.changes(orders)
