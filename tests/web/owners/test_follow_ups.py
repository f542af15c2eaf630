"""Follow-ups in a campaign's form, block by block and without JavaScript."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from models.email.batch_moves import FollowUpSlot, follow
from models.email.moves import accept
from models.owner import campaigns, mailboxes, steps
from models.owner.mailboxes import SentMail
from models.store.tables import Campaign, CampaignEmailQueue, CampaignStep
from scheduling.planner import Slot
from tests import factories as make
from tests.models.test_steps import OF_THE_VERSION_BEFORE, without
from tests.web.owners.conftest import Owner, typed, wrong
from tests.web.owners.test_campaigns import OLA, a_form, form_of

IMAP = SentMail("imap.sender.example", 993, "tls", None)


def block(number: int, **fields: Any) -> dict[str, Any]:
    usual = {"count": "3", "unit": "working days", "subject": "", "text": "Still there, {{ name }}?"}
    return {f"step-{number}-{name}": value for name, value in {**usual, **fields}.items()}


def told(campaign_id: int) -> list[tuple[str, str | None, str]]:
    return [(str(it.wait), it.subject, it.text) for it in steps.of(campaign_id)]


class TestANewCampaign:
    def test_has_the_follow_ups_that_are_filled_in(self, owner: Owner) -> None:
        make.a_mailbox(OLA, username="ola", sent_mail=IMAP)
        blocks = {**block(2), **block(3, count="", text=""), **block(4, count="1", unit="days", subject="Last one")}

        owner.may("/campaigns/new", **a_form(steps="3", **blocks))

        assert told(campaigns.find("Autumn").id) == [
            ("3 working days", None, "Still there, {{ name }}?"),
            ("1 day", "Last one", "Still there, {{ name }}?"),
        ]

    def test_gets_another_block_and_keeps_what_was_typed(self, owner: Owner) -> None:
        make.a_mailbox(OLA)

        page = owner.sends("/campaigns/new", **a_form(steps="1", add_step="1", **block(2, text="Kept")))

        assert page.status_code == 200
        assert ('name="steps" value="2"' in page.text, "Kept" in page.text) == (True, True)
        assert 'id="step-3-count"' in page.text
        assert not Campaign.select().exists()

    def test_is_told_what_is_wrong_with_one_beside_its_field(self, owner: Owner) -> None:
        make.a_mailbox(OLA)
        blocks = {**block(2, count="0", text="{{ name"), **block(3, count="", text=""), **block(4, count="", unit="x")}

        found = wrong(owner.may_not("/campaigns/new", **a_form(steps="3", **blocks)))

        assert found["step-2-count"] == "Must be at least 1."
        assert "line 1" in found["step-2-text"]
        assert found["step-4-count"] == "Is missing."
        assert "nobody would see an answer" in found["follow_up_without_inbox"].lower()

    def test_may_write_again_without_an_inbox_if_that_is_ticked(self, owner: Owner) -> None:
        make.a_mailbox(OLA)

        owner.may("/campaigns/new", **a_form(steps="1", follow_up_without_inbox="yes", **block(2)))

        assert campaigns.find("Autumn").follow_up_without_inbox

    def test_has_its_share_of_follow_ups_and_its_new_leads_per_day(self, owner: Owner) -> None:
        make.a_mailbox(OLA, username="ola", sent_mail=IMAP)
        shown = owner.sends("/campaigns/new", **a_form(steps="0", add_step="1"))

        owner.may("/campaigns/new", **a_form(steps="1", new_leads_per_day="12", follow_up_share="40", **block(2)))

        assert typed(shown.text, "follow_up_share") == "70"
        row = campaigns.find("Autumn")
        assert (row.new_leads_per_day, row.follow_up_share) == (12, 40)

    def test_is_told_what_is_wrong_with_them(self, owner: Owner) -> None:
        make.a_mailbox(OLA, username="ola", sent_mail=IMAP)

        page = owner.may_not(
            "/campaigns/new", **a_form(steps="1", new_leads_per_day="0", follow_up_share="101", **block(2))
        )

        found = wrong(page)
        assert found["new_leads_per_day"] == "Must be at least 1."
        assert found["follow_up_share"] == "Must be at most 100."


class TestADraft:
    def test_changes_its_share_of_follow_ups_and_takes_its_new_leads_per_day_away(self, owner: Owner) -> None:
        box = make.a_mailbox(username="ola", sent_mail=IMAP)
        row = campaigns.get(make.a_campaign([box], leads=1, active=False, follow_ups=["2 days"]))
        campaigns.edit(row.id, "tests", campaigns.Edit(new_leads_per_day=5, follow_up_share=30))
        path = f"/campaigns/{row.id}/edit"
        page = owner.browser.get(path).text
        assert (typed(page, "new_leads_per_day"), typed(page, "follow_up_share")) == ("5", "30")

        owner.may(path, **form_of(row, steps="1", **block(2)))
        kept = campaigns.get(row.id)
        owner.may(path, **form_of(row, steps="1", new_leads_per_day="", follow_up_share="60", **block(2)))

        assert (kept.new_leads_per_day, kept.follow_up_share) == (5, 30)
        it = campaigns.get(row.id)
        assert (it.new_leads_per_day, it.follow_up_share) == (None, 60)
        assert "new leads a day" in owner.sees(f"/campaigns/{row.id}")

    def test_shows_its_follow_ups_and_changes_them(self, owner: Owner) -> None:
        box = make.a_mailbox(username="ola", sent_mail=IMAP)
        row = campaigns.get(make.a_campaign([box], leads=1, active=False, follow_ups=["2 days", "4 hours"]))
        path = f"/campaigns/{row.id}/edit"
        page = owner.browser.get(path).text

        owner.may(path, **form_of(row, steps="2", **block(2, text="Changed"), **block(3, count="", text="")))

        assert '<option value="hours" selected>' in page
        assert told(row.id) == [("3 working days", None, "Changed")]

    def test_keeps_them_if_they_are_not_sent(self, owner: Owner) -> None:
        box = make.a_mailbox(username="ola", sent_mail=IMAP)
        row = campaigns.get(make.a_campaign([box], leads=1, active=False, follow_ups=["2 days"]))

        owner.may(f"/campaigns/{row.id}/edit", **form_of(row, subject="Another {{ name }}"))

        assert [wait for wait, _, _ in told(row.id)] == ["2 days"]
        assert mailboxes.of_campaign(row.id)[0].id == box


class TestARunningCampaign:
    @pytest.fixture(autouse=True)
    def sequences(self, db: None) -> Iterator[None]:
        with without(OF_THE_VERSION_BEFORE):
            yield

    def test_says_what_a_removed_step_cancels_before_it_is_saved_and_shows_the_step_later(self, owner: Owner) -> None:
        box = make.a_mailbox(username="ola", sent_mail=IMAP)
        row = campaigns.get(make.a_campaign([box], leads=1, follow_ups=["2 days", "4 hours"]))
        [first] = make.planned(row.id, box, make.now())
        assert accept(make.handed_over(first).held, make.YES)
        [_, second, third] = CampaignStep.select().order_by(CampaignStep.position)
        CampaignStep.update(text="The last").where(CampaignStep.id == third.id).execute()
        at = make.now() + timedelta(days=2)
        lead = make.row(first).campaign_lead_id
        assert follow(row.id, [FollowUpSlot(first, Slot(row.id, lead, second.id, box, at), at)], "tests") == 1
        its = {"steps": "1", **block(2, count="4", unit="hours", text="The last")}
        path = f"/campaigns/{row.id}/edit"

        asked = owner.sends(path, **form_of(row, **its)).text

        assert "1 planned e-mail of removed letters is cancelled; its lead goes on with the next letter" in asked
        assert not CampaignEmailQueue.select().where(CampaignEmailQueue.status == "cancelled").exists()
        [agreed] = re.findall(r'name="agreed" value="(\w+)"', asked)
        owner.may(path, **form_of(row, **its), agreed=agreed)
        assert "removed from the sequence" in owner.sees(f"/campaigns/{row.id}")
        email_id = CampaignEmailQueue.get(CampaignEmailQueue.status == "cancelled").id
        assert "letter 2 not sent: its step was removed from the sequence" in owner.sees(f"/emails/{email_id}")
        polish = owner.browser.get(f"/emails/{email_id}?lang=pl").text
        assert "wiadomość 2 niewysłana: jej krok usunięto z sekwencji" in polish
