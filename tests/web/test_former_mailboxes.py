"""A campaign's page when follow-ups wait for a mailbox that is gone: it says so, and carries out the decision."""

import pytest
from flask.testing import FlaskClient

from models.store.tables import CampaignEmailQueue, CampaignMailbox
from tests import factories as make
from tests.models.email.test_former_mailboxes import NEW, OLD, Sequence
from tests.web.conftest import token_of


@pytest.fixture
def it(db: None) -> Sequence:
    return Sequence()


def test_says_who_waits_and_offers_the_decision(it: Sequence, browser: FlaskClient) -> None:
    where = f"/campaigns/{it.id}"
    assert 'id="waiting"' not in browser.get(where).text
    it.remove(it.old)

    html, polish = browser.get(f"{where}?lang=en").text, browser.get(f"{where}?lang=pl").text

    assert "Leads that wait for their next letter until you decide: 2" in html
    assert f"ich skrzynka {OLD} nie należy już do kampanii" in polish
    assert f'<option value="{it.new}">{NEW}</option>' in html


def test_carries_the_decision_out(it: Sequence, browser: FlaskClient) -> None:
    it.remove(it.old)
    form = {"csrf_token": token_of(browser), "mailbox": it.old, "verdict": "go_on", "from": it.new}

    assert browser.post(f"/campaigns/{it.id}/follow-ups", data=form).status_code == 303

    it.tick()
    assert make.row(it.planned).mailbox_id == it.new


def test_ends_them(it: Sequence, browser: FlaskClient) -> None:
    it.remove(it.old)
    form = {"csrf_token": token_of(browser), "mailbox": it.old, "verdict": "end"}

    assert browser.post(f"/campaigns/{it.id}/follow-ups", data=form).status_code == 303

    ended = browser.get(f"/emails/{it.first}?lang=en").text
    assert "ended: a person ended its sequence with its mailbox" in ended


@pytest.mark.parametrize("form", [{}, {"verdict": "go_on"}, {"verdict": "go_on", "from": "999"}])
def test_refuses_what_is_no_decision(it: Sequence, browser: FlaskClient, form: dict[str, str]) -> None:
    it.remove(it.old)
    typed = {"csrf_token": token_of(browser), "mailbox": str(it.old), **form}

    answer = browser.post(f"/campaigns/{it.id}/follow-ups?lang=en", data=typed)

    assert answer.status_code == 409
    assert "Choose a mailbox from which they go on" in answer.text


def test_says_why_a_decision_was_refused(it: Sequence, browser: FlaskClient) -> None:
    deaf = make.a_mailbox("deaf@sender.example")
    it.remove(it.old)
    # As it may be since before such a mailbox was refused.
    CampaignMailbox.insert(campaign=it.id, mailbox=deaf).execute()
    form = {"csrf_token": token_of(browser), "mailbox": it.old, "verdict": "go_on", "from": deaf}

    answer = browser.post(f"/campaigns/{it.id}/follow-ups?lang=pl", data=form)

    assert answer.status_code == 409
    assert "nikt nie zobaczy odpowiedzi na adres deaf@sender.example" in answer.text
    assert CampaignEmailQueue.select().count() == 3
