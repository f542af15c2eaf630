"""A step is removed beside a claim, a hand-over, a plan or a reopening of its e-mails."""

from datetime import timedelta
from uuid import uuid4

import pytest

from actors.plan import plan_follow_ups, replan
from models.email import batch_moves, locks, moves, recovery
from models.email.claims import Claim
from models.email.gates import Closed
from models.health import invariants
from models.owner import campaigns, reopening, settlement, steps
from models.planning import plans
from models.states import Status
from models.store import database
from models.store.tables import CampaignEmailQueue, CampaignStep
from scheduling.planner import Slot
from scheduling.waits import parsed
from tests import factories as make
from tests.models.conftest import Beside
from tests.models.email.test_locks import somebody_waits
from tests.models.views.test_conversations import a_sequence, claim, conversation, follow, looked, send, sequences
from tests.waiting import BOUND, until

pytestmark = pytest.mark.usefixtures("sequences")
Q = CampaignEmailQueue
__all__ = ["sequences"]


@pytest.fixture
def second() -> int:
    """The second of three letters, due now; an answer would have been seen."""
    _, mailbox_id, first = a_sequence()
    email_id = follow(first)
    looked(mailbox_id, make.now())
    return email_id


def remove(email_id: int) -> bool:
    """The step of this e-mail, the second of three."""
    campaign_id = make.row(email_id).campaign_id
    return campaigns.edit(campaign_id, "ola", campaigns.Edit(later_steps=steps.of(campaign_id)[1:]))


def of_its_lead(email_id: int) -> list[str]:
    """The statuses of its lead's e-mails, in the order in which they were planned."""
    found = Q.select().where(Q.campaign_lead == make.row(email_id).campaign_lead_id).order_by(Q.id)
    return [it.status for it in found]


def go_on() -> None:
    replan()
    plan_follow_ups()
    assert [it.rule for it in invariants.check() if not it.holds] == []


class TestARemoval:
    @pytest.fixture(autouse=True)
    def another_letter(self, second: int) -> None:
        last = CampaignStep.select().order_by(CampaignStep.position.desc()).first()
        CampaignStep.update(text="The last").where(CampaignStep.id == last.id).execute()

    def test_that_a_claim_waited_for_leaves_it_nothing(self, second: int, beside: Beside) -> None:
        with database.database.atomic():
            locks.lock_campaigns([make.row(second).campaign_id])
            waiter = beside(lambda: claim(second))
            until(somebody_waits, "the claim to wait")
            remove(second)

        assert isinstance(waiter.result(BOUND), Closed)
        go_on()
        assert of_its_lead(second) == [Status.SENT, Status.CANCELLED, Status.PENDING]

    def test_leaves_a_conversation_of_the_letters_that_remain(self, second: int) -> None:
        assert conversation(second).steps == 3

        remove(second)

        assert conversation(second).steps == 2

    def test_keeps_an_email_that_a_log_brought_back_from_being_sent_again(self, second: int) -> None:
        """It was handed over since the backup, in which its step was then removed."""
        remove(second)
        row, long_ago = make.row(second), make.now() - timedelta(hours=1)
        assert moves.recover(second, uuid4(), long_ago, row.message_id, row.mailbox_id, "restored", "tests")

        with pytest.raises(settlement.SettlementRefused, match="its step was removed"):
            settlement.again(second, "it is wanted", "ola")

        assert make.row(second).status == Status.UNKNOWN

    def test_that_waited_for_a_claim_leaves_the_email_alone(self, second: int, beside: Beside) -> None:
        with database.database.atomic():
            claimed = claim(second)
            assert isinstance(claimed, Claim)
            waiter = beside(lambda: remove(second))
            until(somebody_waits, "the edit to wait")

        assert waiter.result(BOUND)
        assert moves.hand_over(claimed.held, b"Subject: hello\r\n\r\nDear lead") is None
        assert moves.accept(claimed.held, make.YES)
        go_on()
        assert of_its_lead(second) == [Status.SENT, Status.SENT, Status.PENDING]
        assert Q.get(Q.status == Status.PENDING).predecessor_id == second

    def test_during_a_conversation_that_is_put_off_lets_the_next_letter_follow(self, second: int) -> None:
        handed_over = make.handed_over(second)
        remove(second)
        assert moves.retry(handed_over.held, make.now() + timedelta(minutes=5), make.later(451))

        go_on()
        go_on()

        assert of_its_lead(second) == [Status.SENT, Status.CANCELLED, Status.PENDING]

    def test_outdates_a_plan_that_was_computed_before(self, second: int) -> None:
        row = make.row(second)
        seen = plans.around([row.campaign_id])
        remove(second)

        assert plans.write_follow_ups(row.campaign_id, [], seen, "planner") is None

    def test_leaves_an_email_that_nobody_knows_to_be_settled(self, second: int) -> None:
        moves.doubt(make.handed_over(second).held, "silence")
        remove(second)
        go_on()
        assert of_its_lead(second) == [Status.SENT, Status.UNKNOWN]

        assert moves.settle_as_sent(second, "it arrived", "ola")
        plan_follow_ups()

        assert Q.get(Q.status == Status.PENDING).predecessor_id == second

    def test_of_a_step_that_failed_ends_the_sequence_until_a_person_has_it_tried_again(self, second: int) -> None:
        moves.reject(make.handed_over(second).held, make.no(550))
        remove(second)
        go_on()
        assert of_its_lead(second) == [Status.SENT, Status.FAILED]

        reopening.one(second, "it was our fault", "ola")
        go_on()

        assert of_its_lead(second) == [Status.SENT, Status.CANCELLED, Status.PENDING]

    def test_is_not_undone_by_a_reopening(self, second: int) -> None:
        remove(second)
        row = make.row(second)

        slot = Slot(row.campaign_id, row.campaign_lead_id, row.step_id, row.mailbox_id, make.now())
        assert batch_moves.reopen(row.campaign_id, [slot], "a mistake", "ola") == 0

    def test_does_not_let_its_campaign_be_complete_before_its_leads_went_on(self, second: int) -> None:
        remove(second)
        assert campaigns.complete_finished("tests") == []
        assert [turn for turn, _, _ in campaigns.unsent_leads(make.row(second).campaign_id)] == [1]
        go_on()
        third = Q.get(Q.status == Status.PENDING)
        Q.update(wait_ends_at=make.now() - timedelta(hours=1)).where(Q.id == third.id).execute()
        looked(third.mailbox_id, make.now())
        send(third.id)

        assert campaigns.complete_finished("tests") == [third.campaign_id]

    def test_does_not_count_as_the_letter_before_one_that_is_brought_back(self, second: int) -> None:
        remove(second)
        row, last = make.row(second), CampaignStep.select().order_by(CampaignStep.position.desc()).first()

        [(before,)] = database.fetch(recovery.BEFORE, {"lead": row.campaign_lead_id, "step": last.id})

        assert before == row.predecessor_id

    def test_is_told_in_the_conversation_and_the_next_letter_is_expected(self, second: int) -> None:
        remove(second)
        it = conversation(second)
        first = make.row(second).predecessor_id
        assert first is not None

        assert (it.ended, it.next, it.expected_step) == (None, None, 3)
        assert it.expected_at == make.row(first).sent_at + timedelta(hours=1)
        assert [(each.step, each.is_skipped) for each in it.letters] == [(1, False), (2, True)]

    def test_of_two_steps_at_once_goes_on_behind_both(self, second: int) -> None:
        campaign_id = make.row(second).campaign_id
        letters = steps.of(campaign_id)
        fourth = campaigns.LaterStep(parsed("1 hour"), None, "Fourth", None)
        campaigns.edit(campaign_id, "ola", campaigns.Edit(later_steps=[*letters, fourth]))
        CampaignStep.update(since=None).execute()
        send(second)
        plan_follow_ups()

        assert steps.cancelled_by(campaign_id, [fourth]) == 1
        campaigns.edit(campaign_id, "ola", campaigns.Edit(later_steps=[fourth]))
        go_on()

        assert of_its_lead(second) == [Status.SENT, Status.SENT, Status.CANCELLED, Status.PENDING]
        assert Q.get(Q.status == Status.PENDING).predecessor_id == second


def test_a_skipped_email_whose_step_stays_is_found(second: int) -> None:
    assert moves.cancel(second, "a mistake", "tests")
    Q.update(skipped=True).where(Q.id == second).execute()

    assert [it.rule for it in invariants.check() if not it.holds] != []
