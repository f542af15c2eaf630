"""A test mail from a campaign's page: sent once, and its result shown where it was asked for."""

import re
from collections.abc import Iterator

import pytest

from models.owner import campaigns
from models.store import tables
from models.store.tables import Campaign
from tests import factories as make
from tests.smtp_server import SmtpServer
from tests.web.owners.conftest import Owner, text

TO = "ola@her-own.example"


@pytest.fixture
def smtp() -> Iterator[SmtpServer]:
    with SmtpServer() as running:
        yield running


@pytest.fixture
def draft(smtp: SmtpServer) -> Campaign:
    box = make.a_mailbox("ola@sender.example", smtp_port=smtp.port, daily_limit=1)
    return campaigns.get(make.a_campaign([box], leads=["anna@leads.example", "jan@leads.example"], active=False))


def refusal(owner: Owner, row: Campaign, language: str = "en", **fields: str) -> str:
    answer = owner.sends(f"/campaigns/{row.id}/test?lang={language}", **fields)
    [found] = re.findall(r'<p class="refusal" role="alert">(.*?)</p>', answer.text)
    assert answer.status_code == 409
    return text(str(found))


def test_is_the_letter_of_the_lead_that_a_part_finds(owner: Owner, smtp: SmtpServer, draft: Campaign) -> None:
    where = owner.may(f"/campaigns/{draft.id}/test", to=TO, lead="jan@")

    [mail] = smtp.accepted
    assert (mail.recipient, b"[Test] Hello Lead jan@leads.example" in mail.content) == (TO, True)
    assert f"The test mail to {TO} was sent from ola@sender.example." in owner.sees(where)
    assert tables.TestMail.select().count() == 1


def follow_up(row: Campaign, **letter: str) -> None:
    its = {"text": "Still there?", "wait_count": 1, "wait_unit": "days", **letter}
    tables.CampaignStep.insert(campaign=row.id, position=2, **its).execute()


def test_is_the_letter_of_the_step_that_is_chosen_also_while_the_campaign_runs(
    owner: Owner, smtp: SmtpServer, draft: Campaign
) -> None:
    assert 'id="test-step"' not in owner.browser.get(f"/campaigns/{draft.id}").text
    follow_up(draft)
    campaigns.start(draft.id, "tests")
    assert 'id="test-step"' in owner.browser.get(f"/campaigns/{draft.id}").text

    owner.may(f"/campaigns/{draft.id}/test", to=TO, lead="anna@leads.example", step="2")

    [mail] = smtp.accepted
    assert b"Subject: [Test] Re: Hello Lead anna@leads.example\r\n" in mail.content
    assert b"In-Reply-To" not in mail.content


def test_of_a_letter_that_there_is_not_or_that_cannot_be_composed_is_refused_in_both_languages(
    owner: Owner, smtp: SmtpServer, draft: Campaign
) -> None:
    follow_up(draft, text="{{ nick }}")

    assert "has no letter 9; its letters: 1, 2" in refusal(owner, draft, to=TO, step="9")
    assert "nie ma wiadomości 0; jej wiadomości: 1, 2" in refusal(owner, draft, "pl", to=TO, step="x")
    assert "letter 2 to anna@leads.example cannot be composed" in refusal(owner, draft, to=TO, step="2")
    assert "nie można złożyć wiadomości 2 do anna@leads.example" in refusal(owner, draft, "pl", to=TO, step="2")
    assert smtp.connections == tables.TestMail.select().count() == 0


def test_is_shown_as_refused_with_the_servers_words(owner: Owner, draft: Campaign) -> None:
    where = owner.may(f"/campaigns/{draft.id}/test", to="dot-550@her-own.example")

    assert "was not sent from ola@sender.example. 550" in owner.sees(where)


def test_that_may_not_be_sent_is_refused_in_both_languages(owner: Owner, smtp: SmtpServer, draft: Campaign) -> None:
    assert "has no such lead" in refusal(owner, draft, to=TO, lead="piotr")
    assert "@" in refusal(owner, draft, to="ola")
    owner.may(f"/campaigns/{draft.id}/test", to=TO)

    assert "cannot send it now" in refusal(owner, draft, to=TO)
    assert "nie może tego teraz wysłać" in refusal(owner, draft, "pl", to=TO)
    assert len(smtp.accepted) == 1
