"""The moves of an e-mail: who may make them, from where, and what they leave behind."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from uuid import uuid4

import pytest
from peewee import IntegrityError

from models.email import batch_moves, moves
from models.email.attempts import Conversation
from models.email.claims import Claim, Held
from models.email.gates import Closed
from models.owner import settlement
from models.people import suppressions
from models.states import COUNTED, PATHS, Move, Status
from models.store import database
from models.store.tables import Campaign, CampaignEmailQueue, CampaignLead, Mailbox
from models.views import history, overview
from tests import factories as make

Q = CampaignEmailQueue


def _claim(held: Held) -> bool:
    return isinstance(moves.claim(held.email_id, make.row(held.email_id).scheduled_at, make.WORKER), Claim)


def _replan(held: Held) -> bool:
    row = make.row(held.email_id)
    later = row.scheduled_at + timedelta(hours=1)
    return bool(batch_moves.replan(row.campaign_id, [make.slot(row, later)], "edited", "t"))


def _plan(held: Held) -> bool:
    row = make.row(held.email_id)
    return bool(batch_moves.plan(row.campaign_id, [make.slot(row, row.scheduled_at)], "t"))


def _reopen(held: Held) -> bool:
    row = make.row(held.email_id)
    slot = make.slot(row, row.scheduled_at)
    return bool(batch_moves.reopen(row.campaign_id, [slot], "a person asks for it", "tests"))


def _recover(held: Held) -> bool:
    row = make.row(held.email_id)
    return moves.recover(row.id, uuid4(), make.now(), row.message_id, row.mailbox_id, "a backup", "tests")


MOVES: dict[Move, Callable[[Held], bool]] = {
    Move.PLAN: _plan,
    Move.CLAIM: _claim,
    Move.HAND_OVER: lambda held: moves.hand_over(held, b"content") is None,
    Move.ACCEPT: lambda held: moves.accept(held, make.YES),
    Move.REJECT: lambda held: moves.reject(held, make.no(550)),
    Move.RETRY: lambda held: moves.retry(held, make.now(), make.later(451)),
    Move.RELEASE: lambda held: moves.release(held, "a test"),
    Move.DOUBT: lambda held: moves.doubt(held, "silence"),
    Move.CANCEL: lambda held: moves.cancel(held.email_id, "a test", "tests"),
    Move.REPLAN: _replan,
    Move.SETTLE: lambda held: moves.settle_as_sent(held.email_id, "seen in Sent", "tests"),
    Move.RECOVER: _recover,
    Move.REOPEN: _reopen,
}
WITH_TOKEN = [Move.HAND_OVER, Move.ACCEPT, Move.REJECT, Move.RETRY, Move.RELEASE, Move.DOUBT]
# Legal by status, and yet refused there: only what has been handed over can be in doubt or accepted.
AFTER_THE_HAND_OVER = {Move.ACCEPT, Move.DOUBT}
PAIRS = [(status, move) for status in Status for move in Move]


@pytest.mark.usefixtures("db")
class TestEveryPairOfStatusAndMove:
    @pytest.mark.parametrize(("status", "move"), [pair for pair in PAIRS if pair[0] not in PATHS[pair[1]].sources])
    def test_an_illegal_move_changes_nothing(self, status: Status, move: Move) -> None:
        email_id, held = make.in_status(status)
        before = make.row(email_id).__data__

        moved = MOVES[move](held)

        assert not moved
        assert make.row(email_id).__data__ == before

    @pytest.mark.parametrize(("status", "move"), [pair for pair in PAIRS if pair[0] in PATHS[pair[1]].sources])
    def test_a_legal_move_leads_where_the_table_says_and_leaves_its_history(self, status: Status, move: Move) -> None:
        email_id, held = make.in_status(status)
        if move in AFTER_THE_HAND_OVER and status is Status.SENDING:
            moves.hand_over(held, b"content")

        moved = MOVES[move](held)

        after = make.row(email_id)
        last = history.of_email(email_id)[-1]
        assert moved
        assert after.status in PATHS[move].targets
        assert (last.move, last.from_status, last.to_status) == (move, status, after.status)


@pytest.mark.usefixtures("db")
class TestATokenThatIsNotTheRows:
    @pytest.mark.parametrize("move", WITH_TOKEN)
    def test_moves_nothing(self, move: Move) -> None:
        email_id, held = make.in_status(Status.SENDING)
        if move in AFTER_THE_HAND_OVER:
            moves.hand_over(held, b"content")
        before = make.row(email_id).__data__

        moved = MOVES[move](Held(email_id, uuid4(), "a worker that was paused"))

        assert not moved
        assert make.row(email_id).__data__ == before

    @pytest.mark.parametrize("move", [moves.accept, partial(moves.reject, mailbox_works=True)])
    def test_tells_nothing_of_the_mailbox_either(self, move: Callable[[Held, Conversation], bool]) -> None:
        claim = make.handed_over(make.an_email())
        Mailbox.update(faults=3).execute()

        assert not move(Held(claim.held.email_id, uuid4(), "a worker that was paused"), make.YES)

        assert Mailbox.get().faults == 3

    def test_a_second_claim_ends_the_first_workers_say(self) -> None:
        email_id = make.an_email()
        first = make.claimed(email_id)
        moves.release_unhanded(first.held, "its lease ended")
        make.rested(first.campaign_id)
        second = make.claimed(email_id, make.ANOTHER_WORKER)

        assert moves.hand_over(first.held, b"content") is not None
        assert not moves.accept(first.held, make.YES)
        assert moves.hand_over(second.held, b"content") is None


@pytest.mark.usefixtures("db")
class TestClaiming:
    def test_two_workers_with_the_same_hint_claim_once(self) -> None:
        email_id = make.an_email()
        at = make.row(email_id).scheduled_at

        first = moves.claim(email_id, at, make.WORKER)
        second = moves.claim(email_id, at, make.ANOTHER_WORKER)

        assert isinstance(first, Claim)
        assert isinstance(second, Closed)
        assert make.row(email_id).worker_pid == make.WORKER.pid

    def test_a_hint_for_a_time_that_no_longer_holds_is_stale(self) -> None:
        email_id = make.an_email()

        closed = moves.claim(email_id, make.row(email_id).scheduled_at - timedelta(seconds=1), make.WORKER)

        assert isinstance(closed, Closed)
        assert closed.gate == "hint"

    def test_the_database_itself_refuses_a_second_mail_in_sending_from_one_mailbox(self) -> None:
        first, second = make.an_email(), make.an_email()
        make.claimed(first)
        make.claimed(second)

        with pytest.raises(IntegrityError, match="one_sending_per_mailbox"):
            Q.update(mailbox=make.row(first).mailbox_id).where(Q.id == second).execute()

    def test_its_commit_waits_for_no_disk_and_that_of_the_hand_over_does(self) -> None:
        email_id, flushed = make.an_email(), "SELECT current_setting('synchronous_commit')"

        with database.database.transaction():
            database.execute("SET LOCAL synchronous_commit = on")
            held = make.claimed(email_id).held
            [(after_claim,)] = database.fetch(flushed)
        with database.database.transaction():
            database.execute("SET LOCAL synchronous_commit = on")
            moves.hand_over(held, b"content")
            [(after_hand_over,)] = database.fetch(flushed)

        assert (after_claim, after_hand_over) == ("off", "on")

    def test_one_that_a_crash_of_postgres_lost_hands_nothing_over_and_can_be_made_again(self) -> None:
        email_id = make.an_email()
        with make.lost_in_a_crash():
            lost = make.claimed(email_id)

        closed = moves.hand_over(lost.held, b"content")

        assert closed is not None
        assert closed.gate == "claim"
        assert moves.hand_over(make.claimed(email_id).held, b"content") is None

    def test_the_password_is_not_in_what_a_claim_prints(self) -> None:
        mailbox_id = make.a_mailbox(username="ola", password_encrypted="gAAAA-token")
        campaign_id = make.a_campaign([mailbox_id])
        [email_id] = make.planned(campaign_id, mailbox_id, make.now())

        assert "gAAAA-token" not in repr(make.claimed(email_id))


@pytest.mark.usefixtures("db")
class TestOneMailPerLead:
    def test_the_database_refuses_a_second_mail_of_the_same_step_to_the_same_lead(self) -> None:
        row = make.row(make.an_email())
        twin = {"campaign": row.campaign_id, "campaign_lead": row.campaign_lead_id, "step": row.step_id}

        with pytest.raises(IntegrityError, match="campaign_lead"):
            Q.insert(**twin, mailbox=row.mailbox_id, scheduled_at=make.now(), message_id="<another@x>").execute()

    def test_the_database_refuses_the_same_person_twice_in_a_campaign(self) -> None:
        row = make.row(make.an_email())
        lead = CampaignLead.get_by_id(row.campaign_lead_id)

        with pytest.raises(IntegrityError, match="campaign_lead_campaign_id_lead_id"):
            CampaignLead.insert(
                campaign=row.campaign_id, lead=lead.lead_id, position=99, address="Other@Spelling", fields={}
            ).execute()

    def test_planning_a_lead_again_leaves_its_mail_as_it_is(self) -> None:
        email_id = make.an_email()
        before = make.row(email_id).__data__
        row = make.row(email_id)

        planned = batch_moves.plan(row.campaign_id, [make.slot(row, make.now())], "tests")

        assert planned == 0
        assert make.row(email_id).__data__ == before


@pytest.mark.usefixtures("db")
class TestHandingOver:
    def test_it_keeps_what_was_handed_over_byte_for_byte(self) -> None:
        claim = make.claimed(make.an_email())

        closed = moves.hand_over(claim.held, b"From: a\r\n\r\n\xc5\xbc")

        assert closed is None
        assert overview.content(claim.held.email_id) == b"From: a\r\n\r\n\xc5\xbc"

    @pytest.mark.parametrize("status", ["paused", "cancelled"])
    def test_a_campaign_that_was_stopped_meanwhile_writes_no_dot(self, status: str) -> None:
        claim = make.claimed(make.an_email())
        Campaign.update(status=status).where(Campaign.id == claim.campaign_id).execute()

        closed = moves.hand_over(claim.held, b"content")

        assert closed is not None
        assert closed.gate == "campaign"
        assert make.row(claim.held.email_id).handed_over_at is None

    def test_a_lead_that_was_suppressed_meanwhile_gets_no_dot(self) -> None:
        claim = make.claimed(make.an_email(leads=["anna@leads.example"]))
        suppressions.add("anna@leads.example", "she asked us to", "tests")

        closed = moves.hand_over(claim.held, b"content")

        assert closed is not None
        assert closed.gate == "lead"

    def test_over_midnight_it_asks_for_room_in_the_new_day(self) -> None:
        first_box, second_box = make.a_mailbox(), make.a_mailbox()
        campaign_id = make.a_campaign([first_box, second_box], leads=2, limit=1)
        [before], [after] = (make.planned(campaign_id, box, make.now()) for box in (first_box, second_box))
        claim = make.claimed(before)
        make.age(before, timedelta(days=1))
        make.rested(campaign_id)
        make.handed_over(after)

        closed = moves.hand_over(claim.held, b"content")

        assert closed is not None
        assert closed.gate == "limit"

    def test_it_happens_once_under_a_claim(self) -> None:
        claim = make.handed_over(make.an_email())

        assert moves.hand_over(claim.held, b"content") is not None


@pytest.mark.usefixtures("db")
class TestGivingBack:
    def test_a_retry_counts_an_attempt_and_a_release_does_not(self) -> None:
        retried, released = make.claimed(make.an_email()), make.claimed(make.an_email())

        moves.retry(retried.held, make.now(), make.later(451))
        moves.release(released.held, "421 busy", make.later(421, "busy", scope="mailbox"))

        assert make.row(retried.held.email_id).attempts == 1
        assert make.row(released.held.email_id).attempts == 0

    @pytest.mark.parametrize(("release", "is_kept"), [(moves.release, True), (moves.release_for_its_mailbox, False)])
    def test_for_how_long_a_mail_was_put_off_does_not_count_once_its_mailbox_was_at_fault(
        self, release: Callable[[Held, str, Conversation], bool], is_kept: bool
    ) -> None:
        claim = make.claimed(make.an_email())
        Q.update(deferred_since=make.now()).execute()

        assert release(claim.held, "a test", make.later(421))

        assert (make.row(claim.held.email_id).deferred_since is not None) == is_kept

    @pytest.mark.parametrize("move", [Move.RETRY, Move.RELEASE])
    def test_it_ends_as_cancelled_when_the_campaign_was_cancelled_meanwhile(self, move: Move) -> None:
        claim = make.claimed(make.an_email())
        Campaign.update(status="cancelled").where(Campaign.id == claim.campaign_id).execute()

        moved = MOVES[move](claim.held)

        assert moved
        assert make.row(claim.held.email_id).status == Status.CANCELLED

    def test_the_clock_never_takes_back_what_was_handed_over(self) -> None:
        claim = make.handed_over(make.an_email())

        assert not moves.release_unhanded(claim.held, "its lease ended")
        assert make.row(claim.held.email_id).status == Status.SENDING


@pytest.mark.usefixtures("db")
class TestLateProof:
    @pytest.mark.parametrize(
        ("move", "status"),
        [
            (Move.ACCEPT, Status.SENT),
            (Move.REJECT, Status.FAILED),
            (Move.RETRY, Status.PENDING),
            (Move.RELEASE, Status.PENDING),
        ],
    )
    def test_the_worker_that_holds_the_token_may_still_tell_what_became_of_an_unknown(
        self, move: Move, status: Status
    ) -> None:
        email_id, held = make.in_status(Status.UNKNOWN)

        moved = MOVES[move](held)

        assert moved
        assert make.row(email_id).status == status

    @pytest.mark.parametrize("move", [Move.ACCEPT, Move.REJECT, Move.RETRY, Move.RELEASE])
    @pytest.mark.parametrize("ruling", ["sent", "again"])
    def test_after_a_persons_ruling_it_changes_nothing(self, ruling: str, move: Move) -> None:
        email_id, held = make.in_status(Status.UNKNOWN)
        make.age(email_id, timedelta(seconds=901))
        getattr(settlement, ruling)(email_id, "a person ruled", "ola")
        before = make.row(email_id).__data__

        moved = MOVES[move](held)

        assert not moved
        assert make.row(email_id).__data__ == before

    @pytest.mark.parametrize("move", [Move.ACCEPT, Move.REJECT, Move.RETRY, Move.RELEASE])
    def test_after_a_persons_ruling_and_another_claim_it_changes_nothing(self, move: Move) -> None:
        email_id, held = make.in_status(Status.UNKNOWN)
        make.age(email_id, timedelta(seconds=901))
        settlement.again(email_id, "a person ruled", "ola")
        make.rested(make.row(email_id).campaign_id)
        make.handed_over(email_id, make.ANOTHER_WORKER)
        before = make.row(email_id).__data__

        moved = MOVES[move](held)

        assert not moved
        assert make.row(email_id).__data__ == before


@pytest.mark.usefixtures("db")
class TestTheHistory:
    def test_it_tells_every_move_of_a_mail_in_order(self) -> None:
        email_id, _ = make.in_status(Status.SENT)

        moves = [line.move for line in history.of_email(email_id)]

        assert moves == [Move.PLAN, Move.CLAIM, Move.HAND_OVER, Move.ACCEPT]

    def test_a_moved_schedule_keeps_its_old_and_new_time_and_why(self) -> None:
        email_id = make.an_email()
        before = make.row(email_id).scheduled_at

        _replan(Held(email_id, uuid4(), "tests"))

        last = history.of_email(email_id)[-1]
        assert (last.scheduled_from, last.scheduled_to) == (before, before + timedelta(hours=1))
        assert last.reason == "edited"

    def test_a_refused_move_leaves_none(self) -> None:
        email_id, held = make.in_status(Status.SENT)
        before = len(history.of_email(email_id))

        moves.accept(held, make.YES)

        assert len(history.of_email(email_id)) == before


def test_what_may_have_reached_its_lead_counts_towards_the_limits() -> None:
    assert {Status.SENDING, Status.SENT, Status.UNKNOWN} == COUNTED
