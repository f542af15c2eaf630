"""Suppressed addresses and domains: whom an entry concerns, and that nothing is sent to them from then on."""

from contextlib import nullcontext
from uuid import UUID

import pytest

import config
from actors.plan import plan_new, replan
from mail.message import own_id
from models.audit import changes
from models.email import facts, gates, moves
from models.email.gates import Action, Closed
from models.inbox import incoming
from models.owner import reopening
from models.owner.reopening import ReopeningRefused
from models.people import suppressions, unsubscribing
from models.people.suppressions import NewSuppression
from models.states import Status
from models.store import database
from models.store.tables import CampaignEmailQueue, CampaignLead
from models.views.forecast import forecast
from reasons import Code, Reason
from tests import factories as make
from tests import servers
from tests.models.conftest import Beside
from tests.waiting import BOUND, until

pytestmark = pytest.mark.usefixtures("db")
Q = CampaignEmailQueue

# An entry -> whom it concerns, and whom it does not.
CONCERNED = {
    "anna@leads.example": (["anna@leads.example"], ["jan@leads.example", "anna@mail.leads.example"]),
    "@leads.example": (
        ["anna@leads.example", "jan@mail.leads.example", "ewa@a.b.leads.example"],
        ["anna@myleads.example", "anna@leads.example.org", "leads.example@other.example", "anna@example.example"],
    ),
    "@a_b.example": (["anna@a_b.example"], ["anna@axb.example"]),
    "@xn--w-uga1v8h.example": (["anna@xn--w-uga1v8h.example", "anna@sklep.xn--w-uga1v8h.example"], ["anna@w.example"]),
}
EACH = [
    (key, address, yes)
    for key, (those, others) in CONCERNED.items()
    for yes in (1, 0)
    for address in (others, those)[yes]
]


def suppress(key: str) -> None:
    """Not yet noticed by anything that would cancel an e-mail."""
    database.execute("INSERT INTO suppression (address, reason) VALUES (%s, 'they asked us to')", (key,))


@pytest.mark.parametrize(("key", "address", "is_concerned"), EACH)
class TestAnEntry:
    def test_closes_the_claim_to_those_whom_it_concerns(self, key: str, address: str, is_concerned: int) -> None:
        email_id = make.an_email(leads=[address])
        suppress(key)

        claim = moves.claim(email_id, make.row(email_id).scheduled_at, make.WORKER)

        assert isinstance(claim, Closed) == bool(is_concerned)
        if isinstance(claim, Closed):
            assert (claim.gate, claim.action) == ("lead", Action.CANCEL)
            assert "they asked us to" in claim.reason

    def test_closes_the_hand_over(self, key: str, address: str, is_concerned: int) -> None:
        claim = make.claimed(make.an_email(leads=[address]))
        suppress(key)

        closed = moves.hand_over(claim.held, b"")

        assert (closed is not None and closed.gate == "lead") == bool(is_concerned)

    def test_takes_their_place_in_plans_and_forecasts(self, key: str, address: str, is_concerned: int) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()], [address])
        suppress(key)

        assert len(forecast(campaign_id)) == 1 - is_concerned
        plan_new()
        assert Q.select().count() == 1 - is_concerned

    def test_added_later_cancels_what_is_planned(self, key: str, address: str, is_concerned: int) -> None:
        email_id = make.an_email(leads=[address])

        suppressions.add(key, "they asked us to", "ola")

        assert (make.row(email_id).status == Status.CANCELLED) == bool(is_concerned)

    def test_by_hand_is_noticed_by_the_tick(self, key: str, address: str, is_concerned: int) -> None:
        email_id = make.an_email(leads=[address])
        suppress(key)

        replan()

        assert (make.row(email_id).status == Status.CANCELLED) == bool(is_concerned)

    def test_is_found_for_an_address(self, key: str, address: str, is_concerned: int) -> None:
        suppress(key)

        assert [it.address for it in suppressions.of([address]).values()] == [key] * is_concerned

    def test_keeps_a_failed_mail_from_being_tried_again(self, key: str, address: str, is_concerned: int) -> None:
        email_id = make.an_email(leads=[address])
        assert moves.reject(make.claimed(email_id).held, make.no(451))
        suppress(key)

        refusal = pytest.raises(ReopeningRefused, match="must not be written to") if is_concerned else nullcontext()
        with refusal:
            reopening.one(email_id, "again", "ola")

        assert (make.row(email_id).status == Status.FAILED) == bool(is_concerned)


class TestSeveralEntriesForAnAddress:
    def test_count_once_and_the_most_specific_one_is_told(self) -> None:
        email_id = make.an_email(leads=["anna@mail.leads.example"])
        for key in ("@leads.example", "@mail.leads.example", "@example", "anna@mail.leads.example"):
            suppress(key)

        assert facts.read(email_id).suppressed_by == "anna@mail.leads.example"
        assert [it.suppressed_by for it in facts.read_pending([email_id]).values()] == ["anna@mail.leads.example"]
        database.execute("DELETE FROM suppression WHERE address LIKE 'anna%%'")
        closed = gates.lead_may_be_written_to(facts.read(email_id), config.settings().sending)
        assert closed is not None
        assert closed.reason == "suppressed with its domain mail.leads.example: they asked us to"


class TestWhatIsKept:
    def test_who_when_why_and_what_proves_it(self) -> None:
        email_id = make.an_email(leads=["anna@leads.example"])
        before = make.now()

        suppressions.add(
            "anna@leads.example", Reason(Code.IMPORTED, file="old.csv"), "ola", email_id=email_id, proof="<1@x.example>"
        )

        [found] = suppressions.every()
        assert (found.address, found.by, found.email_id, found.proof) == (
            "anna@leads.example",
            "ola",
            email_id,
            "<1@x.example>",
        )
        assert found.why == Reason(Code.IMPORTED, file="old.csv")
        assert found.since >= before
        assert make.row(email_id).error == "suppressed: imported from old.csv"

    def test_added_twice_the_first_one_stays(self) -> None:
        assert suppressions.add("@leads.example", "first", "ola")
        assert not suppressions.add("@leads.example", "second", "marek")

        assert [(it.reason, it.by) for it in suppressions.every()] == [("first", "ola")]
        assert [it.verb for it in changes.of_address("@leads.example")] == ["suppress"]


class TestAnImport:
    ENTRIES = [NewSuppression("anna@leads.example", "she asked"), NewSuppression("@firm.example", "they asked")]

    def test_cancels_what_is_planned_for_all_of_them_and_is_one_order(self) -> None:
        those = [make.an_email(leads=[it]) for it in ("anna@leads.example", "jan@x.firm.example")]
        other = make.an_email()

        assert suppressions.import_(self.ENTRIES, "ola") == 2
        assert suppressions.import_(self.ENTRIES, "ola") == 0

        assert [make.row(it).status for it in (*those, other)] == [*[Status.CANCELLED] * 2, Status.PENDING]
        assert [(it.by, it.verb, it.values) for it in changes.of_installation()] == [
            ("ola", "import suppressions", {"suppressed": [None, 2]})
        ]

    def test_takes_the_same_entry_twice_for_one(self) -> None:
        assert suppressions.import_([self.ENTRIES[0], NewSuppression("anna@leads.example", "again")], "ola") == 1


def somebody_waits() -> bool:
    return servers.lock_waits() > 0


@pytest.mark.parametrize("key", ["anna@leads.example", "@leads.example"])
class TestWhileAMailIsBeingSent:
    """What is answered holds: no hand-over is committed after the suppression, by facts from before it."""

    def test_it_waits_for_the_hand_over_that_is_being_committed(self, key: str, beside: Beside) -> None:
        claim = make.claimed(make.an_email(leads=["anna@leads.example"]))
        with database.database.atomic():
            assert moves.hand_over(claim.held, b"Subject: hello\r\n\r\n") is None
            adding = beside(lambda: suppressions.add(key, "they asked us to", "ola"))
            until(somebody_waits, "the suppression to wait for the hand-over")

        assert adding.result(BOUND) is True
        assert make.row(claim.held.email_id).handed_over_at is not None

    def test_a_hand_over_that_waited_for_it_writes_no_dot(self, key: str, beside: Beside) -> None:
        claim = make.claimed(make.an_email(leads=["anna@leads.example"]))
        with database.database.atomic():
            suppressions.add(key, "they asked us to", "ola")
            handing = beside(lambda: moves.hand_over(claim.held, b""))
            until(somebody_waits, "the hand-over to wait for the suppression")

        closed = handing.result(BOUND)
        assert isinstance(closed, Closed)
        assert closed.gate == "lead"


class TestAMessageThatIsCorrected:
    """It was taken for a request to write to a colleague no more."""

    @pytest.mark.parametrize("who", ["the person by mail", "the person by the link", "the owner"])
    def test_leaves_what_somebody_else_asked_for(self, who: str) -> None:
        email_id, _ = make.in_status(Status.SENT)
        lead = CampaignLead.get_by_id(make.row(email_id).campaign_lead_id).address
        boss = "boss@" + lead.split("@")[1]
        first = make.came_back(email_id, "unsubscribe", sender=boss)
        if who == "the person by mail":
            make.came_back(email_id, "unsubscribe")
        elif who == "the person by the link":
            unsubscribing.unsubscribe(UUID(own_id(make.row(email_id).message_id)), "the page")
        else:
            suppressions.add(lead, "she telephoned", "ola")

        incoming.correct(first, "other", "ola", "the boss spoke of himself")

        assert suppressions.of([lead])
        assert not suppressions.of([boss])

    def test_ends_what_it_alone_caused(self) -> None:
        email_id, _ = make.in_status(Status.SENT)
        lead = CampaignLead.get_by_id(make.row(email_id).campaign_lead_id).address
        first = make.came_back(email_id, "unsubscribe")

        incoming.correct(first, "other", "ola", "a misunderstanding")

        assert not suppressions.of([lead])
