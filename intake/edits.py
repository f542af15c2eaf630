"""What a person changes of a campaign: a new letter fits each lead who may still get it; its mailboxes can send."""

from collections.abc import Iterable, Sequence

from intake.campaign_file import joined
from intake.letters import check_sender, check_unsubscribe_url, fault
from intake.texts import FileInvalid
from mail.address import normalise
from mail.compose import Sender, Templates
from mail.render import TemplateInvalid
from messages import Message, Said, gettext_noop
from models.owner import campaigns, mailboxes
from models.owner.campaigns import CampaignInvalid, Letter
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
    last, problems = campaigns.last_turn(row.id), dict[Said, list[str]]()
    try:
        for templates in letters:
            templates.check()
        check_unsubscribe_url(letters)
        for _, address, fields in campaigns.unsent_leads(row.id):
            if because := fault(address, fields, letters):
                problems.setdefault(because, []).append(address)
    except TemplateInvalid as error:
        raise FileInvalid(*error.args) from None
    if problems:
        told = [Message("%(leads)s: %(said)s", leads=_named(them), said=said) for said, them in problems.items()]
        raise CampaignInvalid(joined(told))
    return None if is_as_it_was else Letter(subject, text, html, checked_to=last)


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
