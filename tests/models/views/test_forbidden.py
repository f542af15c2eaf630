"""Why a lead must not be written to: views say what the claim would say."""

from itertools import product

import pytest

import config
from models.email import facts, gates
from models.people import suppressions
from models.store.tables import Campaign, Lead
from models.views import calendars, conversations, letters
from reasons import Why
from tests import factories as make
from tests.conftest import Override

STATES = list(product(["", "{}", "@{}"], [None, "automatic", "human"], [True, False]))


def leads_in_all_states() -> dict[str, int]:
    """Address -> its planned e-mail: suppressed, stopped or held, with or without a legal basis."""
    mailbox_id, addresses = make.a_mailbox(), [f"anna@klient{turn}.example" for turn in range(len(STATES))]
    emails = make.planned(make.a_campaign([mailbox_id], leads=addresses), mailbox_id, *[make.now()] * len(STATES))
    Campaign.update(stop_in_all_campaigns=True).execute()
    for address, email_id, (suppressed, answer, has_basis) in zip(addresses, emails, STATES, strict=True):
        Lead.update(legal_basis="consent" if has_basis else None).where(Lead.address == address).execute()
        if answer:
            make.came_back(email_id, answer)
        if suppressed:
            entry = suppressed.format(address if suppressed == "{}" else address.partition("@")[2])
            suppressions.add(entry, "asked by phone", "ola")
    return dict(zip(addresses, emails, strict=True))


@pytest.mark.parametrize("required", ["true", "false"])
def test_is_said_as_the_claim_would_say_it(db: None, settings: Override, required: str) -> None:
    settings(SENDING_REQUIRE_LEGAL_BASIS=required)
    emails = leads_in_all_states()
    rules = config.settings().sending
    closed = {each: gates.lead_may_be_written_to(facts.read(email_id), rules) for each, email_id in emails.items()}
    claim: dict[str, Why | None] = {each: gate.because if gate else None for each, gate in closed.items()}
    # The reason of an e-mail that was cancelled already would stay as it was.
    another = Campaign.get_by_id(make.a_campaign([make.a_mailbox()], leads=list(emails)))

    assert 0 < len([why for why in claim.values() if why]) < len(claim)
    assert {each: letters.of_lead(another, each).why_not() for each in emails} == claim
    left_out = {it.address: it.why for it in calendars.of(another).left_out}
    assert left_out == {each: why for each, why in claim.items() if why is not None}
    assert {each: conversations.of_person(each)[0].ended for each in emails} == claim
