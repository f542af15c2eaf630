"""How plans are written, and when what is planned is planned again."""

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from actors.plan import plan_new, replan
from models.audit import changes
from models.email import batch_moves, moves
from models.health import invariants
from models.owner import campaigns, mailboxes
from models.people import suppressions
from models.planning import plans, preview, refusals, unplanned
from models.states import Move, Status
from models.store import database
from models.store.tables import Campaign, CampaignEmailQueue, CampaignLead, EmailHistory, Lead, Mailbox
from models.views import history, overview
from models.views.forecast import forecast
from scheduling import planner
from scheduling.window import WARSAW, Window, warsaw_day
from tests import factories as make
from tests.conftest import Override

pytestmark = pytest.mark.usefixtures("db")
Q = CampaignEmailQueue


def times(campaign_id: int) -> list[float]:
    """When its pending mails are planned for, in the order of its leads, in seconds from the first."""
    rows = Q.select().where(Q.campaign == campaign_id).order_by(Q.campaign_lead)
    at = [row.scheduled_at for row in rows]
    return [(each - at[0]).total_seconds() for each in at]


def gaps(campaign_id: int) -> list[float]:
    """Between its pending mails, in seconds."""
    return [later - earlier for earlier, later in itertools.pairwise(times(campaign_id))]


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
        batch_moves.plan(
            campaign_id, [planner.Slot(campaign_id, second, make.step_of(campaign_id), mailbox_id, make.now())], "tests"
        )

        plan_new()
        plan_new()

        assert {row.campaign_lead_id for row in Q.select()} == {first, second, third}
        assert unplanned.emails({campaign_id: 10}) == {}

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

    @pytest.mark.parametrize(
        ("delay", "window", "most"), [(7200, make.ALWAYS, 48), (600, Window(600, 720, frozenset(range(7))), 69)]
    )
    def test_only_as_many_leads_are_read_as_its_pace_leaves_room_for(
        self, delay: float, window: Window, most: int
    ) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()], leads=120, delay=delay, window=window)

        seen = plans.situation()

        [campaign] = seen.campaigns
        everybody = replace(campaign, emails=unplanned.emails({campaign_id: None})[campaign_id])
        slots, of_all = (list(planner.plan([it], seen.mailboxes, seen.taken, seen.now)) for it in (campaign, everybody))
        assert len(campaign.emails) == most
        assert slots == of_all
        assert 0 < len(slots) < most

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
    """An order is obeyed from now on: a place that could stay is not kept."""

    def test_made_faster_the_pending_mails_go_at_the_new_pace_from_now_with_the_reason(self) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], leads=20, delay=3600)
        plan_new()
        ids, asked_at = [row.id for row in Q.select().order_by(Q.scheduled_at)], make.now()

        campaigns.edit(campaign_id, "tests", campaigns.Edit(delay_seconds=60.0))
        replan()

        rows = list(Q.select().order_by(Q.scheduled_at))
        assert [row.id for row in rows] == ids
        assert asked_at <= rows[0].scheduled_at < asked_at + timedelta(minutes=5)
        assert all(48 <= gap <= 72.001 for gap in gaps(campaign_id))
        assert replans() == ["edited"] * 20

    def test_made_slower_likewise(self) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()], leads=5, delay=60)
        plan_new()

        campaigns.edit(campaign_id, "tests", campaigns.Edit(delay_seconds=600.0))
        replan()

        assert all(480 <= gap <= 720.001 for gap in gaps(campaign_id))

    def test_a_larger_limit_is_used_from_today_on(self) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()], leads=20, delay=0.01, limit=2)
        plan_new()
        assert Q.select().count() < 20

        campaigns.edit(campaign_id, "tests", campaigns.Edit(daily_limit=20))
        replan()
        plan_new()

        at = [row.scheduled_at for row in Q.select()]
        assert len(at) == 20
        assert max(at) - min(at) <= timedelta(minutes=1)

    def test_a_smaller_limit_keeps_to_itself(self) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], leads=10, delay=1)
        make.planned(campaign_id, mailbox_id, *[make.now() + timedelta(days=1, minutes=it) for it in range(10)])

        campaigns.edit(campaign_id, "tests", campaigns.Edit(daily_limit=4))
        replan()

        assert max(Counter(warsaw_day(row.scheduled_at) for row in Q.select()).values()) <= 4
        assert replans() == ["edited"] * 10

    def test_a_day_more_in_the_week_is_used_when_it_is_today(self) -> None:
        later = {(make.now().astimezone(WARSAW).weekday() + days) % 7 for days in (3, 4)}
        campaign_id = make.a_campaign([make.a_mailbox()], leads=3, window=Window(0, 1440, frozenset(later)))
        plan_new()
        before, asked_at = min(row.scheduled_at for row in Q.select()), make.now()

        campaigns.edit(campaign_id, "tests", campaigns.Edit(weekdays=list(range(7))))
        replan()

        first = min(row.scheduled_at for row in Q.select())
        assert asked_at <= first < asked_at + timedelta(minutes=5) < before

    @pytest.mark.parametrize("fresh", [{"gap_seconds": 10.0}, {"daily_limit": 1000}])
    def test_a_mailboxs_gap_or_limit_made_wider_is_used_by_its_campaigns(self, fresh: dict[str, Any]) -> None:
        mailbox_id = make.a_mailbox(gap_seconds=600.0, daily_limit=3)
        make.a_campaign([mailbox_id], leads=3, delay=1)
        plan_new()
        before = max(row.scheduled_at for row in Q.select())

        mailboxes.edit(mailbox_id, "tests", mailboxes.Edit(**{"gap_seconds": 1.0} | fresh))
        replan()

        assert max(row.scheduled_at for row in Q.select()) < before
        assert set(replans()) == {"edited"}

    @pytest.mark.parametrize("fresh", [{"name": "Ola K."}, {"password_encrypted": "token"}, {"daily_limit": 1000}])
    def test_of_a_mailbox_what_does_not_change_its_pace_moves_nothing(self, fresh: dict[str, Any]) -> None:
        mailbox_id = make.a_mailbox()
        make.a_campaign([mailbox_id], leads=3)
        plan_new()

        mailboxes.edit(mailbox_id, "tests", mailboxes.Edit(**fresh))
        replan()

        assert replans() == []

    def test_the_same_settings_again_move_nothing(self) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()], leads=3, delay=60)
        plan_new()

        campaigns.edit(campaign_id, "tests", campaigns.Edit(delay_seconds=60.0))
        replan()

        assert replans() == []

    def test_what_is_being_sent_is_left_alone(self) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()], leads=2, delay=3600)
        plan_new()
        sending, pending = (row.id for row in Q.select().order_by(Q.scheduled_at))
        make.claimed(sending)
        before = make.row(sending).scheduled_at

        campaigns.edit(campaign_id, "tests", campaigns.Edit(delay_seconds=60.0))
        replan()

        assert make.row(sending).scheduled_at == before
        started = Campaign.get_by_id(campaign_id).last_start_at
        assert timedelta(seconds=48) <= make.row(pending).scheduled_at - started <= timedelta(seconds=73)

    def test_another_attempt_keeps_its_own_time_and_the_others_do_not_wait_for_it(self) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], leads=3, delay=3600)
        far = [make.now() + timedelta(hours=hours) for hours in (1, 2, 3)]
        first, deferred, last = make.planned(campaign_id, mailbox_id, *far)
        Q.update(attempts=1).where(Q.id == deferred).execute()

        campaigns.edit(campaign_id, "tests", campaigns.Edit(delay_seconds=60.0))
        replan()

        assert make.row(deferred).scheduled_at == far[1]
        assert make.row(first).scheduled_at < make.row(last).scheduled_at < make.now() + timedelta(minutes=5)

    def test_what_was_tried_while_it_was_planned_waits_for_its_own_time(self) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], delay=0.01)
        [email_id] = make.planned(campaign_id, mailbox_id, make.now())
        seen = plans.situation([campaign_id], again=True, orders={campaign_id: "edited"})
        slots = list(planner.plan(seen.campaigns, seen.mailboxes, seen.taken, seen.now))
        later = make.now() + timedelta(hours=1)
        moves.retry(make.claimed(email_id).held, later, make.later(451))

        written = plans.write(campaign_id, slots, seen, "tests", "edited")

        assert written == 0
        assert make.row(email_id).scheduled_at == later

    def test_one_that_no_mailbox_can_send_now_is_obeyed_once_one_can(self) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], leads=2, delay=3600)
        plan_new()
        mailboxes.pause(mailbox_id, "tests")
        campaigns.edit(campaign_id, "tests", campaigns.Edit(delay_seconds=60.0))
        replan()

        mailboxes.resume(mailbox_id, "tests")
        replan()

        assert replans() == ["edited"] * 2


class TestWhatAnOrderWouldMove:
    def test_is_told_before_it_is_given_and_then_happens(self) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()], leads=5, delay=3600)
        plan_new()
        before = [row.scheduled_at for row in Q.select().order_by(Q.scheduled_at)]
        order = partial(campaigns.edit, campaign_id, "tests", campaigns.Edit(delay_seconds=60.0))

        [shift] = preview.of(order, [campaign_id])

        assert (Campaign.get_by_id(campaign_id).delay_seconds, replans()) == (3600, [])
        order()
        replan()
        after = [row.scheduled_at for row in Q.select().order_by(Q.scheduled_at)]
        assert (shift.moved, shift.first_before, shift.last_before) == (len(replans()), before[0], before[-1])
        assert shift.last_after - shift.first_after == after[-1] - after[0]
        assert shift.first_after <= after[0]

    def test_of_a_mailbox_is_told_for_each_campaign(self) -> None:
        mailbox_id = make.a_mailbox(gap_seconds=600.0)
        ids = [make.a_campaign([mailbox_id], leads=3, delay=1) for _ in range(2)]
        plan_new()

        found = preview.of(partial(mailboxes.edit, mailbox_id, "tests", mailboxes.Edit(gap_seconds=1.0)), ids)

        assert [it.campaign_id for it in found] == ids
        assert all(it.last_after < it.last_before for it in found)

    @pytest.mark.parametrize("active", [True, False])
    def test_is_nothing_where_nothing_is_planned(self, active: bool) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()], leads=3, active=active)

        assert (
            preview.of(partial(campaigns.edit, campaign_id, "tests", campaigns.Edit(delay_seconds=1.0)), [campaign_id])
            == []
        )

    def test_that_is_refused_is_refused(self) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()])
        campaigns.cancel(campaign_id, "tests")

        with pytest.raises(campaigns.CampaignInvalid):
            preview.of(partial(campaigns.edit, campaign_id, "tests", campaigns.Edit(delay_seconds=1.0)), [campaign_id])


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

    def test_a_resume_keeps_the_order_and_no_place_of_before(self) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], leads=3, delay=60)
        far = [make.now() + timedelta(hours=hours) for hours in (5, 6, 7)]
        ids = make.planned(campaign_id, mailbox_id, *far)
        campaigns.pause(campaign_id, "tests")

        campaigns.resume(campaign_id, "tests")
        replan()

        assert [row.id for row in Q.select().order_by(Q.scheduled_at)] == ids
        assert all(48 <= gap <= 72.001 for gap in gaps(campaign_id))
        assert make.row(ids[0]).scheduled_at < make.now() + timedelta(minutes=5)

    def test_cancelling_cancels_what_is_pending_and_leaves_what_was_sent(self) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], leads=2)
        sent, pending = make.planned(campaign_id, mailbox_id, make.now(), make.now() + timedelta(minutes=5))
        moves.accept(make.handed_over(sent).held, make.YES)

        count = campaigns.cancel(campaign_id, "tests")

        assert count == 1
        assert make.row(sent).status == Status.SENT
        assert make.row(pending).status == Status.CANCELLED
        assert history.of_email(pending)[-1].reason == "the campaign was cancelled"

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

        moment = refusals.retry_moment(claim.held.email_id, not_before)

        assert moment == make.row(later).scheduled_at + timedelta(seconds=60)


class TestLeadsThatMayNotBeWrittenTo:
    LEADS = [f"s{number}@leads.example" for number in range(10)]

    def test_take_no_place_in_a_forecast_or_a_plan(self) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()], self.LEADS, delay=0.01, limit=2, active=False)
        for address in self.LEADS[:8]:
            suppressions.add(address, "she asked us to", "tests")

        assert [slot.lead_id for slot in forecast(campaign_id)] == lead_ids(self.LEADS[8:])
        campaigns.start(campaign_id, "tests")
        plan_new()

        assert [row.campaign_lead_id for row in Q.select().order_by(Q.scheduled_at)] == lead_ids(self.LEADS[8:])
        assert gaps(campaign_id)[0] < 60

    def test_without_a_basis_are_such_leads_where_one_is_required(self, settings: Override) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()], self.LEADS)
        Lead.update(legal_basis="consent").where(Lead.address == self.LEADS[3]).execute()
        Lead.update(legal_basis="").where(Lead.address == self.LEADS[4]).execute()
        settings(SENDING_REQUIRE_LEGAL_BASIS="true")

        assert [slot.lead_id for slot in forecast(campaign_id)] == lead_ids(self.LEADS[3:4])

    def test_suppressed_after_the_start_are_cancelled_with_the_reason_and_those_behind_stay(self) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()], self.LEADS[:3])
        plan_new()
        first, second, third = Q.select().order_by(Q.scheduled_at)

        suppressions.add(self.LEADS[1], "she asked us to", "ola")
        replan()

        row = make.row(second.id)
        assert (row.status, row.error) == (Status.CANCELLED, "suppressed: she asked us to")
        assert history.of_email(second.id)[-1].by == "ola"
        assert [make.row(it.id).scheduled_at for it in (first, third)] == [first.scheduled_at, third.scheduled_at]
        assert (campaign_id, second.scheduled_at) not in {(it.campaign_id, it.at) for it in plans.situation().taken}

    def test_by_a_rule_that_came_later_are_cancelled_by_the_tick(self, settings: Override) -> None:
        email_id = make.an_email(make.now() + timedelta(hours=5))
        paused = make.an_email(make.now() + timedelta(hours=5))
        campaigns.pause(make.row(paused).campaign_id, "tests")
        draft_like = make.an_email()
        Lead.update(legal_basis="consent").where(Lead.id == lead_of(draft_like)).execute()
        settings(SENDING_REQUIRE_LEGAL_BASIS="true")

        replan()

        assert [make.row(it).status for it in (email_id, paused)] == [Status.CANCELLED] * 2
        assert make.row(email_id).error == "no legal basis is recorded for this lead"
        assert make.row(draft_like).status == Status.PENDING

    def test_an_overdue_one_at_the_head_does_not_keep_the_others_from_being_planned_again(self) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], self.LEADS[:2])
        first, second = make.planned(campaign_id, mailbox_id, *[make.now() - timedelta(hours=2)] * 2)
        database.execute("INSERT INTO suppression (address, reason) VALUES (%s, 'by hand')", (self.LEADS[0],))

        replan()

        assert make.row(first).status == Status.CANCELLED
        assert make.row(second).scheduled_at > make.now() - timedelta(minutes=1)

    def test_do_not_keep_a_campaign_open(self) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], self.LEADS[:3])
        suppressions.add(self.LEADS[0], "she asked us to", "tests")
        plan_new()
        assert campaigns.complete_finished("tests") == []
        for row in list(Q.select()):
            moves.cancel(row.id, "a test", "tests")

        assert str(overview.standing(campaigns.get(campaign_id))) == (
            "waiting: none of the remaining leads may be written to"
        )
        assert campaigns.complete_finished("tests") == [campaign_id]
        assert changes.of_campaign(campaign_id)[0].values["leads_left_out"] == [0, 1]
        assert str(overview.standing(campaigns.get(campaign_id))) == (
            "the campaign is completed; leads that must not be written to: 1"
        )
        assert all(it.holds for it in invariants.check())

    def test_a_suppression_that_ends_after_the_campaign_leaves_it_complete(self) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()], self.LEADS[:1])
        suppressions.add(self.LEADS[0], "she asked us to", "tests")
        assert campaigns.complete_finished("tests") == [campaign_id]

        suppressions.remove(self.LEADS[0], "tests")

        assert all(it.holds for it in invariants.check())

    def test_are_planned_once_they_may_be_written_to_while_the_campaign_is_active(self) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], self.LEADS[:3])
        suppressions.add(self.LEADS[0], "she asked us to", "tests")
        plan_new()
        assert Q.select().count() == 2

        suppressions.remove(self.LEADS[0], "tests")
        plan_new()

        assert sorted(row.campaign_lead_id for row in Q.select()) == lead_ids(self.LEADS[:3])
        assert unplanned.emails({campaign_id: None}) == {}

    def test_alone_make_a_campaign_that_ends_at_once(self) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()], self.LEADS)
        for address in self.LEADS:
            suppressions.add(address, "she asked us to", "tests")
        plan_new()

        assert Q.select().count() == 0
        assert campaigns.complete_finished("tests") == [campaign_id]


def lead_ids(addresses: Sequence[str]) -> list[int]:
    return [
        row.id for row in CampaignLead.select().where(CampaignLead.address.in_(addresses)).order_by(CampaignLead.id)
    ]


def lead_of(email_id: int) -> int:
    return CampaignLead.get_by_id(make.row(email_id).campaign_lead_id).lead_id


class TestCompletion:
    def test_a_campaign_is_complete_when_every_lead_has_a_final_row(self) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], leads=2)
        [first] = make.planned(campaign_id, mailbox_id, make.now())
        moves.accept(make.handed_over(first).held, make.YES)

        assert campaigns.complete_finished("tests") == []

        [second] = make.planned(campaign_id, mailbox_id, make.now())
        moves.cancel(second, "a test", "tests")

        assert campaigns.complete_finished("tests") == [campaign_id]

    def test_an_unknown_keeps_it_open(self) -> None:
        make.in_status(Status.UNKNOWN)

        assert campaigns.complete_finished("tests") == []
