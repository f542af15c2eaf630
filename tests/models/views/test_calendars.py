"""A campaign's calendar: what is then planned, mail for mail, and what makes it as long as it is."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from actors import plan as planning
from models.owner import campaigns, mailboxes
from models.owner.mailboxes import Ramp
from models.people import suppressions
from models.store.tables import Campaign, CampaignEmailQueue, CampaignLead, Mailbox
from models.views import calendars
from models.views.calendars import Calendar
from reasons import Code, Reason
from scheduling.holidays import is_holiday
from scheduling.window import Window, warsaw_day
from tests import factories as make
from tests.conftest import Override

pytestmark = pytest.mark.usefixtures("db")
Q = CampaignEmailQueue


@pytest.fixture(autouse=True)
def far_ahead(settings: Override) -> None:
    settings(PLANNING_HORIZON_HOURS=24 * 60)


def not_today() -> Window:
    """Open on all other days, so that no test depends on the time of day."""
    today = warsaw_day(make.now()).weekday()
    return Window(540, 1020, frozenset(range(7)) - {today})


def a_draft(boxes: list[int], leads: int, **changes: Any) -> Campaign:
    values: dict[str, Any] = {"window": not_today(), "delay": 600.0, "limit": 20, "active": False}
    return Campaign.get_by_id(make.a_campaign(boxes, leads=leads, **values | changes))


def plan_everything() -> None:
    """All rounds of the tick until nothing is left to plan."""
    count = -1
    while count != (count := Q.select().where(Q.status == "pending").count()):
        planning.replan()
        planning.plan_new()


def planned(campaign_id: int) -> list[tuple[datetime, int, int]]:
    rows = Q.select().where(Q.campaign == campaign_id, Q.status == "pending").order_by(Q.scheduled_at)
    return [(it.scheduled_at, it.campaign_lead_id, it.mailbox_id) for it in rows]


def foreseen(found: Calendar) -> list[tuple[datetime, int, int]]:
    return [(it.at, it.campaign_lead_id, it.mailbox_id) for it in found.entries]


def sent_at_its_time(campaign_id: int, at: datetime, campaign_lead_id: int, mailbox_id: int) -> None:
    """However far ahead that is: the clock cannot be moved."""
    proof = {"claim_token": uuid4(), "claimed_at": at, "handed_over_at": at, "sent_at": at, "looked_at": at}
    its = (Q.campaign == campaign_id, Q.campaign_lead == campaign_lead_id, Q.scheduled_at == at)
    assert Q.update(status="sent", **proof).where(*its).execute() == 1


def of(row: Campaign, most: int | None = None) -> Calendar:
    return calendars.of(Campaign.get_by_id(row.id), most)


class TestWhatItForesees:
    @pytest.mark.parametrize(
        ("boxes", "changes"),
        [
            ([{"daily_limit": 7}, {"daily_limit": 5}], {}),
            ([{"daily_limit": 1000}], {"limit": 13}),
            ([{"daily_limit": 1000}], {"limit": 1000, "delay": 3000.0}),
            ([{"daily_limit": 30, "gap_seconds": 1700.0}], {"delay": 60.0}),
        ],
        ids=["mailboxes", "limit", "window", "gap"],
    )
    def test_of_a_draft_is_what_is_planned_when_it_has_started(
        self, boxes: list[Mapping[str, Any]], changes: Mapping[str, Any]
    ) -> None:
        row = a_draft([make.a_mailbox(**it) for it in boxes], 50, **changes)
        suppressions.add(CampaignLead.get().lead.address, "she asked us to", "tests")

        before = of(row)
        campaigns.start(row.id, "tests")
        plan_everything()

        assert len(before.entries) == 49
        assert planned(row.id) == foreseen(before)

    def test_is_what_is_planned_over_a_holiday_a_ramp_and_its_providers_limit(self, settings: Override) -> None:
        settings(PLANNING_HORIZON_HOURS=24 * 366)
        today = warsaw_day(make.now())
        days = [today + timedelta(days=number) for number in range(2, 366)]
        holiday = next(day for day in days if is_holiday(day) and not is_holiday(day - timedelta(days=1)))
        box = make.a_mailbox(smtp_host="ssl0.ovh.net", ramp=Ramp(120, 120, today))
        mailboxes.freeze(box, today, holiday - timedelta(days=2), "tests")
        open_daily = Window(540, 1020, frozenset(range(7)), on_holidays=False)
        row = a_draft([box], 450, window=open_daily, delay=1.0, limit=1000)

        before = of(row)
        campaigns.start(row.id, "tests")
        plan_everything()

        assert planned(row.id) == foreseen(before)
        per_day = {day: sum(boxes.values()) for day, boxes in before.days.items()}
        assert holiday not in per_day
        assert next(iter(per_day)) == holiday - timedelta(days=1)
        assert list(per_day.values())[:2] == [120, 240]
        times = [it.at for it in before.entries]
        assert min(later - at for at, later in zip(times, times[200:], strict=False)) >= timedelta(hours=1)

    def test_of_a_sequence_is_what_is_planned_as_its_mails_are_sent_over_a_holiday_a_ramp_and_its_providers_limit(
        self, settings: Override
    ) -> None:
        settings(PLANNING_HORIZON_HOURS=24 * 366)
        today = warsaw_day(make.now())
        days = [today + timedelta(days=number) for number in range(2, 366)]
        holiday = next(day for day in days if is_holiday(day) and not is_holiday(day - timedelta(days=1)))
        box = make.a_mailbox(smtp_host="smtp.office365.com", ramp=Ramp(33, 10, today))
        mailboxes.freeze(box, today, holiday - timedelta(days=2), "tests")
        open_daily = Window(540, 1020, frozenset(range(7)), on_holidays=False)
        sequence = {"follow_ups": ["1 day", "2 days"], "follow_up_without_inbox": True, "follow_up_share": 4}
        row = a_draft([box], 36, window=open_daily, delay=1.0, limit=1000, **sequence)

        before = of(row)
        campaigns.start(row.id, "tests")
        plan_everything()
        went = []
        while waiting := planned(row.id):
            went.append(waiting[0])
            sent_at_its_time(row.id, *waiting[0])
            planning.plan_follow_ups()

        assert went == foreseen(before)
        assert (len(went), before.follow_ups.total()) == (36 * 3, 36 * 2)
        assert holiday not in before.days
        times = [it.at for it in before.entries]
        assert min(later - at for at, later in zip(times, times[30:], strict=False)) >= timedelta(minutes=1)

    def test_leaves_room_for_the_mails_that_another_campaign_has_still_to_plan(self, settings: Override) -> None:
        box = make.a_mailbox(daily_limit=10)
        settings(PLANNING_HORIZON_HOURS=1)
        other = a_draft([box], 60)
        campaigns.start(other.id, "tests")
        planning.plan_new()
        row = a_draft([box], 20)

        before = of(row)
        settings(PLANNING_HORIZON_HOURS=24 * 60)
        campaigns.start(row.id, "tests")
        plan_everything()

        assert {day: sum(boxes.values()) for day, boxes in before.days.items()} == {
            day: sum(boxes.values()) for day, boxes in of(row).days.items()
        }
        assert max(sum(boxes.values()) for boxes in before.days.values()) == 5

    def test_keeps_the_times_of_mails_that_are_planned_and_plans_the_rest_behind_them(self, settings: Override) -> None:
        settings(PLANNING_HORIZON_HOURS=1)
        row = a_draft([make.a_mailbox(daily_limit=8)], 30)
        campaigns.start(row.id, "tests")
        planning.plan_new()
        already = planned(row.id)

        before = of(row)
        settings(PLANNING_HORIZON_HOURS=24 * 60)
        plan_everything()

        assert 0 < len(already) < 30
        assert foreseen(before)[: len(already)] == already
        assert [it.email_id is not None for it in before.entries] == [True] * len(already) + [False] * (
            30 - len(already)
        )
        assert planned(row.id) == foreseen(before)

    def test_of_a_paused_one_is_what_is_planned_when_it_is_resumed(self) -> None:
        row = a_draft([make.a_mailbox(daily_limit=8)], 30)
        campaigns.start(row.id, "tests")
        make.planned(row.id, 1, *[make.now() + timedelta(days=30, minutes=it) for it in range(5)])
        campaigns.pause(row.id, "tests")

        before = of(row)
        campaigns.resume(row.id, "tests")
        plan_everything()

        assert len(before.entries) == 30
        assert planned(row.id) == foreseen(before)

    def test_of_one_that_was_changed_is_what_is_planned_for_the_change(self) -> None:
        row = a_draft([make.a_mailbox(daily_limit=8)], 10)
        campaigns.start(row.id, "tests")
        plan_everything()
        campaigns.edit(row.id, "tests", campaigns.Edit(daily_limit=3))

        before = of(row)
        plan_everything()

        assert planned(row.id) == foreseen(before)
        assert len(before.days) == 4

    def test_is_bounded_where_that_is_asked(self) -> None:
        found = of(a_draft([make.a_mailbox()], 12), most=5)

        assert (len(found.entries), found.goes_on, found.nowhere) == (5, True, None)

    def test_of_an_ended_one_is_empty(self) -> None:
        row = a_draft([make.a_mailbox()], 3)
        campaigns.cancel(row.id, "tests")

        assert of(row).entries == []


class TestWhatHoldsIt:
    @pytest.mark.parametrize(
        ("box", "changes", "held", "said"),
        [
            ({"daily_limit": 70}, {"limit": 13}, Code.HELD_BY_DAILY_LIMIT, "daily_limit 13, its mailboxes allow 70"),
            ({"daily_limit": 9}, {"limit": 40}, Code.HELD_BY_MAILBOXES, "limits of 9 in all, daily_limit is 40"),
            ({}, {"limit": 900, "delay": 3000.0}, Code.HELD_BY_WINDOW, "about 9 a day; daily_limit is 900"),
            ({"gap_seconds": 1700.0}, {"limit": 900, "delay": 1.0}, Code.HELD_BY_WINDOW, ""),
            ({}, {"limit": 900, "delay": 60.0}, Code.HELD_BY_DELAY, "its delay"),
            ({"gap_seconds": 300.0}, {"limit": 900, "delay": 1.0}, Code.HELD_BY_GAP, "the gap"),
        ],
        ids=["daily limit", "mailboxes", "window", "window by the gap", "delay", "gap"],
    )
    def test_is_the_rule_that_put_its_mails_off(
        self, box: Mapping[str, Any], changes: Mapping[str, Any], held: Code, said: str
    ) -> None:
        row = a_draft([make.a_mailbox(**box)], 30, **changes)

        before = of(row)
        campaigns.start(row.id, "tests")
        plan_everything()
        after = of(row)

        assert before.held_by is not None
        assert before.held_by.code == held
        assert said in str(before.held_by)
        if len(before.days) > 1:
            # Also of mails that are planned already.
            assert after.held_by == before.held_by

    def test_is_a_ramp_that_keeps_its_mailbox_below_its_limit(self) -> None:
        box = make.a_mailbox(daily_limit=40, ramp=Ramp(3, 2, warsaw_day(make.now())))

        found = of(a_draft([box], 8, limit=80)).held_by

        assert str(found) == "held by its mailboxes' ramps: 3 a day now, 40 at their end"

    def test_may_be_another_campaign(self) -> None:
        box = make.a_mailbox(daily_limit=10)
        campaigns.start(a_draft([box], 100).id, "tests")

        held = of(a_draft([box], 30)).held_by

        assert held is not None
        assert held.code == Code.HELD_BY_SHARE

    def test_is_nothing_where_one_mail_goes(self) -> None:
        assert of(a_draft([make.a_mailbox()], 1)).held_by is None

    def test_is_why_none_goes_at_all(self) -> None:
        box = make.a_mailbox()
        mailboxes.pause(box, "tests")

        found = of(a_draft([box], 3))

        assert (found.entries, str(found.nowhere)) == ([], "all its mailboxes are paused")

    @pytest.mark.parametrize(
        ("change", "because"),
        [({"status": "paused"}, Code.MAILBOXES_PAUSED), ({"daily_limit": 0}, Code.LIMITS_0)],
    )
    def test_is_why_none_of_those_that_are_planned_goes_either(self, change: dict[str, Any], because: Code) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], leads=2)
        make.planned(campaign_id, mailbox_id, make.now(), make.now() + timedelta(minutes=1))
        Mailbox.update(**change).execute()

        found = calendars.of(campaigns.get(campaign_id))

        assert (found.entries, found.nowhere) == ([], Reason(because))


class TestLeadsThatAreLeftOut:
    def test_are_told_with_why(self, settings: Override) -> None:
        row = a_draft([make.a_mailbox()], 3)
        first, second, third = (it.address for it in CampaignLead.select().order_by(CampaignLead.position))
        suppressions.add(second, "she asked us to", "tests")

        found = of(row)

        assert [(it.address, str(it.why)) for it in found.left_out] == [(second, "suppressed: she asked us to")]
        assert found.left_out_count == 1
        assert {it.campaign_lead_id for it in found.entries} == {
            it.id for it in CampaignLead.select() if it.address in (first, third)
        }

    def test_are_all_those_without_a_legal_basis_where_it_is_required(self, settings: Override) -> None:
        settings(SENDING_REQUIRE_LEGAL_BASIS="true")

        found = of(a_draft([make.a_mailbox()], 30))

        assert (found.entries, found.left_out_count, len(found.left_out)) == ([], 30, 20)
        assert "no legal basis" in str(found.left_out[0].why)

    def test_are_those_whose_mail_was_cancelled_too(self) -> None:
        row = a_draft([make.a_mailbox()], 3)
        campaigns.start(row.id, "tests")
        plan_everything()
        suppressions.add(CampaignLead.get().address, "she asked us to", "tests")

        found = of(row)

        assert [str(it.why) for it in found.left_out] == ["suppressed: she asked us to"]
        assert len(found.entries) == 2

    def test_are_those_whose_mail_the_next_tick_cancels_too(self, settings: Override) -> None:
        row = a_draft([make.a_mailbox()], 3)
        campaigns.start(row.id, "tests")
        plan_everything()
        settings(SENDING_REQUIRE_LEGAL_BASIS="true")

        found = of(row)

        assert (found.entries, found.left_out_count) == ([], 3)


def test_campaigns_beside_it_are_played_to_a_bound_however_many_there_are() -> None:
    assert calendars._most(1, [1, 2, 3], None) == {1: None, 2: 50_000, 3: 50_000}
    assert calendars._most(1, [1, 2, 3], 10) == {1: 11, 2: 10, 3: 10}
    assert calendars._most(1, [1], 10) == {1: 11}
    assert calendars._most(1, list(range(1, 1002)), 10)[2] == 1
