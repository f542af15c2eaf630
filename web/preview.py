"""Shows a campaign's letters lead by lead, composed as they will be sent."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from flask_babel import gettext

import clock
import config
import messages
from intake.placeholders import foreign
from mail import unsubscribe
from mail.address import AddressInvalid, normalise
from mail.compose import Templates, letter_of, test_letter_of
from mail.message import LetterInvalid
from mail.render import TemplateInvalid
from messages import Message, Said, gettext_noop
from models.owner.campaigns import CampaignInvalid
from models.states import CampaignStatus
from models.store import vault
from models.store.tables import Campaign
from models.views import found_leads, letters
from models.views.letters import LeadLetter, NoSuchStep
from scheduling.window import WARSAW
from web import letter, words
from web.language import in_words
from web.letter import ShownLetter

_MOST_EMAILS = 5000  # of the forecast that is played for a letter's time
_DIGITS = 5  # a step's number has fewer


@dataclass(frozen=True)
class Preview:
    it: LeadLetter
    shown: ShownLetter | None
    problem: Said | None  # why its letter cannot be shown
    foreign: list[Message]  # placeholders of other products
    before: str | None  # the addresses of the leads before and after this one
    after: str | None
    time: str  # when it goes, or what is known of that; "": nothing


def step_in(values: Mapping[str, str]) -> int:
    """The number of the letter that a form or link asks for: 1 if none, 0, which no letter has, if it is no number."""
    typed = values.get("step", "").strip() or "1"
    return int(typed) if typed.isascii() and typed.isdecimal() and len(typed) < _DIGITS else 0


def of(row: Campaign, address: str, step: int) -> Preview | None:
    """The preview of a lead's letter. address: see of_lead(). None: there is no such lead. Raises NoSuchStep."""
    it = of_lead(row, address, step)
    if it is None:
        return None
    around = (*letters.beside(row.id, it.turn), _time(it, row.status))
    try:
        content = _content(it)
    except CampaignInvalid as error:
        return Preview(it, None, messages.of(error), [], *around)
    found = [] if it.is_over else foreign([Templates.of(it.subject, it.text, it.html)], it.fields)
    return Preview(it, letter.read(content), None, found, *around)


def _time(it: LeadLetter, campaign: CampaignStatus) -> str:
    if it.at is None:
        return _without_time(it)
    at = in_words(it.at)
    if it.held and it.status is not None and campaign != CampaignStatus.PAUSED:
        return words.told(it.held)
    if it.status is not None and campaign != CampaignStatus.PAUSED:
        return at
    if it.status is not None:
        return str(gettext("%(at)s, planned again when the campaign is resumed", at=at))
    match campaign:
        case CampaignStatus.DRAFT:
            said = gettext("%(at)s, if the campaign is started now", at=at)
        case CampaignStatus.PAUSED:
            said = gettext("%(at)s, if the campaign is resumed now", at=at)
        case _:
            said = gettext("%(at)s, by the forecast", at=at)
    return str(gettext("%(said)s, if nobody answers", said=said) if it.wait else said)


def _without_time(it: LeadLetter) -> str:
    if it.held:
        return words.told(it.held)
    if it.not_before:
        return str(gettext("not known yet; not before %(at)s", at=in_words(it.not_before)))
    if it.wait:
        template = gettext_noop("not known yet; it goes %(wait)s, counted from letter %(step)d")
        return str(gettext(template, wait=words.wait(it.wait), step=it.step_before))
    return ""


def of_lead(row: Campaign, address: str, step: int) -> LeadLetter | None:
    """A lead's letter. None: there is no such lead. Raises NoSuchStep.

    address: as typed, or a part that finds its lead; "": the first lead.
    """
    it = _lead(row, address, step)
    if it is None and (found := found_leads.find(address, row.id, 1)) and found.leads:
        return _lead(row, found.leads[0].address, step)
    return it


def as_test(it: LeadLetter, message_id: str) -> bytes:
    """A lead's letter as a test mail. Raises CampaignInvalid."""
    date, url = clock.now().astimezone(WARSAW), config.settings().unsubscribe.url
    try:
        return test_letter_of(replace(it, message_id=message_id), date, url)
    except (LetterInvalid, TemplateInvalid) as error:
        raise CampaignInvalid(it.not_composed(messages.of(error))) from None


def _content(it: LeadLetter) -> bytes:
    """The letter as it was handed over, or as it will be. Raises CampaignInvalid."""
    if it.is_over and (content := it.content()) is not None:
        return content
    if it.is_over and (gone := it.why_no_content()) is not None:
        raise CampaignInvalid(gone)
    try:
        keys = vault.derived_keys(unsubscribe.PURPOSE)
        return letter_of(it, (it.at or clock.now()).astimezone(WARSAW), keys, config.settings().unsubscribe.url)
    except (LetterInvalid, TemplateInvalid, vault.KeyInvalid) as error:
        raise CampaignInvalid(it.not_composed(messages.of(error))) from None


def _lead(row: Campaign, address: str, step: int) -> LeadLetter | None:
    try:
        return letters.of_lead(row, normalise(address) if address else None, most_emails=_MOST_EMAILS, step=step)
    except NoSuchStep:
        raise
    except (AddressInvalid, CampaignInvalid):
        return None
