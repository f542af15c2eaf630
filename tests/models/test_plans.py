"""How plans are written, and when what is planned is planned again."""

import itertools
import re
from collections import Counter
from datetime import timedelta

import pytest

from actors.plan import plan_new, replan
from models import campaigns, emails, mailboxes, overview, plans
from models.forecast import forecast
from models.states import Move, Status
from models.tables import Campaign, CampaignEmailQueue, CampaignLead, EmailHistory, Mailbox
from scheduling import planner
from scheduling.window import WARSAW, Window, warsaw_day, warsaw_day_bounds
from tests import factories as make

pytestmark = pytest.mark.usefixtures("db")
Q = CampaignEmailQueue


def times(campaign_id: int) -> list[float]:
    """When its pending mails are planned for, in the order of its leads, in seconds from the first."""
    rows = Q.select().where(Q.campaign == campaign_id).order_by(Q.campaign_lead)
    at = [row.scheduled_at for row in rows]
    return [(each - at[0]).total_seconds() for each in at]


def replans() -> list[str | None]:
    return [row.reason for row in EmailHistory.select().where(EmailHistory.move == Move.REPLAN)]


class TestANewCampaign:
    def test_its_leads_get_their_times_in_order_at_its_pace(self) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()], leads=20, delay=60)

        plan_new()

        at = times(campaign_id)
        gaps = [later - earlier for earlier, later in itertools.pairwise(at)]
        assert len(at) == 20
        assert all(48 <= gap <= 72.001 for gap in gaps)
        assert len(set(gaps)) > 10

    def test_each_mail_gets_a_message_id_of_its_own_that_names_only_the_senders_domain(self) -> None:
        make.a_campaign([make.a_mailbox("ola@sender.example")], leads=20)

        plan_new()

        ids = {row.message_id for row in Q.select()}
        assert len(ids) == 20
        assert all(re.fullmatch(r"<[0-9a-f-]{36}@sender\.example>", each) for each in ids)

    def test_a_lead_that_was_passed_over_gets_its_time_too(self) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], leads=3)
        first, second, third = (row.id for row in CampaignLead.select().order_by(CampaignLead.position))
        emails.plan(campaign_id, [planner.Slot(campaign_id, second, mailbox_id, make.now())], "tests")

        plan_new()
        plan_new()

        assert {row.campaign_lead_id for row in Q.select()} == {first, second, third}
        assert plans.unplanned(campaign_id, limit=10) == []

    def test_planning_twice_changes_nothing(self) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()], leads=5)
        plan_new()
        before = times(campaign_id)

        plan_new()

        assert times(campaign_id) == before
        assert EmailHistory.select().count() == 5

    def test_a_draft_is_not_planned(self) -> None:
        make.a_campaign([make.a_mailbox()], active=False)

        plan_new()

        assert Q.select().count() == 0

    def test_no_more_than_its_limit_is_planned_for_a_day(self) -> None:
        make.a_campaign([make.a_mailbox()], leads=10, delay=1, limit=3)

        plan_new()

        days = [warsaw_day(row.scheduled_at) for row in Q.select()]
        assert days
        assert all(days.count(day) <= 3 for day in days)

    def test_a_forecast_shows_the_whole_calendar_and_writes_nothing(self) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()], leads=10, delay=1, limit=3, active=False)

        slots = forecast(campaign_id)

        assert len(slots) == 10
        assert len({warsaw_day(slot.at) for slot in slots}) == 4
        assert Q.select().count() == 0

    def test_a_plan_made_from_settings_that_changed_meanwhile_is_not_written(self) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()], leads=3)
        seen = plans.situation()
        slots = list(planner.plan(seen.campaigns, seen.mailboxes, seen.taken, seen.now))
        campaigns.pause(campaign_id, "tests")

        written = plans.write(campaign_id, slots, seen, "tests")

        assert written is None
        assert Q.select().count() == 0


class TestAfterDowntime:
    def test_overdue_mails_go_from_now_on_at_their_pace_in_their_order_with_the_reason(self) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], leads=5, delay=60)
        start = make.now() - timedelta(hours=2)
        make.planned(campaign_id, mailbox_id, *[start + timedelta(minutes=number) for number in range(5)])
        asked_at = make.now()

        replan()

        at = times(campaign_id)
        assert all(48 <= later - earlier <= 72.001 for earlier, later in itertools.pairwise(at))
        assert all(row.scheduled_at >= asked_at for row in Q.select())
        assert replans() == ["downtime"] * 5

    def test_a_second_tick_finds_nothing_to_move(self) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], leads=2, delay=60)
        make.planned(campaign_id, mailbox_id, *[make.now() - timedelta(hours=2)] * 2)
        replan()

        replan()

        assert len(replans()) == 2

    def test_a_mail_that_is_only_a_little_late_keeps_its_time(self) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], delay=1)
        make.planned(campaign_id, mailbox_id, make.now() - timedelta(seconds=100))

        replan()

        assert replans() == []

    def test_later_mails_move_only_as_far_as_they_must(self) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], leads=2, delay=60)
        far = make.now() + timedelta(hours=3)
        _, kept = make.planned(campaign_id, mailbox_id, make.now() - timedelta(hours=1), far)

        replan()

        assert make.row(kept).scheduled_at == far
        assert replans() == ["downtime"]


class TestAMailboxThatIsLost:
    def test_its_mails_keep_their_time_on_another_mailbox_that_has_room(self) -> None:
        lost, other = make.a_mailbox(), make.a_mailbox()
        campaign_id = make.a_campaign([lost, other], delay=60)
        at = make.now() + timedelta(minutes=10)
        [email_id] = make.planned(campaign_id, lost, at)
        mailboxes.pause(lost, "tests")

        replan()

        row = make.row(email_id)
        assert (row.mailbox_id, row.scheduled_at) == (other, at)
        assert replans() == ["mailbox"]

    def test_without_another_one_they_wait_where_they_are(self) -> None:
        email_id = make.an_email(make.now() + timedelta(minutes=10))
        before = make.row(email_id).scheduled_at
        mailboxes.pause(make.row(email_id).mailbox_id, "tests")

        replan()

        assert make.row(email_id).scheduled_at == before

    def test_one_closed_for_a_while_sends_after_that(self) -> None:
        email_id = make.an_email(make.now() + timedelta(minutes=1))
        until = mailboxes.close(make.row(email_id).mailbox_id, "421", lambda faults: timedelta(hours=1))

        replan()

        assert make.row(email_id).scheduled_at >= until.replace(microsecond=0)


class TestLimitsAndWindows:
    def test_a_used_up_limit_moves_the_rest_to_another_day(self) -> None:
        mailbox_id = make.a_mailbox(daily_limit=0)
        other = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id, other], leads=1)
        [email_id] = make.planned(campaign_id, mailbox_id, make.now())

        replan()

        assert make.row(email_id).mailbox_id == other
        assert replans() == ["limit"]

    def test_a_closed_window_moves_what_is_due_to_its_next_opening(self) -> None:
        today = make.now().astimezone(WARSAW).weekday()
        window = Window(0, 1440, frozenset({(today + 3) % 7}))
        email_id = make.an_email(window=window)

        replan()

        assert window.is_open(make.row(email_id).scheduled_at)
        assert replans() == ["window"]


class TestEditing:
    def test_a_lower_limit_moves_only_what_no_longer_fits(self) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], leads=10, delay=1)
        # All on tomorrow's Warsaw day, whenever this runs.
        noon = warsaw_day_bounds(warsaw_day(make.now()) + timedelta(days=1))[0] + timedelta(hours=12)
        ids = make.planned(campaign_id, mailbox_id, *[noon + timedelta(minutes=number) for number in range(10)])

        campaigns.edit(campaign_id, "tests", daily_limit=4)
        replan()

        places = [make.row(email_id).scheduled_at for email_id in ids]
        assert places[:4] == [noon + timedelta(minutes=number) for number in range(4)]
        assert max(Counter(map(warsaw_day, places)).values()) <= 4
        assert replans() == ["edited"] * 6


class TestPauseResumeCancel:
    def test_a_resumed_campaign_is_planned_again_from_now_with_the_reason(self) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], leads=2, delay=60)
        make.planned(campaign_id, mailbox_id, *[make.now() - timedelta(hours=1)] * 2)
        campaigns.pause(campaign_id, "tests")
        replan()
        assert replans() == []

        campaigns.resume(campaign_id, "tests")
        replan()

        assert replans() == ["resumed"] * 2
        assert Campaign.get_by_id(campaign_id).replan_reason is None

    def test_cancelling_cancels_what_is_pending_and_leaves_what_was_sent(self) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], leads=2)
        sent, pending = make.planned(campaign_id, mailbox_id, make.now(), make.now() + timedelta(minutes=5))
        emails.accept(make.handed_over(sent).held, {})

        count = campaigns.cancel(campaign_id, "tests")

        assert count == 1
        assert make.row(sent).status == Status.SENT
        assert make.row(pending).status == Status.CANCELLED
        assert overview.history(pending)[-1].reason == "the campaign was cancelled"

    @pytest.mark.parametrize(("verb", "status"), [("start", "active"), ("resume", "draft"), ("pause", "cancelled")])
    def test_a_step_that_the_campaigns_life_does_not_have_is_refused(self, verb: str, status: str) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()])
        Campaign.update(status=status).execute()

        with pytest.raises(campaigns.CampaignInvalid, match=f"cannot {verb}"):
            getattr(campaigns, verb)(campaign_id, "tests")


class TestTwoCampaignsOnABusyMailbox:
    def test_their_planned_times_keep_the_mailboxes_gap(self) -> None:
        mailbox_id = make.a_mailbox(gap_seconds=30.0)
        for _ in range(2):
            make.a_campaign([mailbox_id], leads=30, delay=45)

        plan_new()

        at = sorted(row.scheduled_at for row in Q.select())
        assert len(at) == 60
        assert all(later - earlier >= timedelta(seconds=30) for earlier, later in itertools.pairwise(at))

    def test_who_planned_first_does_not_starve_the_other_on_a_day_not_yet_planned(self) -> None:
        mailbox_id = make.a_mailbox(daily_limit=10)
        ids = [make.a_campaign([mailbox_id], leads=50, delay=1) for _ in range(2)]

        plan_new()

        for day in {warsaw_day(row.scheduled_at) for row in Q.select()}:
            counts = [
                sum(warsaw_day(row.scheduled_at) == day for row in Q.select().where(Q.campaign == id)) for id in ids
            ]
            assert abs(counts[0] - counts[1]) <= 1
            assert sum(counts) <= 10


class TestRetrying:
    def test_it_goes_to_the_first_moment_that_keeps_the_mailboxes_gap(self) -> None:
        mailbox_id = make.a_mailbox(gap_seconds=60.0)
        campaign_id = make.a_campaign([mailbox_id], leads=2, delay=600)
        due, later = make.planned(campaign_id, mailbox_id, make.now(), make.now() + timedelta(seconds=100))
        claim = make.claimed(due)
        not_before = make.row(later).scheduled_at - timedelta(seconds=10)
        Mailbox.update(last_start_at=None).execute()

        moment = plans.retry_moment(claim.held.email_id, not_before)

        assert moment == make.row(later).scheduled_at + timedelta(seconds=60)


class TestCompletion:
    def test_a_campaign_is_complete_when_every_lead_has_a_final_row(self) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], leads=2)
        [first] = make.planned(campaign_id, mailbox_id, make.now())
        emails.accept(make.handed_over(first).held, {})

        assert campaigns.complete_finished("tests") == []

        [second] = make.planned(campaign_id, mailbox_id, make.now())
        emails.cancel(second, "a test", "tests")

        assert campaigns.complete_finished("tests") == [campaign_id]

    def test_an_unknown_keeps_it_open(self) -> None:
        make.in_status(Status.UNKNOWN)

        assert campaigns.complete_finished("tests") == []
