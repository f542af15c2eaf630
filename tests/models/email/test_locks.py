"""Who waits for whom: claims, hand-overs, plans and owners at the same time, from many threads on real locks."""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import cycle
from uuid import uuid4

import pytest

import clock
from actors.plan import plan_new, replan
from models.email import batch_moves, facts, locks, moves, recovery, stuck
from models.email.claims import Claim, Held
from models.owner import campaigns, mailboxes
from models.planning import plans
from models.states import Move, Status
from models.store import database
from models.store.tables import Campaign, CampaignEmailQueue, CampaignLead, EmailHistory
from scheduling import planner
from scheduling.planner import Slot
from tests import factories as make
from tests import servers
from tests.conftest import Override
from tests.models.conftest import Beside
from tests.waiting import BOUND, until

pytestmark = pytest.mark.usefixtures("db")
Q = CampaignEmailQueue


# The moves that end a claim and take the locks around its mail, and those that lock the mail alone.
ENDS: dict[str, Callable[[Held], object]] = {
    "accept": lambda held: moves.accept(held, make.YES),
    "reject": lambda held: moves.reject(held, make.no(550)),
    "retry": lambda held: moves.retry(held, make.now(), make.later(451)),
    "release": lambda held: moves.release(held, "a test"),
    "release_for_its_mailbox": lambda held: moves.release_for_its_mailbox(held, "a test", make.later(421)),
    "close_after": lambda held: mailboxes.close_after(held, make.later(421), lambda faults: timedelta(1)),
    "close_to_its_letter": lambda held: campaigns.close_to_its_letter(make.attempt(held), make.no(552)),
}
ALONE: dict[str, Callable[[Held], object]] = {
    "doubt": lambda held: moves.doubt(held, "silence"),
    "recover": lambda held: recover(make.row(held.email_id)),
}

UNLOCKED = "SELECT id FROM campaign_email_queue WHERE id = %s FOR NO KEY UPDATE SKIP LOCKED"


def recover(row: CampaignEmailQueue) -> bool:
    return moves.recover(row.id, uuid4(), make.now(), row.message_id, row.mailbox_id, "a backup", "tests")


@contextmanager
def another_holds(email_id: int) -> Iterator[None]:
    """The locks that a claim or a hand-over of this mail holds."""
    with database.database.atomic():
        locks.lock_around(email_id)
        yield


def somebody_waits() -> bool:
    return servers.lock_waits() > 0


class TestALockWait:
    def test_a_claim_is_dated_after_its_wait_and_not_before_it(self, beside: Beside) -> None:
        email_id = make.an_email()
        with another_holds(email_id):
            waiter = beside(lambda: make.claimed(email_id))
            until(somebody_waits, "the claim to wait")
            released_at = make.now()

        claim = waiter.result(BOUND)

        assert isinstance(claim, Claim)
        assert claim.started_at >= released_at

    def test_does_not_hide_how_far_a_workers_clock_is_ahead(self, beside: Beside) -> None:
        email_id, ahead = make.an_email(), timedelta(seconds=2)
        with another_holds(email_id):
            waiter = beside(lambda: facts.read(email_id, [locks.LOCK_AROUND], lambda: clock.now() + ahead))
            until(somebody_waits, "the claim to wait")
            waits_since = clock.now()
            until(lambda: clock.now() > waits_since + ahead, "a wait longer than that")

        seen = waiter.result(BOUND)

        assert seen.clock_off > timedelta(0)

    def test_the_hand_overs_before_a_limit_count_although_they_came_during_the_wait(self, beside: Beside) -> None:
        first_box, second_box = make.a_mailbox(), make.a_mailbox()
        campaign_id = make.a_campaign([first_box, second_box], leads=2, limit=1, delay=0.001)
        [winner], [loser] = (make.planned(campaign_id, box, make.now()) for box in (first_box, second_box))
        at = make.row(loser).scheduled_at
        with another_holds(winner):
            waiter = beside(lambda: moves.claim(loser, at, make.ANOTHER_WORKER))
            until(somebody_waits, "the second claim to wait")
            make.handed_over(winner)

        waiter.result(BOUND)

        assert Q.select().where(Q.status == Status.SENDING).count() == 1

    def test_a_hand_over_heeds_what_its_owner_said_during_the_wait(self, beside: Beside) -> None:
        claim = make.claimed(make.an_email())
        with database.database.atomic():
            locks.lock_campaigns([claim.campaign_id])
            waiter = beside(lambda: moves.hand_over(claim.held, b"content"))
            until(somebody_waits, "the hand-over to wait")
            Campaign.update(status="paused").execute()

        closed = waiter.result(BOUND)

        assert closed.gate == "campaign"

    @pytest.mark.parametrize("end", [*ENDS.values(), *ALONE.values()], ids=[*ENDS, *ALONE])
    def test_a_move_is_told_of_the_row_as_it_is_after_the_wait(
        self, beside: Beside, end: Callable[[Held], object]
    ) -> None:
        held = make.handed_over(make.an_email()).held
        later = make.row(held.email_id).scheduled_at + timedelta(hours=1)
        with another_holds(held.email_id):
            waiter = beside(lambda: end(held))
            until(somebody_waits, "the move to wait")
            Q.update(scheduled_at=later).where(Q.id == held.email_id).execute()

        assert waiter.result(BOUND) is not None
        assert EmailHistory.select().order_by(EmailHistory.id.desc()).get().scheduled_from == later

    @pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
    def test_an_end_waits_for_campaign_and_mailbox_before_it_locks_the_mail(
        self, beside: Beside, end: Callable[[Held], object]
    ) -> None:
        claim = make.handed_over(make.an_email())
        for lock, held in ((locks.lock_campaigns, claim.campaign_id), (locks.lock_mailboxes, claim.mailbox_id)):
            with database.database.atomic():
                lock([held])
                waiter = beside(lambda: end(claim.held))
                until(somebody_waits, "the move to wait")
                assert database.fetch(UNLOCKED, (claim.held.email_id,))
            waiter.result(BOUND)

    def test_what_began_at_one_mail_server_counts_although_it_began_during_the_wait(
        self, beside: Beside, settings: Override
    ) -> None:
        settings(SENDING_SMTP_HOST_CONCURRENCY=1)
        first, second = make.an_email(), make.an_email()
        with database.database.atomic():
            make.claimed(first)
            waiter = beside(lambda: moves.claim(second, make.row(second).scheduled_at, make.ANOTHER_WORKER))
            until(somebody_waits, "the second claim to wait")

        closed = waiter.result(BOUND)

        assert closed.gate == "smtp_host"

    def test_a_mail_that_moved_to_another_mailbox_during_the_wait_has_that_one_locked_alone(
        self, beside: Beside
    ) -> None:
        """One locked in vain, and another after it, would break the order of locks."""
        before, after = make.a_mailbox(), make.a_mailbox()
        campaign_id = make.a_campaign([before, after])
        [email_id] = make.planned(campaign_id, before, make.now())
        locked, seen = threading.Event(), threading.Event()

        def lock() -> None:
            with another_holds(email_id):
                locked.set()
                seen.wait(BOUND)

        with database.database.atomic():
            locks.lock_campaigns([campaign_id])
            waiter = beside(lock)
            until(somebody_waits, "the claim to wait")
            Q.update(mailbox=after).where(Q.id == email_id).execute()
        assert locked.wait(BOUND)

        try:
            assert [is_locked(before), is_locked(after)] == [False, True]
        finally:
            seen.set()
            waiter.result(BOUND)

    def test_of_mails_that_are_brought_back_takes_their_campaigns_in_order_before_anything_else(
        self, beside: Beside
    ) -> None:
        """One mail after the other, in another order than the campaigns', would deadlock against a plan."""
        boxes = [make.a_mailbox() for _ in range(2)]
        first, second = (make.a_campaign([box]) for box in boxes)
        ids = [make.planned(second, boxes[1], make.now())[0], make.planned(first, boxes[0], make.now())[0]]
        lost = [recovery.of(make.handed_over(email_id), make.now()) for email_id in ids]

        with database.database.atomic():
            locks.lock_campaigns([first])
            waiter = beside(lambda: recovery.recover(lost, "restored", "tests"))
            until(somebody_waits, "the recovery to wait")
            free = "SELECT id FROM campaign WHERE id = %s FOR NO KEY UPDATE SKIP LOCKED"
            assert database.fetch_row(free, (second,))
            assert [is_locked(box) for box in boxes] == [False, False]

        assert waiter.result(BOUND) == ids


def is_locked(mailbox_id: int) -> bool:
    free = "SELECT id FROM mailbox WHERE id = %s FOR NO KEY UPDATE SKIP LOCKED"
    return database.fetch_row(free, (mailbox_id,)) is None


class TestAPlanBesideAClaim:
    def test_its_rows_are_inserted_while_the_claim_holds_their_campaign_and_mailbox(self, beside: Beside) -> None:
        email_id = make.an_email(leads=2)
        row = make.row(email_id)
        other = CampaignLead.get(CampaignLead.campaign == row.campaign_id, CampaignLead.id != row.campaign_lead_id)
        slot = Slot(row.campaign_id, other.id, row.step_id, row.mailbox_id, make.now())
        with another_holds(email_id):
            written = beside(lambda: batch_moves.plan(row.campaign_id, [slot], "tests"))

            assert written.result(BOUND) == 1

    def test_two_timekeepers_that_computed_the_same_plan_write_it_once(self, beside: Beside) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()], leads=20)
        both_have_computed = threading.Barrier(2)

        def compute_and_write() -> int | None:
            seen = plans.situation()
            slots = list(planner.plan(seen.campaigns, seen.mailboxes, seen.taken, seen.now))
            both_have_computed.wait(BOUND)
            return plans.write(campaign_id, slots, seen, "tests")

        timekeepers = [beside(compute_and_write) for _ in range(2)]

        assert {each.result(BOUND) for each in timekeepers} == {20, None}
        assert Q.select().count() == EmailHistory.select().count() == 20


@pytest.mark.slow
class TestEverythingAtOnce:
    """Two hundred operations on the same few rows: whoever took locks out of order would meet another who did not."""

    OPERATIONS = 40

    def test_nobody_deadlocks(self, beside: Beside) -> None:
        self.boxes = [make.a_mailbox() for _ in range(2)]
        self.campaigns = [make.a_campaign(self.boxes, leads=60, delay=0.001) for _ in range(2)]
        plan_new()
        before = deadlocks()

        busy = [beside(work) for work in (self.send, self.send, self.doubt, self.plan, self.own)]
        for each in busy:
            each.result(BOUND)

        assert deadlocks() == before
        assert Q.select().where(Q.status != Status.PENDING).exists()
        assert EmailHistory.select().where(EmailHistory.move == Move.REPLAN).exists()

    def send(self) -> None:
        for claim in self.claims():
            if moves.hand_over(claim.held, b"content") is None:
                moves.accept(claim.held, make.YES)
            else:
                moves.release(claim.held, "a gate closed")

    def doubt(self) -> None:
        for claim in self.claims():
            moves.hand_over(claim.held, b"content")
            make.age(claim.held.email_id, timedelta(seconds=1000))
            stuck.settle_expired("tests")
            moves.retry(claim.held, make.now(), make.later(451))

    def claims(self) -> Iterator[Claim]:
        for _ in range(self.OPERATIONS):
            hint = Q.select(Q.id, Q.scheduled_at).where(Q.status == Status.PENDING).order_by(Q.scheduled_at).first()
            claim = hint and moves.claim(hint.id, hint.scheduled_at, make.WORKER)
            if isinstance(claim, Claim):
                yield claim

    def plan(self) -> None:
        for _ in range(self.OPERATIONS // 2):
            plan_new()
            replan()

    def own(self) -> None:
        draw = random.Random(1)
        words = [self.edit, self.edit_mailbox, self.close_mailbox, self.pause_and_resume]
        for word, _ in zip(cycle(words), range(self.OPERATIONS), strict=False):
            word(draw.choice(self.campaigns), draw.choice(self.boxes))
        campaigns.cancel(self.campaigns[1], "tests")

    def edit(self, campaign_id: int, mailbox_id: int) -> None:
        campaigns.edit(campaign_id, "tests", campaigns.Edit(daily_limit=999))

    def edit_mailbox(self, campaign_id: int, mailbox_id: int) -> None:
        mailboxes.edit(mailbox_id, "tests", mailboxes.Edit(daily_limit=999))

    def close_mailbox(self, campaign_id: int, mailbox_id: int) -> None:
        mailboxes.close(mailbox_id, "421 busy", lambda faults: timedelta(milliseconds=1))

    def pause_and_resume(self, campaign_id: int, mailbox_id: int) -> None:
        campaigns.pause(campaign_id, "tests")
        campaigns.resume(campaign_id, "tests")


def deadlocks() -> int:
    return int(database.fetch("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")[0][0])
