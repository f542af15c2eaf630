"""Days on which no campaign sends: frozen for all, holidays, and what comes after a campaign's last day."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

import config
from actors.plan import plan_new, replan
from actors.reconcile import complete
from models.audit import changes
from models.email import facts, gates, moves
from models.email.gates import Action, Closed
from models.owner import campaigns, closed_days
from models.owner.campaigns import NO_END, CampaignInvalid, Edit
from models.owner.closed_days import FreezeInvalid
from models.states import CampaignStatus, Status
from models.store import database
from models.store.tables import Campaign, CampaignEmailQueue, EmailHistory
from models.views import calendars, overview
from reasons import Code, Reason
from scheduling.window import Days, Window, warsaw_day, warsaw_day_bounds
from tests import factories as make
from tests import servers
from tests.models.conftest import Beside
from tests.waiting import BOUND, until

pytestmark = pytest.mark.usefixtures("db")

Q = CampaignEmailQueue
EVERY_DAY = frozenset(range(7))


def today() -> date:
    return warsaw_day(make.now())


def around_today() -> Days:
    """Still today's when midnight passes during a test."""
    return Days(today() - timedelta(days=1), today() + timedelta(days=2))


def days_planned() -> list[date]:
    return [warsaw_day(row.scheduled_at) for row in Q.select().order_by(Q.scheduled_at)]


def reasons_of_moves() -> set[str]:
    return {str(row.reason_code) for row in EmailHistory.select().where(EmailHistory.move == "replan")}


class TestFrozenDays:
    def test_are_left_out_of_new_plans(self) -> None:
        days = around_today()
        closed_days.freeze(days, "company holidays", "ola")
        make.a_campaign([make.a_mailbox()], leads=3)

        plan_new()

        assert len(days_planned()) == 3
        assert min(days_planned()) == days.last + timedelta(days=1)

    def test_move_what_is_planned_there_with_the_reason(self) -> None:
        make.a_campaign([make.a_mailbox()], leads=3)
        plan_new()
        days = around_today()

        closed_days.freeze(days, "company holidays", "ola")
        replan()

        assert min(days_planned()) == days.last + timedelta(days=1)
        assert reasons_of_moves() == {Code.HOLIDAY}

    def test_refuse_the_claim_of_a_mail_that_is_still_there(self) -> None:
        email_id = make.an_email()
        days = around_today()
        closed_days.freeze(days, "company holidays", "ola")

        closed = moves.claim(email_id, make.row(email_id).scheduled_at, make.WORKER)

        assert isinstance(closed, Closed)
        assert (closed.gate, closed.action, closed.because) == ("window", Action.REPLAN, Reason(Code.CLOSED_DAY))
        assert closed.until == warsaw_day_bounds(days.last + timedelta(days=1))[0]

    def test_refuse_the_hand_over_of_a_mail_that_was_claimed_before(self) -> None:
        claim = make.claimed(make.an_email())
        closed_days.freeze(around_today(), "company holidays", "ola")

        withdrawn = moves.hand_over(claim.held, b"Subject: hello\r\n\r\nDear lead")

        assert isinstance(withdrawn, Closed)
        assert withdrawn.because == Reason(Code.CLOSED_DAY)

    def test_wait_for_a_hand_over_that_is_being_committed(self, beside: Beside) -> None:
        held = make.claimed(make.an_email()).held
        with database.database.atomic():
            assert moves.hand_over(held, b"Subject: hello\r\n\r\nDear lead") is None
            freezing = beside(lambda: closed_days.freeze(around_today(), "company holidays", "ola"))
            until(lambda: servers.lock_waits() > 0, "the freeze to wait")
        freezing.result(BOUND)

        assert make.row(held.email_id).handed_over_at is not None
        assert len(closed_days.every()) == 1

    def test_leave_the_mails_of_other_days_where_they_are(self) -> None:
        make.a_campaign([make.a_mailbox()], leads=3)
        plan_new()
        before = days_planned()
        later = today() + timedelta(days=30)

        closed_days.freeze(Days(later, later), "an audit", "ola")
        replan()

        assert days_planned() == before
        assert reasons_of_moves() == set()

    def test_released_are_used_again(self) -> None:
        days = around_today()
        closed_days.freeze(days, "company holidays", "ola")
        make.a_campaign([make.a_mailbox()], leads=3)
        plan_new()

        assert closed_days.release(days, "jan")
        replan()

        assert max(days_planned()) <= days.last
        assert closed_days.every() == []

    def test_are_in_the_log_with_who_froze_and_released_them(self) -> None:
        days = Days(date(2026, 12, 28), date(2026, 12, 31))

        closed_days.freeze(days, "company holidays", "ola")
        closed_days.release(days, "jan")

        assert [(it.by, it.verb, it.values["frozen_days"]) for it in changes.of_installation()] == [
            ("jan", "release", ["2026-12-28 to 2026-12-31: company holidays", None]),
            ("ola", "freeze", [None, "2026-12-28 to 2026-12-31: company holidays"]),
        ]

    def test_other_than_those_frozen_cannot_be_released(self) -> None:
        closed_days.freeze(Days(date(2026, 12, 28), date(2026, 12, 31)), "", "ola")

        assert not closed_days.release(Days(date(2026, 12, 28), date(2026, 12, 30)), "jan")
        assert len(closed_days.every()) == 1

    @pytest.mark.parametrize(
        ("days", "why"),
        [
            (Days(date(2026, 12, 2), date(2026, 12, 1)), "must not be before the first"),
            (Days(date(2026, 1, 1), date(2027, 1, 2)), "at most 366 days"),
        ],
    )
    def test_that_make_no_sense_are_refused(self, days: Days, why: str) -> None:
        with pytest.raises(FreezeInvalid, match=why):
            closed_days.freeze(days, "", "ola")

        assert closed_days.every() == []


class TestTheLastDay:
    def test_a_campaign_after_it_cancels_its_mails_and_is_completed(self) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], leads=3)
        [email_id] = make.planned(campaign_id, mailbox_id, make.now())
        end_before_today(campaign_id)

        complete()

        assert (make.row(email_id).status, make.row(email_id).error_code) == (Status.CANCELLED, Code.CAMPAIGN_ENDED)
        row = campaigns.get(campaign_id)
        assert row.status == CampaignStatus.COMPLETED
        assert str(overview.standing(row)) == "the campaign's last day is over; leads not written to: 2"

    def test_what_is_being_sent_is_waited_for(self) -> None:
        email_id = make.an_email()
        make.claimed(email_id)
        campaign_id = make.row(email_id).campaign_id
        end_before_today(campaign_id)

        complete()

        assert make.row(email_id).status == Status.SENDING
        assert campaigns.get(campaign_id).status == CampaignStatus.ACTIVE

    def test_itself_is_a_day_of_sending(self) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()], leads=1)
        Campaign.update(last_day=today() + timedelta(days=1)).where(Campaign.id == campaign_id).execute()
        plan_new()

        complete()

        assert [row.status for row in Q.select()] == [Status.PENDING]

    def test_over_a_draft_cannot_be_started(self) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()], active=False)
        end_before_today(campaign_id)

        with pytest.raises(CampaignInvalid, match=r"its last day \S+ is over"):
            campaigns.start(campaign_id, "ola")

    def test_over_a_paused_campaign_is_not_resumed_but_keeps_its_mails(self) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id])
        [email_id] = make.planned(campaign_id, mailbox_id, make.now())
        campaigns.pause(campaign_id, "ola")
        end_before_today(campaign_id)

        with pytest.raises(CampaignInvalid, match=r"cannot resume .* its last day \S+ is over"):
            campaigns.resume(campaign_id, "ola")

        assert make.row(email_id).status == Status.PENDING
        campaigns.edit(campaign_id, "ola", Edit(last_day=NO_END))
        campaigns.resume(campaign_id, "ola")

    @pytest.mark.parametrize("days", [1, 365])
    def test_that_is_over_is_not_taken_by_an_edit(self, days: int) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()])

        with pytest.raises(CampaignInvalid, match=r"cannot edit .*: \S+ is over; to end it now, cancel it"):
            campaigns.edit(campaign_id, "ola", Edit(last_day=today() - timedelta(days=days)))

        assert campaigns.get(campaign_id).last_day is None

    def test_leaves_no_time_to_mails_that_were_planned_behind_it_and_everything_says_so(self) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], leads=2)
        make.planned(campaign_id, mailbox_id, *(make.now() + timedelta(days=days) for days in (2, 3)))

        def end_today() -> None:
            Campaign.update(last_day=today()).where(Campaign.id == campaign_id).execute()

        after = calendars.after(end_today, campaign_id)
        end_today()

        seen, its_last_day = calendars.of(campaigns.get(campaign_id)), {"day": f"{today():%Y-%m-%d}"}
        assert (after.entries, seen.entries) == ([], [])
        assert seen.nowhere == after.nowhere == Reason(Code.HELD_BY_LAST_DAY, **its_last_day)
        said = overview.standing(campaigns.get(campaign_id))
        assert said.why == Reason(Code.WAITING, because=Reason(Code.PAST_LAST_DAY, **its_last_day))

    def test_is_set_and_taken_away_by_an_edit(self) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()])

        assert campaigns.edit(campaign_id, "ola", Edit(last_day=date(2100, 12, 31)))
        assert campaigns.get(campaign_id).last_day == date(2100, 12, 31)
        assert campaigns.edit(campaign_id, "ola", Edit(last_day=NO_END))
        assert campaigns.get(campaign_id).last_day is None
        assert changes.of_campaign(campaign_id)[0].values == {"last_day": ["2100-12-31", None]}


def end_before_today(campaign_id: int) -> None:
    Campaign.update(last_day=today() - timedelta(days=2)).where(Campaign.id == campaign_id).execute()


class TestHolidays:
    CHRISTMAS = datetime(2026, 12, 25, 11, tzinfo=UTC)

    def test_a_row_without_a_word_about_them_sends(self) -> None:
        """As rows of the version before are."""
        database.execute(
            "INSERT INTO campaign (name, window_start_minute, window_end_minute, weekdays, delay_seconds, daily_limit)"
            " VALUES ('older', 0, 1440, '{0,1,2,3,4,5,6}', 60, 10)"
        )

        assert campaigns.find("older").send_on_holidays

    def test_the_gate_tells_them_from_a_closed_hour(self) -> None:
        skips = Window(0, 24 * 60, EVERY_DAY, on_holidays=False)
        seen = replace(facts.read(make.an_email(window=skips)), now=self.CHRISTMAS)
        assert seen.window == skips

        closed = gates.window_is_open(seen, config.settings().sending)

        assert closed is not None
        assert closed.because == Reason(Code.CLOSED_DAY)
        assert closed.until == datetime(2026, 12, 26, 23, tzinfo=UTC)
