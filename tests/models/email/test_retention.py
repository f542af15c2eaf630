"""The content of old letters is deleted after `retention.letters_days`; that they were handed over stays."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from actors.plan import plan_follow_ups
from actors.retention import delete_old_letters
from models.email import moves, retention
from models.health import invariants
from models.owner import campaigns, reopening
from models.people import forgetting
from models.states import Status
from models.store import database
from models.store.tables import CampaignEmailQueue, CampaignLead, EmailContent, EmailHistory
from models.views import overview
from ops.watch import metrics
from reasons import Code
from scheduling.window import warsaw_day
from tests import factories as make
from tests.conftest import Override
from tests.models.conftest import Beside
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("db")

DAYS = 30
OLD = timedelta(days=DAYS, minutes=1)
A_DAY = timedelta(days=1, minutes=1)
SEQUENCE: dict[str, Any] = {"follow_ups": ["1 day"], "follow_up_without_inbox": True}


def sent(email_id: int | None = None, **campaign: Any) -> int:
    email_id = email_id or make.an_email(**campaign)
    moves.accept(make.handed_over(email_id).held, make.YES)
    return email_id


def kept() -> set[int]:
    return {row.email_id for row in EmailContent.select().where(EmailContent.content != b"")}


def a_pass(portion: int = retention.PORTION) -> int:
    """Until there is nothing to do before tomorrow. How many were deleted."""
    deleted = 0
    while (count := retention.delete_letters(DAYS, portion)) is not None:
        deleted += count
    return deleted


def counted() -> float:
    return float(metrics.LETTERS_DELETED._value.get())


class TestAnOldLetter:
    def test_is_deleted_and_all_that_proves_its_hand_over_stays(self) -> None:
        email_id = sent()
        make.everything_older(OLD)
        before = [row.move for row in EmailHistory.select().order_by(EmailHistory.id)]

        assert a_pass() == 1

        row = EmailContent.get()
        assert bytes(row.content) == b""
        assert row.claim_token == make.row(email_id).claim_token
        assert make.row(email_id).status == Status.SENT
        assert [row.move for row in EmailHistory.select().order_by(EmailHistory.id)] == before
        assert [it for it in invariants.check() if it.violations] == []

    def test_is_kept_until_its_day(self) -> None:
        email_id = sent()
        make.everything_older(OLD - timedelta(minutes=2))

        assert a_pass() == 0
        assert kept() == {email_id}

    @pytest.mark.parametrize(("setting", "deleted"), [("off", 0), (DAYS, 1)])
    def test_goes_only_if_its_owner_wants_it(self, settings: Override, setting: object, deleted: int) -> None:
        settings(RETENTION_LETTERS_DAYS=setting)
        sent()
        make.everything_older(OLD)
        before = counted()

        delete_old_letters()

        assert len(kept()) == 1 - deleted
        assert counted() - before == deleted


def refused() -> int:
    return make.in_status(Status.FAILED)[0]


def put_off() -> int:
    claim = make.handed_over(make.an_email())
    assert moves.retry(claim.held, make.now() + timedelta(days=1), make.later(451))
    return claim.held.email_id


def put_off_and_cancelled() -> int:
    email_id = put_off()
    assert moves.cancel(email_id, "a test", "tests")
    return email_id


def handed_over() -> int:
    return make.handed_over(make.an_email()).held.email_id


def unknown() -> int:
    return make.in_status(Status.UNKNOWN)[0]


def to_be_followed() -> int:
    return sent(**SEQUENCE)


def followed_soon() -> int:
    email_id = sent(**SEQUENCE)
    make.everything_older(A_DAY)
    plan_follow_ups()
    assert CampaignEmailQueue.select().where(CampaignEmailQueue.predecessor == email_id).count() == 1
    return email_id


def in_a_paused_sequence() -> int:
    email_id = sent(**SEQUENCE)
    campaigns.pause(make.row(email_id).campaign_id, "tests")
    return email_id


def away() -> int:
    email_id = sent(**SEQUENCE)
    make.came_back(email_id, "automatic", "vacation")
    return email_id


def in_a_cancelled_sequence() -> int:
    email_id = sent(**SEQUENCE)
    campaigns.cancel(make.row(email_id).campaign_id, "tests")
    return email_id


def answered() -> int:
    email_id = sent(**SEQUENCE)
    make.came_back(email_id, "human")
    return email_id


class TestALetterIsDeletedOnlyWhereNothingNeedsIt:
    @pytest.mark.parametrize(
        "letter", [put_off, handed_over, unknown, to_be_followed, followed_soon, in_a_paused_sequence, away]
    )
    def test_which_is_not_so_of(self, letter: Callable[[], int]) -> None:
        email_id = letter()
        make.everything_older(OLD)

        assert a_pass() == 0
        assert email_id in kept()

    @pytest.mark.parametrize("letter", [sent, refused, put_off_and_cancelled, in_a_cancelled_sequence, answered])
    def test_which_is_so_of(self, letter: Callable[[], int]) -> None:
        letter()
        make.everything_older(OLD)

        assert a_pass() == 1
        assert kept() == set()

    def test_which_is_so_of_all_of_a_sequence_once_it_is_over(self) -> None:
        first = followed_soon()
        make.everything_older(OLD)
        assert a_pass() == 0

        second = CampaignEmailQueue.get(CampaignEmailQueue.predecessor == first)
        make.rested(second.campaign_id)
        CampaignEmailQueue.update(scheduled_at=make.now()).where(CampaignEmailQueue.id == second.id).execute()
        sent(second.id)
        make.everything_older(A_DAY)
        assert a_pass() == 1
        assert kept() == {second.id}

        make.everything_older(OLD)
        assert a_pass() == 1

    def test_which_one_sequence_decides_for_itself_alone(self) -> None:
        mine = sent(leads=["anna@leads.example"])
        other = sent(leads=["anna@leads.example"], **SEQUENCE)
        make.everything_older(OLD)

        assert a_pass() == 1
        assert kept() == {other}
        assert mine != other


class TestAPass:
    def test_gets_past_what_is_kept_portion_by_portion_and_comes_back_to_it_a_day_later(self) -> None:
        waiting = [unknown() for _ in range(3)]
        old = [sent() for _ in range(4)]
        make.everything_older(OLD)

        assert a_pass(portion=2) == len(old)
        assert kept() == set(waiting)

        moves.settle_as_sent(waiting[0], "she answered it", "ola")
        assert retention.delete_letters(DAYS) is None
        make.everything_older(A_DAY)
        assert a_pass(portion=2) == 1
        assert kept() == set(waiting[1:])

    def test_looks_at_no_more_than_its_portion(self) -> None:
        for _ in range(3):
            sent()
        make.everything_older(OLD)

        assert retention.delete_letters(DAYS, portion=2) == 2
        assert len(kept()) == 1

    def test_passes_over_none_of_the_same_moment(self) -> None:
        ids = [sent() for _ in range(5)]
        EmailContent.update(recorded_at=make.now() - OLD).execute()

        assert a_pass(portion=2) == len(ids)

    def test_is_done_by_one_of_two_timekeepers(self, beside: Beside) -> None:
        for _ in range(2):
            sent()
        make.everything_older(OLD)

        with database.database.atomic():
            assert retention.delete_letters(DAYS, portion=1) == 1
            assert beside(lambda: retention.delete_letters(DAYS, portion=1)).result() is None
        assert a_pass(portion=1) == 1

    def test_waits_for_nobody_who_writes_a_letter(self, beside: Beside) -> None:
        busy, free = sent(), sent()
        make.everything_older(OLD)

        with database.database.atomic():
            database.execute("UPDATE email_content SET recorded_at = recorded_at WHERE email_id = %s", (busy,))
            assert beside(a_pass).result() == 1
        assert kept() == {busy}
        assert free not in kept()

        make.everything_older(A_DAY)
        assert a_pass() == 1

    def test_that_is_killed_between_two_portions_goes_on_with_the_next(self, beside: Beside) -> None:
        for _ in range(4):
            sent()
        make.everything_older(OLD)
        assert retention.delete_letters(DAYS, portion=2) == 2

        # Its next portion is stopped before it is committed.
        with database.database.atomic():
            database.execute("LOCK TABLE email_content IN EXCLUSIVE MODE")
            second = beside(lambda: retention.delete_letters(DAYS, portion=2))
            until(lambda: beside(lambda: database.fetch(WAITING)).result(), "the second portion to wait for the table")
            database.fetch(f"SELECT pg_terminate_backend(pid) FROM ({WAITING}) it")
            with pytest.raises(database.FAILURES):
                second.result()

        assert len(kept()) == 2
        assert a_pass(portion=2) == 2
        assert kept() == set()


WAITING = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%%email_content%%'
"""


class TestWhatIsSaidOfIt:
    def test_is_when_it_was_deleted_and_after_how_many_days(self) -> None:
        email_id = sent()
        make.everything_older(OLD)
        a_pass()

        why = overview.why_no_content(email_id)

        assert why is not None
        assert (why.code, why.values["days"]) == (Code.LETTER_DELETED, DAYS)
        assert why.values["day"] == f"{warsaw_day(EmailContent.get().deleted_at):%Y-%m-%d}"
        assert overview.content(email_id) is None

    def test_is_another_thing_of_a_forgotten_person(self) -> None:
        email_id = sent(leads=["anna@leads.example"])
        forgetting.forget("anna@leads.example", "ola", lambda key: None)

        why = overview.why_no_content(email_id)

        assert why is not None
        assert why.code == Code.ERASED
        assert overview.content(email_id) is None

    def test_is_nothing_where_it_is_kept_or_never_was(self) -> None:
        assert overview.why_no_content(sent()) is None
        assert overview.why_no_content(make.an_email()) is None

    def test_is_nothing_once_the_email_was_handed_over_again(self) -> None:
        email_id = refused()
        make.everything_older(OLD)
        a_pass()
        reopening.one(email_id, "the provider unblocked us", "ola")
        CampaignEmailQueue.update(scheduled_at=make.now(), not_before=None).execute()
        make.rested(make.row(email_id).campaign_id)

        sent(email_id)

        assert overview.why_no_content(email_id) is None
        assert overview.content(email_id) is not None
        assert a_pass() == 0


def test_a_sequence_that_goes_on_after_all_takes_its_subject_from_the_campaign() -> None:
    """Where a person lifts what had ended it."""
    first = followed_soon()
    make.everything_older(OLD)
    EmailContent.update(content=b"", deleted_at=database.clock()).execute()
    second = CampaignEmailQueue.get(CampaignEmailQueue.predecessor == first)
    make.rested(second.campaign_id)
    CampaignEmailQueue.update(scheduled_at=make.now()).where(CampaignEmailQueue.id == second.id).execute()

    claim = make.claimed(second.id)

    lead = CampaignLead.get_by_id(second.campaign_lead_id)
    assert claim.thread_ids == [make.row(first).message_id]
    assert claim.thread_subject == "Hello {{ name }}"
    assert claim.recipient == lead.address
