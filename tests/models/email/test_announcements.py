"""Who is told of moves: whoever listens, once they are committed."""

import pytest

from models.email import announcements, moves
from models.email.announcements import Moved
from models.owner import campaigns
from models.states import Move, Status
from models.store import database
from reasons import Code, Reason
from tests import factories as make

pytestmark = pytest.mark.usefixtures("db")


class Interrupted(Exception):
    """What ends a transaction before its commit."""


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Moved]:
    heard: list[Moved] = []
    monkeypatch.setattr(announcements, "_listeners", [])
    announcements.listen(heard.append)
    return heard


def cancel_in_vain(email_id: int) -> None:
    with database.database.atomic():
        assert moves.cancel(email_id, "a test", "tests")
        raise Interrupted


class TestAMove:
    def test_is_told_of_with_what_it_did_and_why(self, told: list[Moved]) -> None:
        claim = make.claimed(make.an_email())
        told.clear()

        moves.reject(claim.held, make.no(550))

        [it] = told
        assert (it.move, it.email_id, it.campaign_id, it.mailbox_id) == (
            Move.REJECT,
            claim.held.email_id,
            claim.campaign_id,
            claim.mailbox_id,
        )
        assert (it.from_status, it.to_status, it.by) == (Status.SENDING, Status.FAILED, claim.held.by)
        assert (it.reason, it.conversation) == (Reason(Code.ANSWER, answer="550 no"), make.no(550))

    def test_is_told_of_once_its_transaction_is_committed_and_not_before(self, told: list[Moved]) -> None:
        email_id = make.an_email()
        told.clear()

        with database.database.atomic():
            moves.cancel(email_id, "a test", "tests")
            assert told == []

        assert [it.move for it in told] == [Move.CANCEL]

    def test_that_is_rolled_back_is_never_told_of(self, told: list[Moved]) -> None:
        email_id = make.an_email()
        told.clear()

        with pytest.raises(Interrupted):
            cancel_in_vain(email_id)
        make.an_email()

        assert Move.CANCEL not in {it.move for it in told}

    def test_whose_guard_did_not_hold_is_never_told_of(self, told: list[Moved]) -> None:
        email_id, held = make.in_status(Status.SENT)
        told.clear()

        moves.accept(held, make.YES)
        moves.cancel(email_id, "a test", "tests")

        assert told == []


def test_a_listener_that_fails_harms_neither_the_move_nor_the_others(told: list[Moved]) -> None:
    def fails(moved: Moved) -> None:
        raise Interrupted

    announcements._listeners.insert(0, fails)
    email_id = make.an_email()

    assert moves.cancel(email_id, "a test", "tests")

    assert make.row(email_id).status == Status.CANCELLED
    assert told[-1].move is Move.CANCEL


def test_many_moves_at_once_are_told_of_together(told: list[Moved]) -> None:
    box = make.a_mailbox()
    campaign_id = make.a_campaign([box], leads=3)
    make.planned(campaign_id, box, *[make.now()] * 3)

    campaigns.cancel(campaign_id, "ola")

    assert [(it.move, it.count, it.campaign_id, it.email_id) for it in told] == [
        (Move.PLAN, 3, campaign_id, None),
        (Move.CANCEL, 3, campaign_id, None),
    ]


def test_who_listens_twice_is_told_once(told: list[Moved]) -> None:
    announcements.listen(told.append)

    make.an_email()

    assert [it.move for it in told] == [Move.PLAN]
