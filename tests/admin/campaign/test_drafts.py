"""`campaign delete` and `campaign copy`, and the names that are free again."""

from collections.abc import Callable
from pathlib import Path

import pytest

from models.audit import changes
from models.owner import campaigns
from models.owner.campaigns import CampaignInvalid
from models.states import CampaignStatus
from models.store import tables
from models.store.tables import Campaign, CampaignLead, CampaignMailbox, CampaignStep, Lead
from tests import factories as make
from tests.admin.test_commands import done, read, refused

pytestmark = pytest.mark.usefixtures("db")


def a_campaign(name: str = "Autumn", leads: int = 3, *, active: bool = False) -> Campaign:
    campaign_id = make.a_campaign([make.a_mailbox(), make.a_mailbox()], leads=leads, active=active)
    Campaign.update(name=name).where(Campaign.id == campaign_id).execute()
    return Campaign.get_by_id(campaign_id)


class TestDeleting:
    def test_a_draft_leaves_nothing_of_it_but_the_people_and_the_audit_log(self) -> None:
        row = a_campaign()
        campaigns.edit(row.id, "marek", campaigns.Edit(daily_limit=7))

        assert done("campaign", "delete", "Autumn") == "deleted the draft 'Autumn' and its 3 leads\n"

        for table in (Campaign, CampaignLead, CampaignStep, CampaignMailbox):
            assert table.select().count() == 0
        assert Lead.select().count() == 3
        [order] = changes.of_installation()
        assert order.sentence.endswith("deleted the draft “Autumn” and its 3 leads")
        assert [(it["by"], it["verb"]) for it in order.values["orders"][0]] == [("tests", "add"), ("marek", "edit")]

    def test_a_draft_of_which_a_test_was_sent_leaves_that_counted(self) -> None:
        row = a_campaign()
        sent = {"recipient": "ola@sender.example", "by": "ola", "message_id": "<1>", "lease_ends_at": make.now()}
        tables.TestMail.insert(mailbox=1, campaign=row.id, **sent).execute()

        campaigns.delete(row.id, "ola")

        assert tables.TestMail.get().campaign_id is None

    @pytest.mark.parametrize(
        "order",
        [
            lambda id: None,
            lambda id: campaigns.pause(id, "tests"),
            lambda id: campaigns.cancel(id, "tests"),
            lambda id: Campaign.update(status="completed").execute(),
        ],
        ids=["active", "paused", "cancelled", "completed"],
    )
    def test_what_has_begun_is_refused_and_stays(self, order: Callable[[int], object]) -> None:
        row = a_campaign(active=True)
        order(row.id)

        assert "not a draft" in refused("campaign", "delete", "Autumn")
        assert CampaignLead.select().count() == 3

    def test_many_leads_takes_several_portions(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(campaigns, "DELETE_LEADS", campaigns.DELETE_LEADS.replace("10000", "2"))

        assert campaigns.delete(a_campaign(leads=5).id, "ola") == 5


class TestAName:
    def test_is_free_once_its_campaign_was_deleted_or_cancelled(self) -> None:
        a_campaign()
        done("campaign", "delete", "Autumn")
        second = a_campaign(active=True)
        done("campaign", "cancel", "Autumn")
        third = a_campaign()

        assert campaigns.find("Autumn").id == third.id
        assert campaigns.get(second.id).name == "Autumn"
        assert read("campaign", "show", "Autumn")["status"] == "draft"

    def test_is_taken_by_every_other_campaign(self) -> None:
        a_campaign(active=True)
        other = a_campaign("Winter")

        with pytest.raises(CampaignInvalid, match="there is a campaign 'Autumn' already"):
            campaigns.edit(other.id, "ola", campaigns.Edit(name="Autumn"))
        assert "there is a campaign 'Autumn' already" in refused("campaign", "copy", "Winter", "Autumn")

    def test_of_cancelled_ones_only_is_the_latests(self) -> None:
        for _ in range(2):
            campaigns.cancel(a_campaign().id, "ola")

        assert campaigns.find("Autumn").id == max(it.id for it in Campaign.select())


class TestACopy:
    def test_is_a_draft_with_the_same_letter_mailboxes_and_schedule_and_without_leads(self) -> None:
        row = a_campaign(active=True)
        CampaignStep.update(html="<p>Hello</p>").execute()

        assert done("campaign", "copy", "Autumn", "Winter").startswith(
            "copied 'Autumn' to 'Winter', as a draft without"
        )

        copy = campaigns.find("Winter")
        same = ("window_start_minute", "window_end_minute", "weekdays", "delay_seconds", "daily_limit")
        assert [getattr(copy, it) for it in same] == [getattr(row, it) for it in same]
        assert campaigns.letter(copy.id) == campaigns.letter(row.id)
        assert (copy.status, campaigns.has_leads(copy.id)) == ("draft", False)
        links = [it.mailbox_id for it in CampaignMailbox.select().where(CampaignMailbox.campaign == copy.id)]
        assert len(links) == 2

    def test_has_the_leads_in_their_order_where_that_is_asked(self) -> None:
        row = a_campaign()

        done("campaign", "copy", "Autumn", "Winter", "--with-leads")

        def leads(campaign_id: int) -> list[tuple[int, int, str, object]]:
            found = CampaignLead.select().where(CampaignLead.campaign == campaign_id).order_by(CampaignLead.position)
            return [(it.lead_id, it.position, it.address, it.fields) for it in found]

        assert leads(campaigns.find("Winter").id) == leads(row.id)

    def test_has_the_letters_that_follow_and_what_a_reply_stops(self) -> None:
        row = a_campaign()
        follow_up = {"position": 2, "text": "Did you see it?", "wait_count": 3, "wait_unit": "working days"}
        CampaignStep.insert(campaign=row.id, **follow_up).execute()
        its = {"stop_in_all_campaigns": True, "follow_up_without_inbox": True, "new_leads_per_day": 5}
        Campaign.update(its).where(Campaign.id == row.id).execute()

        done("campaign", "copy", "Autumn", "Winter")

        copy = campaigns.find("Winter")
        step = CampaignStep.get(CampaignStep.campaign == copy.id, CampaignStep.position == 2)
        assert {name: getattr(step, name) for name in follow_up} == follow_up
        assert {name: getattr(copy, name) for name in its} == its

    @pytest.mark.parametrize("name", ["", "A\x07", "x" * 201])
    def test_under_a_name_that_is_none_is_refused(self, name: str) -> None:
        a_campaign()

        assert "name: " in refused("campaign", "copy", "Autumn", name)
        assert Campaign.select().count() == 1


class TestADraftWhoseLetterDoesNotFitEachLead:
    """A letter that prints what leads lack who were written to already, and a copy to write to them again."""

    @pytest.fixture(autouse=True)
    def copied(self, db: None) -> str:
        row = a_campaign()
        CampaignStep.update(text="Dear {{ name }} of {{ company }}").execute()
        CampaignLead.update(fields={"name": "Anna", "company": ""}).where(CampaignLead.position > 1).execute()
        CampaignLead.update(fields={"name": "Jan", "company": "Kłos"}).where(CampaignLead.position == 1).execute()
        return done("campaign", "copy", row.name, "Winter", "--with-leads")

    def test_is_told_of_when_it_is_copied(self, copied: str) -> None:
        addresses = [
            it.address for it in CampaignLead.select().where(CampaignLead.position > 1).order_by(CampaignLead.id)
        ][:2]
        assert f"cannot start the campaign 'Winter': {', '.join(addresses)}: 'company' is empty" in copied

    def test_is_not_started(self) -> None:
        assert "'company' is empty: fill it in" in refused("campaign", "start", "Winter")
        assert campaigns.find("Winter").status == CampaignStatus.DRAFT

    def test_is_started_with_another_letter(self, tmp_path: Path) -> None:
        letter = tmp_path / "letter.txt"
        letter.write_text("Dear {{ name }}")
        done("campaign", "edit", "Winter", "--text-file", str(letter))

        done("campaign", "start", "Winter", "--yes")

        assert campaigns.find("Winter").status == CampaignStatus.ACTIVE

    def test_is_started_if_those_leads_were_forgotten(self) -> None:
        for it in CampaignLead.select().where(CampaignLead.position > 1):
            Lead.update(forgotten_at=make.now()).where(Lead.id == it.lead_id).execute()

        done("campaign", "start", "Winter", "--yes")

        assert campaigns.find("Winter").status == CampaignStatus.ACTIVE
