"""`campaign delete` and `campaign copy`: drafts that go, and drafts that come from other campaigns."""

from typing import Annotated

import typer

from admin import confirm
from admin.campaign.leads import counted
from admin.person import who
from intake import edits
from intake.campaign_file import named
from models.owner import campaigns
from models.states import CampaignStatus
from models.views import overview
from ops.terminal import escape_controls

Name = Annotated[str, typer.Argument(help="The campaign's name.")]


def delete(name: Name, yes: confirm.Yes = False) -> None:
    """Delete a draft with its leads, for good. Who did what to it stays in the audit log.

    Example: python -m admin campaign delete Autumn
    """
    row = campaigns.find(name)
    if row.status == CampaignStatus.DRAFT:
        confirm.ask(f"Delete the draft {name!r} and its leads for good?", yes=yes)
    count = campaigns.delete(row.id, who())
    print(f"deleted the draft {name!r} and its {counted(count)}")


def copy(
    name: Name,
    new: Annotated[str, typer.Argument(metavar="NEW", help="The copy's name.")],
    with_leads: Annotated[
        bool, typer.Option("--with-leads", help="Copy its leads too: they are written to again.")
    ] = False,
) -> None:
    """Copy a campaign's letter, mailboxes and schedule to a new draft, without its leads.

    Example: python -m admin campaign copy Autumn Winter
    """
    row = campaigns.find(name)
    copied = campaigns.get(campaigns.copy(row.id, named(new), who(), with_leads=with_leads))
    [line] = overview.campaigns([copied])
    leads = f"with {counted(line.leads)}" if with_leads else "without leads"
    print(f"copied {name!r} to {new!r}, as a draft {leads}")
    if because := edits.why_not_started(copied):
        print(escape_controls(str(because)))
