"""What must be true of the rows, and that each rule finds the rows that break it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from uuid import uuid4

import pytest

from models.email import moves
from models.health import invariants
from models.inbox import incoming
from models.owner import campaigns, settlement
from models.people import suppressions
from models.planning import refusals
from models.states import Move, Status
from models.store import database
from models.store.tables import Attempt, Campaign, CampaignEmailQueue, EmailContent, EmailHistory, Hold, Suppression
from tests import factories as make

pytestmark = pytest.mark.usefixtures("db")
Q, H = CampaignEmailQueue, EmailHistory


def broken() -> dict[str, str]:
    return {it.rule: it.broken_by for it in invariants.check() if it.broken_by is not None}


def of(email_id: int, move: Move) -> list[int]:
    return [row.id for row in H.select().where(H.email == email_id, H.move == move).order_by(H.id)]


def sent() -> int:
    return make.in_status(Status.SENT)[0]


def sent_again() -> int:
    """Unknown, ruled to be sent again, and sent."""
    email_id, _ = make.in_status(Status.UNKNOWN)
    make.age(email_id, timedelta(hours=1))
    settlement.again(email_id, "the provider lost it", "ola")
    make.rested(make.row(email_id).campaign_id)
    Q.update(scheduled_at=make.now()).where(Q.id == email_id).execute()
    H.update(scheduled_to=make.row(email_id).scheduled_at).where(H.id == of(email_id, Move.SETTLE)[0]).execute()
    moves.accept(make.handed_over(email_id).held, make.YES)
    return email_id


class TestRowsMadeByLegalMoves:
    @pytest.mark.parametrize("status", Status)
    def test_break_no_rule_in_any_status(self, status: Status) -> None:
        make.in_status(status)

        assert broken() == {}

    def test_break_none_on_the_longer_ways_either(self) -> None:
        sent_again()
        retried = make.claimed(make.an_email())
        moment = refusals.retry_moment(retried.held.email_id, make.now())
        moves.retry(retried.held, moment, make.later(451))
        moves.release(make.claimed(make.an_email()).held, "a test")
        campaigns.cancel(make.row(make.an_email()).campaign_id, "ola")

        assert broken() == {}


def forget_the_plan(email_id: int) -> None:
    H.delete().where(H.id.in_(of(email_id, Move.PLAN))).execute()


def move_without_a_reason(email_id: int) -> None:
    Q.update(scheduled_at=Q.scheduled_at + timedelta(hours=1)).where(Q.id == email_id).execute()


def forget_the_claim(email_id: int) -> None:
    H.delete().where(H.id.in_(of(email_id, Move.CLAIM))).execute()


def report_for_another(email_id: int) -> None:
    H.update(claim_token=uuid4()).where(H.id.in_(of(email_id, Move.ACCEPT))).execute()


def forget_the_ruling(email_id: int) -> None:
    H.delete().where(H.id.in_(of(email_id, Move.SETTLE))).execute()


def limits(**seen: int) -> Callable[[int], None]:
    def change(email_id: int) -> None:
        values = {"campaign_used": 0, "campaign_limit": 9, "mailbox_used": 0, "mailbox_limit": 9} | seen
        H.update(detail=values).where(H.email == email_id, H.move == Move.HAND_OVER).execute()

    return change


def end_too_early(email_id: int) -> None:
    Campaign.update(status="completed").execute()
    make.an_email()
    Campaign.update(status="completed").execute()


def forget_what_was_sent(email_id: int) -> None:
    EmailContent.delete().execute()


def forget_the_attempts(email_id: int) -> None:
    Attempt.delete().execute()


def answer(class_: str, kind: str | None = None) -> Callable[[int], int]:
    return lambda email_id: make.came_back(email_id, class_, kind)


def sent_after_a_reply(email_id: int) -> None:
    answer("human")(email_id)
    Q.update(handed_over_at=make.now() + timedelta(seconds=1)).where(Q.id == email_id).execute()


def sent_to_a_suppressed_address(email_id: int) -> None:
    answer("complaint")(email_id)
    Q.update(handed_over_at=make.now() + timedelta(minutes=6)).where(Q.id == email_id).execute()


def forget_the_hold(email_id: int) -> None:
    answer("automatic")(email_id)
    Hold.delete().execute()


def forget_the_suppression(email_id: int) -> None:
    answer("unsubscribe")(email_id)
    Suppression.delete().execute()


class TestWhatCameBack:
    @pytest.mark.parametrize(
        ("class_", "kind"),
        [("human", None), ("automatic", None), ("automatic", "receipt"), ("bounce", "address"), ("unclear", None)],
    )
    def test_breaks_no_rule(self, class_: str, kind: str | None) -> None:
        answer(class_, kind)(sent())

        assert broken() == {}

    def test_breaks_none_once_a_person_has_taken_back_what_followed(self) -> None:
        email_id = sent()
        incoming.correct(answer("human")(email_id), "other", "ola", "a test")
        answer("unsubscribe")(email_id)
        [suppressed] = suppressions.every()
        suppressions.remove(suppressed.address, "ola")

        assert broken() == {}


class TestRowsChangedByHand:
    @pytest.mark.parametrize(
        ("change", "rule"),
        [
            (forget_the_plan, "each history begins with a plan"),
            (move_without_a_reason, "each history ends at the status and time of its e-mail"),
            (forget_the_claim, "each history is a chain of legal moves"),
            (report_for_another, "each move names the token of its claim"),
            (forget_the_ruling, "no e-mail was handed over twice without proof or a decision"),
            (limits(campaign_used=9), "no limit was exceeded"),
            (limits(mailbox_used=9), "no limit was exceeded"),
            (limits(campaign_limit=0, campaign_used=-1), "no limit was exceeded"),
            (end_too_early, "completed campaigns have nothing left to send"),
            (sent_after_a_reply, "nobody who replied was written to after that"),
            (sent_to_a_suppressed_address, "no suppressed address was written to"),
            (forget_the_hold, "each message that came back was acted on"),
            (forget_the_suppression, "each message that came back was acted on"),
            (forget_what_was_sent, "the content of each sent e-mail is stored"),
            (forget_the_attempts, "each outcome has its attempt"),
        ],
    )
    def test_are_found_with_their_ids(self, change: Callable[[int], None], rule: str) -> None:
        email_id = sent_again()
        assert broken() == {}

        change(email_id)

        assert rule in broken()

    def test_too_many_to_name_are_counted(self) -> None:
        for _ in range(7):
            forget_the_plan(sent())

        assert broken()["each history begins with a plan"] == "1, 2, 3, 4, 5 and 2 more"


CONSTRAINT = """
SELECT pg_get_constraintdef(oid), obj_description(oid, 'pg_constraint') FROM pg_constraint
WHERE conname = %s AND conrelid = 'campaign_email_queue'::regclass
"""


@contextmanager
def without(constraint: str) -> Iterator[None]:
    [(definition, reason)] = database.fetch(CONSTRAINT, (constraint,))
    database.execute(f"ALTER TABLE campaign_email_queue DROP CONSTRAINT {constraint}")
    try:
        yield
    finally:
        database.execute("TRUNCATE campaign_email_queue CASCADE")
        database.execute(f"ALTER TABLE campaign_email_queue ADD CONSTRAINT {constraint} {definition}")
        database.execute(f"COMMENT ON CONSTRAINT {constraint} ON campaign_email_queue IS %s", (reason,))


class TestADatabaseWithoutItsConstraints:
    def test_has_its_rows_checked_all_the_same(self) -> None:
        email_id = sent()
        with without("sent_has_its_time"):
            Q.update(sent_at=None).where(Q.id == email_id).execute()

            assert broken()["each e-mail's columns agree with its status"] == str(email_id)

    def test_is_found_out(self) -> None:
        database.execute("ALTER INDEX one_sending_per_mailbox RENAME TO put_aside")
        try:
            assert broken() == {"all constraints and unique indexes exist": "one_sending_per_mailbox"}
        finally:
            database.execute("ALTER INDEX put_aside RENAME TO one_sending_per_mailbox")
