"""Leads are found by a part of their address or of a field, at once and from the index alike."""

from threading import Event, Thread

import pytest

from models.owner import campaigns
from models.people import forgetting, lead_import, lead_search
from models.people.lead_import import NewLead
from models.store import database
from models.store.tables import CampaignLead, LeadSearch
from models.views import found_leads
from tests import factories as make
from tests.waiting import BOUND

pytestmark = pytest.mark.usefixtures("db")

ANNA, JAN = "Anna.Wójcik-Nowak@piekarnia-klos.example", "jan@leads.example"
FIELDS = {"name": "Żaneta Wójcik", "company": "Piekarnia  Kłos", "story": "x" * 101, "sign": "100%_sure\\"}


def a_campaign() -> int:
    campaign_id = make.a_campaign([make.a_mailbox()], leads=[])
    lead_import.stage_only(
        [NewLead(ANNA, ANNA.lower(), FIELDS, None), NewLead(JAN, JAN, {"name": "Jan Łoś", "company": "ŁÓDŹ 2"}, None)]
    )
    campaigns.add_staged_leads(campaign_id, "tests")
    return campaign_id


def addresses(text: str, campaign_id: int | None = None) -> list[str]:
    found = found_leads.find(text, campaign_id)
    assert found is not None
    return [it.address for it in found.leads]


def index_everything() -> None:
    while lead_search.waiting():
        lead_search.make_leads_searchable()


@pytest.mark.parametrize("indexed", [False, True], ids=["not indexed yet", "indexed"])
class TestFinding:
    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("anna.wójcik-nowak@piekarnia-klos.example", [ANNA]),
            ("ekarn", [ANNA]),
            ("KLOS", [ANNA]),
            ("Kłos", [ANNA]),
            ("zaneta", [ANNA]),
            ("nowak zane wojc", [ANNA]),
            ("łodz 2", [JAN]),
            ("los", [ANNA, JAN]),
            ("example", [ANNA, JAN]),
            ("0%_su", [ANNA]),
            ("ure\\", [ANNA]),
            ("100__sure", []),
            ("zaneta jan@", []),
            ("xxx", []),
            ("a'; DROP TABLE lead; --", []),
            ("jan\0@leads", [JAN]),
        ],
    )
    def test_is_by_parts_of_words_whatever_case_and_diacritics(
        self, indexed: bool, text: str, found: list[str]
    ) -> None:
        a_campaign()
        if indexed:
            index_everything()

        assert addresses(text) == found

    def test_is_in_one_campaign_if_asked(self, indexed: bool) -> None:
        first, second = a_campaign(), a_campaign()
        if indexed:
            index_everything()

        assert len(addresses("jan@")) == 2
        assert addresses("jan@", second) == [JAN]
        assert found_leads.places("jan@", first) == [
            CampaignLead.get(CampaignLead.campaign == first, CampaignLead.position == 2).id
        ]

    def test_tells_if_there_are_more(self, indexed: bool) -> None:
        make.a_campaign([make.a_mailbox()], leads=3)
        if indexed:
            index_everything()

        several, all_of_them = (found_leads.find("lead", limit=limit) for limit in (2, 3))

        assert several is not None
        assert all_of_them is not None
        assert (len(several.leads), several.more) == (2, True)
        assert (len(all_of_them.leads), all_of_them.more) == (3, False)


def test_a_word_of_two_characters_alone_is_too_short() -> None:
    a_campaign()

    assert found_leads.find("ja n") is None
    assert found_leads.find("") is None


class TestTheIndex:
    def test_takes_a_portion_at_a_time_and_every_lead_once(self) -> None:
        make.a_campaign([make.a_mailbox()], leads=7)

        lead_search.make_leads_searchable(portion=1)
        some = LeadSearch.select().count()
        index_everything()

        assert (some, LeadSearch.select().count()) == (5, 7)
        assert lead_search.waiting() == 0

    def test_follows_a_lead_that_is_changed(self) -> None:
        a_campaign()
        index_everything()

        CampaignLead.update(fields={"name": "Ewa"}).where(CampaignLead.address == JAN).execute()

        assert (addresses("ewa"), addresses("łódź")) == ([JAN], [])

    def test_loses_a_draft_that_is_deleted(self) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()], leads=2, active=False)
        index_everything()

        campaigns.delete(campaign_id, "tests")

        assert LeadSearch.select().count() == 0

    @pytest.mark.parametrize("indexed", [False, True], ids=["before", "after"])
    def test_does_not_find_who_was_forgotten(self, indexed: bool) -> None:
        a_campaign()
        if indexed:
            index_everything()

        forgetting.forget(JAN, "ola", keep=lambda key: None)
        index_everything()

        assert addresses("jan@") == addresses("łódź") == addresses("forgotten") == []
        assert sorted(it.words for it in LeadSearch.select())[0] == ""

    def test_leaves_a_lead_that_is_being_changed_for_later(self) -> None:
        a_campaign()
        changed, go_on = Event(), Event()

        def change() -> None:
            with database.database.atomic():
                CampaignLead.update(fields={"name": "Ewa"}).where(CampaignLead.address == JAN).execute()
                changed.set()
                go_on.wait(BOUND)
            database.close()

        other = Thread(target=change)
        other.start()
        changed.wait(BOUND)
        lead_search.make_leads_searchable()
        meanwhile = LeadSearch.select().count()
        go_on.set()
        other.join()
        index_everything()

        assert meanwhile == 1
        assert (addresses("ewa"), addresses("łódź")) == ([JAN], [])
