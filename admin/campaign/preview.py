"""`campaign preview`: the letter of one lead before it is sent."""

from datetime import datetime
from typing import Annotated

import typer

import clock
import config
import messages
from admin import letter, show
from admin.campaign.leads import tell_foreign
from intake.placeholders import foreign
from mail import unsubscribe
from mail.address import normalise
from mail.compose import Templates, letter_of, test_letter_of
from mail.message import LetterInvalid
from mail.render import TemplateInvalid
from models.owner import campaigns
from models.owner.campaigns import CampaignInvalid
from models.states import CampaignStatus, Status
from models.store import vault
from models.store.tables import Campaign
from models.views import letters
from models.views.letters import LeadLetter
from ops.terminal import escape_controls
from reasons import warsaw
from scheduling.window import WARSAW

Lead = Annotated[str | None, typer.Option("--lead", help="The lead's address. Default: the campaign's first lead.")]
Step = Annotated[int, typer.Option("--step", help="Which letter of its sequence: 2 is the first follow-up.")]


def preview(
    name: Annotated[str, typer.Argument(help="The campaign's name.")],
    lead: Lead = None,
    step: Step = 1,
    eml: Annotated[bool, typer.Option("--eml", help="Write the message itself, byte for byte as it is sent.")] = False,
    json: show.AsJson = False,
) -> None:
    """Show a lead's letter as it will be sent, with its time and mailbox. Sends and changes nothing.

    Example: python -m admin campaign preview Autumn --lead anna@leads.example --step 2 --eml > anna.eml
    """
    row = campaigns.find(name)
    it = letters.of_lead(row, None if lead is None else normalise(lead), step=step)
    content = _content(it)
    if eml:
        letter.write_raw(content)
        return
    when = _when(row, it)
    if json:
        values = {"campaign": row.name, "lead": it.lead, "step": it.step, "mailbox": it.sender, "status": it.status}
        show.as_json({**values, "at": it.at, "said": when, "content": letter.readable(content)})
        return
    show.pairs([("lead", it.lead), ("letter", it.step), ("mailbox", it.sender), ("time", when)])
    print()
    letter.print_readable(content)
    if it.html is not None:
        print("\nThis is its plain text. It has HTML too: --eml writes both.")
    tell_foreign(foreign([Templates.of(it.subject, it.text, it.html)], it.fields))


def _content(it: LeadLetter) -> bytes:
    if it.is_over and (content := it.content()) is not None:
        return content
    if it.is_over and (gone := it.why_no_content()) is not None:
        raise CampaignInvalid(f"letter {it.step} to {it.lead} is no longer kept: {gone}")
    return composed(it, it.at or clock.now())


def composed(it: LeadLetter, at: datetime, *, is_test: bool = False) -> bytes:
    """Raises CampaignInvalid, and vault.KeyInvalid unless it is a test mail."""
    date, url = at.astimezone(WARSAW), config.settings().unsubscribe.url
    try:
        if is_test:
            return test_letter_of(it, date, url)
        return letter_of(it, date, vault.derived_keys(unsubscribe.PURPOSE), url)
    except (LetterInvalid, TemplateInvalid) as error:
        raise CampaignInvalid(it.not_composed(messages.of(error))) from None


def _when(row: Campaign, it: LeadLetter) -> str:
    if it.status == Status.SENT and it.sent_at:
        return f"sent {show.moment(it.sent_at)}"
    if why := it.why_not():
        return escape_controls(f"never: {why}")
    if it.status not in (None, Status.PENDING):
        return f"{it.status}"
    if it.at is None:
        return _without_time(it)
    time = show.moment(it.at)
    if it.held and it.status is not None and row.status != CampaignStatus.PAUSED:
        return escape_controls(f"{it.held.text(str, warsaw)}; planned for {time}")
    if it.status is None:
        conditions = [
            *(["it is started now"] if row.status == CampaignStatus.DRAFT else []),
            *(["nobody answers"] if it.wait else []),
        ]
        return f"{time}, by the forecast" + (f" if {' and '.join(conditions)}" if conditions else "")
    paused = "; planned again when the campaign is resumed" if row.status == CampaignStatus.PAUSED else ""
    return f"{time}, planned{paused}"


def _without_time(it: LeadLetter) -> str:
    if it.held:
        return escape_controls(f"not known yet: {it.held.text(str, warsaw)}")
    if it.not_before:
        return f"not known yet: after {show.moment(it.not_before)}, {it.wait} after letter {it.step_before}"
    if it.wait:
        return f"not known yet: {it.wait} after letter {it.step_before}, if nobody answers"
    return "none yet: no mailbox of the campaign has room for it"
