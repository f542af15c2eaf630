"""Shows the letters of a draft lead by lead, composed as they will be sent."""

from dataclasses import dataclass, replace

import clock
import config
from intake.placeholders import foreign
from mail import unsubscribe
from mail.address import AddressInvalid, normalise
from mail.compose import Templates, letter_of, test_letter_of
from mail.message import LetterInvalid
from mail.render import TemplateInvalid
from messages import Message
from models.owner.campaigns import CampaignInvalid
from models.store import vault
from models.store.tables import Campaign
from models.views import found_leads, letters
from models.views.letters import LeadLetter
from reasons import Why, why
from scheduling.window import WARSAW
from web import letter
from web.letter import ShownLetter

_MOST_EMAILS = 5000  # of the forecast that is played for a letter's time


@dataclass(frozen=True)
class Preview:
    it: LeadLetter
    shown: ShownLetter | None
    problem: Why | None  # why its letter cannot be composed
    foreign: list[Message]  # placeholders of other products
    before: str | None  # the addresses of the leads before and after this one
    after: str | None


def of(row: Campaign, address: str) -> Preview | None:
    """address: see of_lead(). None: there is no such lead."""
    it = of_lead(row, address)
    if it is None:
        return None
    before, after = letters.beside(row.id, it.turn)
    try:
        keys = vault.derived_keys(unsubscribe.PURPOSE)
        content = letter_of(it, (it.at or clock.now()).astimezone(WARSAW), keys, config.settings().unsubscribe.url)
    except (LetterInvalid, TemplateInvalid, vault.KeyInvalid) as error:
        return Preview(it, None, why(error), [], before, after)
    return Preview(
        it, letter.read(content), None, foreign([Templates.of(it.subject, it.text, it.html)], it.fields), before, after
    )


def of_lead(row: Campaign, address: str) -> LeadLetter | None:
    """address: as typed, or a part that finds its lead; "": the first lead. None: there is no such lead."""
    it = _lead(row, address)
    if it is None and (found := found_leads.find(address, row.id, 1)) and found.leads:
        return _lead(row, found.leads[0].address)
    return it


def as_test(it: LeadLetter, message_id: str) -> bytes:
    """A lead's letter as a test mail. Raises LetterInvalid and TemplateInvalid."""
    return test_letter_of(
        replace(it, message_id=message_id), clock.now().astimezone(WARSAW), config.settings().unsubscribe.url
    )


def _lead(row: Campaign, address: str) -> LeadLetter | None:
    try:
        return letters.of_lead(row, normalise(address) if address else None, most_emails=_MOST_EMAILS)
    except (AddressInvalid, CampaignInvalid):
        return None
