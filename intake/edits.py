"""What a person changes or starts: its letters fit each lead who may still get one, and its mailboxes can send."""

from collections.abc import Iterable, Sequence

import messages
from intake.campaign_file import joined
from intake.letters import check_sender, check_unsubscribe_url, fault
from intake.texts import FileInvalid
from mail.address import normalise
from mail.compose import Sender, Templates
from mail.render import TemplateInvalid
from messages import Message, Said, gettext_noop
from models.owner import campaigns, mailboxes, steps
from models.owner.campaigns import CampaignInvalid, Letter
from models.states import CampaignStatus
from models.store.tables import Campaign, Mailbox

_SHOWN_LEADS = 3


def checked_letter(
    row: Campaign, subject: str, text: str, html: str | None, letters: Sequence[Templates]
) -> Letter | None:
    """The first letter; all of them are composed for each lead who may still get one.

    None: the first is the one that the campaign has. Raises FileInvalid for a template, and CampaignInvalid if a lead's
    letter cannot be composed.
    """
    is_as_it_was = (subject, text, html) == campaigns.letter(row.id)
    if is_as_it_was and len(letters) == 1:
        return None
    last = campaigns.last_turn(row.id)
    try:
        for templates in letters:
            templates.check()
        check_unsubscribe_url(letters)
        problems = _problems(row, letters)
    except TemplateInvalid as error:
        raise FileInvalid(*error.args) from None
    if problems:
        raise CampaignInvalid(joined(problems))
    return None if is_as_it_was else Letter(subject, text, html, checked_to=last)


def start(campaign_id: int, by: str) -> None:
    """Start a campaign. Raises CampaignInvalid, also for letters that would fail one by one when they are sent."""
    if because := why_not_started(campaigns.get(campaign_id)):
        raise CampaignInvalid(because)
    campaigns.start(campaign_id, by)


def why_not_started(row: Campaign) -> Message | None:
    """Why a draft cannot be started. None: it can, or it is no draft.

    A copy gets leads and mailboxes as they are: letters may not be composable for each lead, or answers not be seen.
    """
    if row.status != CampaignStatus.DRAFT:
        return None
    if blind := _why_blind(row):
        return blind
    letters = [Templates.of(it.subject, it.text, it.html) for it in campaigns.letters(row.id)]
    try:
        problems = _problems(row, letters)
    except TemplateInvalid as error:
        problems = [Message("%(said)s", said=messages.of(error))]
    template = gettext_noop(
        "cannot start the campaign %(name)s: %(said)s; add these leads again with what is missing, or change the letter"
    )
    return Message(template, name=repr(row.name), said=joined(problems)) if problems else None


def _problems(row: Campaign, letters: Sequence[Templates]) -> list[Message]:
    """Why letters cannot be composed, each with the leads who may still get one. Raises TemplateInvalid."""
    found = dict[Said, list[str]]()
    for _, address, fields in campaigns.unsent_leads(row.id):
        if because := fault(address, fields, letters):
            found.setdefault(because, []).append(address)
    return [Message("%(leads)s: %(said)s", leads=_named(them), said=said) for said, them in found.items()]


def _why_blind(row: Campaign) -> Message | None:
    blind = without_inbox(mailboxes.of_campaign(row.id))
    if row.follow_up_without_inbox or not blind or not steps.of(row.id):
        return None
    return campaigns.nobody_sees_answers(row, blind)


def without_inbox(senders: Iterable[Mailbox]) -> list[str]:
    """The addresses of those whose follow-ups would be sent although nobody would see an answer."""
    return [it.address for it in senders if it.imap_host is None]


def _named(leads: Sequence[str]) -> Said:
    more, shown = len(leads) - _SHOWN_LEADS, ", ".join(leads[:_SHOWN_LEADS])
    return Message(gettext_noop("%(leads)s and %(count)d more"), leads=shown, count=more) if more > 0 else shown


def senders(addresses: Iterable[str]) -> list[Mailbox]:
    """The mailboxes with these addresses, without duplicates, by id.

    Raises MailboxInvalid, AddressInvalid and LetterInvalid.
    """
    found = {row.id: row for row in (mailboxes.find(normalise(address)) for address in addresses)}
    for row in found.values():
        check_sender(Sender(row.address, row.name))
    return [found[id] for id in sorted(found)]
