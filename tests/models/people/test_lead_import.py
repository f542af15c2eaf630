"""A campaign's leads as they are staged and written: in one transaction, in the file's order, behind those it has."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from peewee import DatabaseError

from models.audit import changes
from models.email import moves
from models.owner import campaigns
from models.owner.campaigns import AddedLeads, CampaignInvalid
from models.people import lead_import
from models.people.lead_import import Comparison, Difference, NewLead, Repeated
from models.planning import plans, unplanned
from models.states import CampaignStatus, Status
from models.store import database
from models.store.tables import Campaign, CampaignEmailQueue, CampaignLead, CampaignStep, Lead
from scheduling import planner
from tests import factories as make
from tests.waiting import BOUND, until

pytestmark = pytest.mark.usefixtures("db")


def a_lead(address: str, basis: str | None = None, **fields: str) -> NewLead:
    return NewLead(address, address.lower(), {"email": address, **fields}, basis)


def put(campaign_id: int, *people: NewLead) -> AddedLeads:
    lead_import.stage_only(people)
    return campaigns.add_staged_leads(campaign_id, "ola")


def of(campaign_id: int) -> list[tuple[int, str]]:
    rows = CampaignLead.select().where(CampaignLead.campaign == campaign_id).order_by(CampaignLead.id)
    return [(row.position, row.address) for row in rows]


def mailed(address: str, days_ago: float, status: Status = Status.SENT) -> None:
    """By a campaign of its own."""
    mailbox_id = make.a_mailbox()
    campaign_id = make.a_campaign([mailbox_id], leads=[address])
    [email_id] = make.planned(campaign_id, mailbox_id, make.now())
    if status is not Status.PENDING:
        claim = make.handed_over(email_id)
        assert status is Status.UNKNOWN or moves.accept(claim.held, make.YES)
    make.everything_older(timedelta(days=days_ago))


HOSTILE = ("\t", "\n", "\\", "\\.", "\\N", '"', "'", "%s", "%(campaign)s", "{}", "Łódź", "😀", "\u2028", "a\r\nb", "")


class TestWhatIsStaged:
    @pytest.mark.parametrize("value", HOSTILE, ids=ascii)
    def test_comes_out_as_it_went_in(self, value: str) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()], leads=[])

        put(campaign_id, a_lead("anna@leads.example", value or None, name=value))

        assert CampaignLead.get().fields == {"email": "anna@leads.example", "name": value}
        assert Lead.get().legal_basis == (value or None)

    def test_has_the_first_of_each_address(self) -> None:
        with lead_import.staging():
            people = ["Anna@leads.example", "jan@leads.example", "anna@leads.example", "ANNA@leads.example"]
            lead_import.stage(enumerate(map(a_lead, people), start=2))

            assert lead_import.leave_out_repeated(1) == (2, [Repeated(4, "anna@leads.example", 2)])
            assert lead_import.leave_out_repeated(1) == (0, [])
            assert lead_import.compare(None) == Comparison(fresh=2, changed=0, left_alone=0, same=0)

    def test_is_gone_with_the_import_and_so_is_its_long_timeout(self) -> None:
        before = database.fetch("SHOW statement_timeout")

        with lead_import.staging():
            lead_import.stage([(2, a_lead("anna@leads.example"))])

        assert database.fetch("SHOW statement_timeout") == before
        assert database.fetch("SELECT to_regclass('staged_lead')") == [(None,)]


class TestNewLeads:
    def test_stand_behind_the_others_in_the_files_order_and_are_planned_so(self) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()], leads=["b@leads.example", "c@leads.example"])

        assert put(campaign_id, *map(a_lead, ["z@leads.example", "C@leads.example", "a@leads.example"])).new == 2

        assert of(campaign_id) == [
            (1, "b@leads.example"),
            (2, "C@leads.example"),
            (3, "z@leads.example"),
            (4, "a@leads.example"),
        ]
        planned = unplanned.emails({campaign_id: None})[campaign_id]
        assert [CampaignLead.get_by_id(it.lead_id).position for it in planned] == [1, 2, 3, 4]

    def test_take_places_after_those_that_are_planned(self) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], leads=2)
        make.planned(campaign_id, mailbox_id, make.now() + timedelta(minutes=1), make.now() + timedelta(minutes=2))
        last = max(row.scheduled_at for row in CampaignEmailQueue.select())

        put(campaign_id, a_lead("new@leads.example"))

        seen = plans.situation()
        [slot] = planner.plan(seen.campaigns, seen.mailboxes, seen.taken, seen.now)
        assert slot.at > last

    def test_are_in_the_change_log_and_make_a_plan_of_before_void(self) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()], leads=2)
        before = Campaign.get().revision

        put(campaign_id, a_lead("new@leads.example"))

        [change, *_] = changes.of_campaign(campaign_id)
        assert (change.by, change.verb, change.values) == ("ola", "add_leads", {"leads": [2, 3]})
        assert Campaign.get().revision == before + 1

    def test_that_are_known_keep_their_legal_basis_and_get_one_where_they_had_none(self) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()], leads=[])

        put(campaign_id, a_lead("a@leads.example", "contract"), a_lead("b@leads.example"))
        put(campaign_id, a_lead("a@leads.example", "consent"), a_lead("b@leads.example", "consent"))

        bases = {row.address: row.legal_basis for row in Lead.select()}
        assert bases == {"a@leads.example": "contract", "b@leads.example": "consent"}

    def test_none_is_written_where_one_cannot_be(self) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()], leads=1)
        before = of(campaign_id)
        database.execute("ALTER TABLE campaign_lead ADD CONSTRAINT a_test CHECK (address <> 'z@leads.example')")
        try:
            with pytest.raises(DatabaseError):
                put(campaign_id, a_lead("y@leads.example"), a_lead("z@leads.example"))
        finally:
            database.execute("ALTER TABLE campaign_lead DROP CONSTRAINT a_test")

        assert (of(campaign_id), Lead.select().count()) == (before, 1)

    @pytest.mark.parametrize(
        ("status", "after"),
        [(it, it) for it in (CampaignStatus.DRAFT, CampaignStatus.ACTIVE, CampaignStatus.PAUSED)]
        + [(CampaignStatus.COMPLETED, CampaignStatus.PAUSED)],
    )
    def test_leave_a_campaign_as_it_is_but_a_completed_one_waits_for_a_person(
        self, status: CampaignStatus, after: CampaignStatus
    ) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()], leads=1)
        Campaign.update(status=status).execute()

        put(campaign_id, a_lead("new@leads.example"))

        assert campaigns.get(campaign_id).status == after
        if status != after:
            [change, *_] = changes.of_campaign(campaign_id)
            assert (change.by, change.verb, change.values) == ("ola", "pause", {"status": ["completed", "paused"]})
            assert change.reason == "leads were added after it was completed"
            campaigns.resume(campaign_id, "ola")
            assert campaigns.get(campaign_id).status == CampaignStatus.ACTIVE

    def test_are_refused_by_a_cancelled_campaign(self) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()], leads=1)
        campaigns.cancel(campaign_id, "ola")

        with pytest.raises(CampaignInvalid, match=r"cannot add leads to the campaign 'campaign .*': it is cancelled"):
            put(campaign_id, a_lead("new@leads.example"))

        assert len(of(campaign_id)) == 1

    def test_that_there_are_already_change_nothing(self) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()], leads=[])
        put(campaign_id, a_lead("a@leads.example", name="A"))
        before = Campaign.get().revision, len(changes.of_campaign(campaign_id))

        assert put(campaign_id, a_lead("a@leads.example", name="A")) == AddedLeads(0, 0)

        assert (Campaign.get().revision, len(changes.of_campaign(campaign_id))) == before


class TestWhileAnImportWrites:
    WAITS = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    LOCK = "SELECT FROM campaign WHERE id = %s FOR NO KEY UPDATE NOWAIT"

    @pytest.fixture
    def campaign(self) -> int:
        return make.a_campaign([make.a_mailbox()], leads=["old@leads.example"])

    @pytest.fixture
    def another_session(self) -> Iterator[ThreadPoolExecutor]:
        with ThreadPoolExecutor(1) as thread:
            yield thread
            thread.submit(database.close).result()

    def test_another_puts_its_leads_behind_it(self, campaign: int, another_session: ThreadPoolExecutor) -> None:
        another_session.submit(lambda: database.execute("SET lock_timeout = 0")).result()
        with database.database.atomic():
            lead_import.stage_only([a_lead("first@leads.example"), a_lead("both@leads.example")])
            lead_import.write_new(campaign)
            other = another_session.submit(put, campaign, a_lead("second@leads.example"), a_lead("old@leads.example"))
            until(lambda: database.fetch(self.WAITS), "the other import")

        assert other.result(BOUND).new == 1
        assert [position for position, _ in of(campaign)] == [1, 2, 3, 4]
        assert of(campaign)[3] == (4, "second@leads.example")

    def test_claims_of_its_campaign_do_not_wait(self, campaign: int, another_session: ThreadPoolExecutor) -> None:
        with database.database.atomic():
            lead_import.stage_only([a_lead("new@leads.example")])
            lead_import.write_new(campaign)

            assert another_session.submit(database.fetch, self.LOCK, (campaign,)).result(BOUND) == [()]


class TestALeadThatIsThereAlready:
    @pytest.fixture
    def mailbox(self) -> int:
        return make.a_mailbox()

    @pytest.fixture
    def campaign(self, mailbox: int) -> int:
        campaign_id = make.a_campaign([mailbox], leads=[])
        put(campaign_id, a_lead("a@leads.example", name="Ana", city="Łódź"))
        return campaign_id

    def test_gets_its_new_fields_after_they_can_be_seen(self, campaign: int) -> None:
        lead_import.stage_only([a_lead("A@leads.example", name="Anna")])

        assert lead_import.compare(campaign) == Comparison(fresh=0, changed=1, left_alone=0, same=0)
        assert lead_import.differences(campaign, 5) == [
            Difference(
                1,
                "A@leads.example",
                {"email": "a@leads.example", "name": "Ana", "city": "Łódź"},
                {"email": "A@leads.example", "name": "Anna"},
            )
        ]
        assert campaigns.add_staged_leads(campaign, "ola") == AddedLeads(0, 1)
        assert CampaignLead.get().fields == {"email": "A@leads.example", "name": "Anna"}
        assert changes.of_campaign(campaign)[0].values == {"leads_changed": [0, 1]}

    @pytest.mark.parametrize("move", ["planned", "claimed", "sent", "failed", "cancelled", "unknown", "deferred"])
    def test_gets_them_only_while_a_letter_with_them_is_to_come(self, mailbox: int, campaign: int, move: str) -> None:
        [email_id] = make.planned(campaign, mailbox, make.now())
        if move == "claimed":
            make.claimed(email_id)
        elif move == "cancelled":
            moves.cancel(email_id, "a test", "tests")
        elif move in ("sent", "failed", "unknown", "deferred"):
            held = make.handed_over(email_id).held
            if move == "sent":
                moves.accept(held, make.YES)
            elif move == "failed":
                moves.reject(held, make.no(550))
            elif move == "deferred":
                moves.retry(held, make.now() + timedelta(hours=1), make.later(450))
        is_open = move in ("planned", "deferred")
        lead_import.stage_only([a_lead("a@leads.example", name="Anna")])

        found = lead_import.compare(campaign)

        assert (found.changed, found.left_alone) == ((1, 0) if is_open else (0, 1))
        assert campaigns.add_staged_leads(campaign, "ola").changed == is_open
        assert CampaignLead.get().fields["name"] == ("Anna" if is_open else "Ana")

    @pytest.mark.parametrize(("is_removed", "is_open"), [(False, True), (True, False)])
    def test_gets_them_for_the_follow_ups_that_are_to_come(
        self, mailbox: int, campaign: int, is_removed: bool, is_open: bool
    ) -> None:
        wait = {"wait_count": 1, "wait_unit": "hours"}
        CampaignStep.insert(campaign=campaign, position=2, subject=None, text="?", **wait).execute()
        [email_id] = make.planned(campaign, mailbox, make.now())
        assert moves.accept(make.handed_over(email_id).held, make.YES)
        if is_removed:
            CampaignStep.update(removed_at=make.now()).where(CampaignStep.position == 2).execute()
        lead_import.stage_only([a_lead("a@leads.example", name="Anna")])

        assert campaigns.add_staged_leads(campaign, "ola").changed == is_open

        assert CampaignLead.get().fields["name"] == ("Anna" if is_open else "Ana")

    def test_in_another_campaign_is_left_alone_there(self, mailbox: int, campaign: int) -> None:
        other = make.a_campaign([mailbox], leads=[])

        assert put(other, a_lead("a@leads.example", name="Anna")) == AddedLeads(1, 0)

        assert CampaignLead.get(CampaignLead.campaign == campaign).fields["name"] == "Ana"


class TestALeadThatAnotherCampaignWroteTo:
    def recent(self, campaign_id: int | None = None, *, days: float = 30) -> list[str]:
        lead_import.stage_only([a_lead("new@leads.example"), a_lead("Old@leads.example")])
        count, found = lead_import.recently_mailed(campaign_id, days, 5)
        assert count == len(found)
        return [it.address for it in found]

    @pytest.mark.parametrize(
        ("days_ago", "status", "is_found"),
        [
            (29, Status.SENT, True),
            (29, Status.UNKNOWN, True),
            (31, Status.SENT, False),
            (1, Status.PENDING, False),
        ],
    )
    def test_is_found_by_the_hand_over(self, days_ago: float, status: Status, is_found: bool) -> None:
        mailed("old@leads.example", days_ago, status)

        assert self.recent() == (["Old@leads.example"] if is_found else [])

    def test_is_told_with_the_campaign_and_the_day(self) -> None:
        mailed("old@leads.example", 3)
        lead_import.stage_only([a_lead("old@leads.example")])

        _, [found] = lead_import.recently_mailed(None, 30, 5)

        assert found.campaign == Campaign.get().name
        assert timedelta(days=2) < make.now() - found.at < timedelta(days=4)

    def test_is_not_one_that_this_campaign_wrote_to_itself(self) -> None:
        mailed("old@leads.example", 3)

        assert self.recent(Campaign.get().id) == []

    def test_is_left_out_where_that_is_asked_for(self) -> None:
        mailed("old@leads.example", 3)
        lead_import.stage_only([a_lead("new@leads.example"), a_lead("old@leads.example")])

        assert lead_import.leave_out_recent(None, 30) == 1
        assert lead_import.compare(None).fresh == 1

    def test_are_counted_beyond_those_that_are_told(self) -> None:
        for n in range(3):
            mailed(f"lead{n}@leads.example", 1)
        lead_import.stage_only([a_lead(f"lead{n}@leads.example") for n in range(3)])

        count, found = lead_import.recently_mailed(None, 30, 2)

        assert (count, len(found)) == (3, 2)
