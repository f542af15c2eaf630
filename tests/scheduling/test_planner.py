"""The rules that every plan keeps, whatever the campaigns and mailboxes."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import islice, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduling.planner import (
    Bound,
    Campaign,
    Ceiling,
    CurrentSlot,
    Email,
    FollowUp,
    Mailbox,
    PlanInputInvalid,
    Slot,
    Step,
    Taken,
    Unplannable,
    follow,
    horizon,
    interval,
    jitter,
    plan,
    retry_moment,
)
from scheduling.providers import Limit
from scheduling.waits import parsed
from scheduling.window import WARSAW, Window, warsaw_day

ALWAYS = Window(0, 1440, frozenset(range(7)))
OFFICE = Window(9 * 60, 17 * 60, frozenset(range(5)))
NIGHT = Window(1 * 60 + 30, 3 * 60 + 30, frozenset(range(7)))
TUESDAY = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

World = tuple[list[Campaign], list[Mailbox], list[Taken], datetime]


def mailbox(id: int = 1, limit: int = 1000, gap: float = 0, **changes: Any) -> Mailbox:
    return replace(Mailbox(id, limit, timedelta(seconds=gap), {}, None), **changes)


def campaign(id: int = 1, emails: int | Sequence[Email] = 10, **changes: Any) -> Campaign:
    each = [Email(id * 1000 + number, id) for number in range(emails)] if isinstance(emails, int) else emails
    it = Campaign(id, ALWAYS, MINUTE, 1000, (1,), {}, None, each, None)
    return replace(it, **changes)


def run(
    campaigns: Sequence[Campaign], mailboxes: Sequence[Mailbox], taken: Sequence[Taken] = (), now: datetime = TUESDAY
) -> list[Slot]:
    return list(islice(plan(campaigns, mailboxes, taken, now), 100_000))


def seconds(slots: Sequence[Slot]) -> list[float]:
    return [(later.at - earlier.at).total_seconds() for earlier, later in pairwise(slots)]


nows = st.sampled_from(
    [
        TUESDAY,
        datetime(2026, 3, 28, 22, 30, tzinfo=UTC),
        datetime(2026, 10, 24, 23, 30, tzinfo=UTC),
        datetime(2026, 12, 31, 15, 55, tzinfo=UTC),
        datetime(2026, 11, 27, 15, 59, 30, tzinfo=UTC),
    ]
)
days_used = st.integers(0, 5)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    now = draw(nows)
    today = warsaw_day(now)
    boxes = [
        mailbox(
            number,
            limit=draw(st.integers(0, 15)),
            gap=draw(st.sampled_from([0, 20, 300])),
            used={today: draw(days_used)},
            last_start=draw(st.sampled_from([None, now, now - MINUTE])),
            open_from=draw(st.sampled_from([None, now + timedelta(hours=3)])),
        )
        for number in range(1, draw(st.integers(2, 4)))
    ]
    everyone = tuple(box.id for box in boxes)
    campaigns = [
        campaign(
            number,
            emails=draw(st.integers(0, 25)),
            window=draw(st.sampled_from([ALWAYS, OFFICE, NIGHT])),
            delay=timedelta(seconds=draw(st.sampled_from([1, 30, 60, 600]))),
            daily_limit=draw(st.integers(1, 12)),
            mailbox_ids=everyone[: draw(st.integers(1, len(everyone)))],
            used={today: draw(days_used)},
            last_start=draw(st.sampled_from([None, now - timedelta(seconds=10)])),
            until=draw(st.sampled_from([None, now + timedelta(hours=30)])),
        )
        for number in range(1, draw(st.integers(2, 4)))
    ]
    offsets = draw(st.lists(st.integers(1, 200), max_size=4, unique=True))
    taken = [Taken(99, 1, now + offset * timedelta(minutes=7)) for offset in offsets]
    return campaigns, boxes, taken, now


class TestEveryPlan:
    @given(worlds())
    def test_keeps_windows_and_weekdays_and_never_goes_back_in_time(self, world: World) -> None:
        campaigns, boxes, taken, now = world
        window = {it.id: it.window for it in campaigns}

        slots = run(campaigns, boxes, taken, now)

        assert all(window[slot.campaign_id].is_open(slot.at) for slot in slots)
        assert all(slot.at >= now for slot in slots)
        assert [slot.at for slot in slots] == sorted(slot.at for slot in slots)
        assert all(slot.at.microsecond % 1000 == 0 for slot in slots)

    @given(worlds())
    def test_keeps_both_daily_limits(self, world: World) -> None:
        campaigns, boxes, taken, now = world

        slots = run(campaigns, boxes, taken, now)

        per_campaign = Counter((slot.campaign_id, warsaw_day(slot.at)) for slot in slots)
        per_box = Counter((slot.mailbox_id, warsaw_day(slot.at)) for slot in slots)
        planned_before = Counter((each.mailbox_id, warsaw_day(each.at)) for each in taken)
        for it in campaigns:
            for day in {day for id, day in per_campaign if id == it.id}:
                assert it.used.get(day, 0) + per_campaign[it.id, day] <= it.daily_limit
        for box in boxes:
            for day in {day for id, day in per_box if id == box.id}:
                assert box.used.get(day, 0) + planned_before[box.id, day] + per_box[box.id, day] <= box.daily_limit

    @given(worlds())
    def test_keeps_each_mailboxes_gap_also_to_what_is_taken_and_what_was_started(self, world: World) -> None:
        campaigns, boxes, taken, now = world

        slots = run(campaigns, boxes, taken, now)

        for box in boxes:
            ours = {slot.at for slot in slots if slot.mailbox_id == box.id}
            fixed = [each.at for each in taken if each.mailbox_id == box.id]
            started = [box.last_start] if box.last_start else []
            every = sorted([*(slot.at for slot in slots if slot.mailbox_id == box.id), *fixed, *started])
            assert all(
                later - earlier >= box.gap for earlier, later in pairwise(every) if earlier in ours or later in ours
            )
            assert all(at >= (box.open_from or now) for at in ours)

    @given(worlds())
    def test_keeps_the_order_of_leads_and_the_least_pace(self, world: World) -> None:
        campaigns, boxes, taken, now = world

        slots = run(campaigns, boxes, taken, now)

        for it in campaigns:
            own = [slot for slot in slots if slot.campaign_id == it.id]
            assert [slot.lead_id for slot in own] == [email.lead_id for email in it.emails[: len(own)]]
            starts = [at for at in (it.last_start, *(slot.at for slot in own)) if at is not None]
            assert all(later - earlier >= it.delay * 0.8 for earlier, later in pairwise(starts))
            assert it.until is None or all(slot.at < it.until for slot in own)

    @given(worlds())
    def test_is_the_same_for_the_same_arguments(self, world: World) -> None:
        campaigns, boxes, taken, now = world

        assert run(campaigns, boxes, taken, now) == run(campaigns, boxes, taken, now)

    @given(worlds())
    def test_run_to_the_end_places_every_lead_that_some_mailbox_has_room_for(self, world: World) -> None:
        campaigns, boxes, taken, now = world
        limits = {box.id: box.daily_limit for box in boxes}
        endless = [replace(it, until=None) for it in campaigns]

        placed = Counter(slot.campaign_id for slot in run(endless, boxes, taken, now))

        for it in endless:
            possible = any(limits[id] > 0 for id in it.mailbox_ids)
            assert placed[it.id] == (len(it.emails) if possible else 0)


class TestThePace:
    def test_alone_it_is_the_delay_within_a_fifth_and_not_the_same_each_time(self) -> None:
        gaps = seconds(run([campaign(emails=200)], [mailbox()]))

        assert all(48 <= gap <= 72.001 for gap in gaps)
        assert len(set(gaps)) > 150

    def test_a_mail_always_varies_by_the_same_part(self) -> None:
        assert jitter(1, Email(2, 3)) == jitter(1, Email(2, 3, CurrentSlot(1, TUESDAY)))
        assert len({jitter(*each) for each in [(1, Email(2, 3)), (2, Email(1, 3)), (1, Email(2, 4))]}) == 3
        assert all(0.8 <= jitter(1, Email(lead, 1)) <= 1.2 for lead in range(1000))

    def test_each_email_of_a_lead_is_placed_by_itself_and_in_its_turn(self) -> None:
        emails = [Email(7, 1), Email(8, 1), Email(7, 2)]

        slots = run([campaign(emails=emails)], [mailbox()])

        assert [(slot.lead_id, slot.step_id) for slot in slots] == [(7, 1), (8, 1), (7, 2)]
        assert all(48 <= gap <= 72.001 for gap in seconds(slots))

    def test_it_goes_on_from_the_campaigns_last_start(self) -> None:
        [first, *_] = run([campaign(last_start=TUESDAY - timedelta(seconds=10))], [mailbox()])

        assert timedelta(seconds=38) <= first.at - TUESDAY <= timedelta(seconds=63)

    def test_it_goes_on_from_what_is_planned_already(self) -> None:
        taken = [Taken(1, 1, TUESDAY + timedelta(hours=1))]

        [first, *_] = run([campaign()], [mailbox()], taken)

        assert timedelta(seconds=48) <= first.at - taken[0].at <= timedelta(seconds=72.001)


class TestDays:
    def test_on_friday_evening_monday_is_planned(self) -> None:
        friday = datetime(2026, 11, 27, 18, 0, tzinfo=UTC)
        it = campaign(emails=5, window=OFFICE, until=horizon(OFFICE, friday, timedelta(hours=24)))

        slots = run([it], [mailbox()], now=friday)

        assert {warsaw_day(slot.at) for slot in slots} == {date(2026, 11, 30)}
        assert slots[0].at == datetime(2026, 11, 30, 8, 0, tzinfo=UTC)

    def test_on_a_working_day_the_next_one_is_planned_to_its_end(self) -> None:
        assert horizon(OFFICE, TUESDAY, timedelta(hours=24)) == datetime(2026, 11, 25, 16, 0, tzinfo=UTC)

    def test_at_least_a_day_is_planned(self) -> None:
        assert horizon(NIGHT, TUESDAY, timedelta(hours=24)) == TUESDAY + timedelta(hours=24)

    def test_nothing_is_planned_into_a_windows_last_minute(self) -> None:
        late = datetime(2026, 11, 24, 15, 59, 30, tzinfo=UTC)

        [slot] = run([campaign(emails=1, window=OFFICE)], [mailbox()], now=late)

        assert slot.at == datetime(2026, 11, 25, 8, 0, tzinfo=UTC)

    def test_a_window_around_the_clock_has_no_last_minute(self) -> None:
        late = datetime(2026, 11, 24, 22, 59, 30, tzinfo=UTC)

        [slot] = run([campaign(emails=1)], [mailbox()], now=late)

        assert slot.at == late

    def test_a_limit_is_of_the_warsaw_day(self) -> None:
        before_midnight = datetime(2026, 11, 24, 22, 58, tzinfo=UTC)

        slots = run([campaign(emails=6, daily_limit=2)], [mailbox()], now=before_midnight)

        assert Counter(slot.at.astimezone(WARSAW).day for slot in slots) == {24: 2, 25: 2, 26: 2}


class TestSharingAMailbox:
    def by_campaign_and_day(self, slots: Sequence[Slot]) -> dict[date, dict[int, int]]:
        found: defaultdict[date, Counter[int]] = defaultdict(Counter)
        for slot in slots:
            found[warsaw_day(slot.at)][slot.campaign_id] += 1
        return {day: dict(counts) for day, counts in found.items()}

    def test_equal_wishes_get_equal_parts(self) -> None:
        slots = run([campaign(1, emails=20), campaign(2, emails=20)], [mailbox(limit=10)])

        assert set(map(str, self.by_campaign_and_day(slots).values())) <= {"{1: 5, 2: 5}", "{2: 5, 1: 5}"}

    def test_who_wants_little_gets_it_and_the_rest_is_for_the_other(self) -> None:
        slots = run([campaign(1, emails=20), campaign(2, emails=2)], [mailbox(limit=10)])

        assert self.by_campaign_and_day(slots)[warsaw_day(TUESDAY)] == {1: 8, 2: 2}

    def test_a_fast_campaign_does_not_starve_a_slow_one(self) -> None:
        fast = campaign(1, emails=100, delay=timedelta(seconds=1))
        slow = campaign(2, emails=100, delay=timedelta(minutes=30))

        slots = run([fast, slow], [mailbox(limit=10)])

        assert self.by_campaign_and_day(slots)[warsaw_day(TUESDAY)] == {1: 5, 2: 5}

    def test_alone_a_campaign_may_use_all_of_several_mailboxes(self) -> None:
        it = campaign(emails=40, mailbox_ids=(1, 2), delay=timedelta(seconds=5))

        slots = run([it], [mailbox(1, limit=5), mailbox(2, limit=30)])

        assert self.by_campaign_and_day(slots)[warsaw_day(TUESDAY)] == {1: 35}

    def test_with_one_place_and_two_takers_both_get_their_turn(self) -> None:
        slots = run([campaign(1, emails=10), campaign(2, emails=10)], [mailbox(limit=1)])

        assert {slot.campaign_id for slot in slots[:3]} == {1, 2}

    def test_where_the_gap_leaves_too_few_places_the_campaigns_take_turns(self) -> None:
        slots = run([campaign(1, emails=100), campaign(2, emails=100)], [mailbox(gap=300)])

        assert [slot.campaign_id for slot in slots[:6]] == [1, 2, 1, 2, 1, 2]

    def test_what_one_has_planned_already_stays_and_the_rest_is_shared_by_those_who_come_later(self) -> None:
        taken = [Taken(1, 1, TUESDAY + number * MINUTE) for number in range(1, 7)]
        fast, slow = campaign(2, emails=20), campaign(3, emails=20, delay=timedelta(minutes=30))

        slots = run([campaign(1, emails=20), fast, slow], [mailbox(limit=10)], taken)

        assert self.by_campaign_and_day(slots)[warsaw_day(TUESDAY)] == {2: 2, 3: 2}

    def test_the_mailbox_with_most_room_left_goes_first(self) -> None:
        it = campaign(emails=6, mailbox_ids=(1, 2))

        slots = run([it], [mailbox(1, limit=100), mailbox(2, limit=100)])

        assert [slot.mailbox_id for slot in slots] == [1, 2, 1, 2, 1, 2]


class TestPlanningAgain:
    def standing(self, *at: datetime, mailbox_id: int = 1) -> list[Email]:
        return [Email(number, 1, CurrentSlot(mailbox_id, each)) for number, each in enumerate(at)]

    def test_what_can_stay_stays(self) -> None:
        at = [TUESDAY + number * 2 * MINUTE for number in range(1, 6)]

        slots = run([campaign(emails=self.standing(*at))], [mailbox()])

        assert [slot.at for slot in slots] == at

    def test_after_downtime_what_is_overdue_goes_from_now_at_its_pace_in_its_order(self) -> None:
        emails = self.standing(*[TUESDAY - timedelta(hours=2) + number * MINUTE for number in range(5)])

        slots = run([campaign(emails=emails)], [mailbox()])

        assert [slot.lead_id for slot in slots] == [0, 1, 2, 3, 4]
        assert slots[0].at >= TUESDAY
        assert all(48 <= gap <= 72.001 for gap in seconds(slots))

    def test_later_mails_move_only_as_far_as_they_must(self) -> None:
        far = TUESDAY + timedelta(hours=5)

        slots = run([campaign(emails=self.standing(TUESDAY - MINUTE, TUESDAY + MINUTE / 6, far))], [mailbox()])

        assert slots[1].at > TUESDAY + MINUTE / 6
        assert slots[2].at == far

    def test_a_lost_mailbox_leaves_the_time_as_it_is(self) -> None:
        at = [TUESDAY + number * 2 * MINUTE for number in range(1, 4)]
        it = campaign(emails=self.standing(*at, mailbox_id=7), mailbox_ids=(1, 7))

        slots = run([it], [mailbox(1)])

        assert [(slot.mailbox_id, slot.at) for slot in slots] == [(1, each) for each in at]

    def test_what_stands_in_a_windows_last_minute_stays(self) -> None:
        at = datetime(2026, 11, 24, 15, 59, 30, tzinfo=UTC)

        [slot] = run([campaign(emails=self.standing(at), window=OFFICE)], [mailbox()])

        assert slot.at == at

    def test_what_stands_outside_an_edited_window_goes_at_the_next_moment(self) -> None:
        emails = self.standing(datetime(2026, 11, 24, 18, 0, tzinfo=UTC))

        [slot] = run([campaign(emails=emails, window=OFFICE)], [mailbox()])

        assert slot.at == TUESDAY


class TestPlanningAnew:
    """Leads that were planned before and keep no place: after an order of their owner."""

    @given(worlds(), st.sampled_from([1.0, 45.0, 3600.0]))
    def test_everyone_goes_at_the_new_pace_from_now(self, world: World, delay: float) -> None:
        campaigns, boxes, taken, now = world
        new_delay = timedelta(seconds=delay)
        edited = [replace(it, delay=new_delay, last_start=None, until=None) for it in campaigns]

        slots = run(edited, boxes, taken, now)

        for it in edited:
            own = [slot for slot in slots if slot.campaign_id == it.id]
            assert [slot.lead_id for slot in own] == [email.lead_id for email in it.emails[: len(own)]]
            assert all(later.at - earlier.at >= new_delay * 0.8 for earlier, later in pairwise(own))

    def test_a_larger_limit_is_used_today(self) -> None:
        slots = run([campaign(emails=100, daily_limit=50)], [mailbox()])

        assert Counter(slot.at.astimezone(WARSAW).day for slot in slots) == {24: 50, 25: 50}

    def test_nobody_waits_for_another_attempt_whose_time_is_far(self) -> None:
        retry = Taken(1, 1, TUESDAY + timedelta(days=2), is_retry=True)

        slots = run([campaign(emails=3)], [mailbox()], [retry])

        assert all(slot.at <= TUESDAY + 4 * MINUTE for slot in slots)

    def test_another_attempt_holds_its_place_all_the_same(self) -> None:
        retry = Taken(1, 1, TUESDAY + MINUTE, is_retry=True)

        slots = run([campaign(emails=3, daily_limit=3)], [mailbox(gap=30)], [retry])

        assert [slot.at.astimezone(WARSAW).day for slot in slots] == [24, 24, 25]
        assert all(abs(slot.at - retry.at) >= timedelta(seconds=30) for slot in slots)


class TestALimitOfAProvider:
    @staticmethod
    def a_follow_up(taken: Sequence[timedelta], not_before: timedelta) -> datetime:
        """Where one goes beside others, at most 3 a day. Counted from Tuesday."""
        it = campaign(emails=0, steps=(Step(1), Step(2, parsed("1 hour"))), delay=timedelta(seconds=1))
        box = mailbox(ceilings=(Ceiling(Limit(3, timedelta(hours=24))),))
        beside = [Taken(1, 1, TUESDAY + after, lead_id=number) for number, after in enumerate(taken)]
        due = [FollowUp(1, 9, 2, Bound(1, TUESDAY + not_before))]
        [(_, slot)] = follow([it], [box], beside, due, TUESDAY)
        return slot.at

    def test_counts_those_before_and_behind_that_lie_in_one_span_with_it(self) -> None:
        hours = timedelta(hours=1)

        assert self.a_follow_up([0 * hours, 10 * hours, 20 * hours], 15 * hours) == TUESDAY + 24 * hours

    def test_does_not_count_those_that_lie_around_it_too_far_apart(self) -> None:
        hours = timedelta(hours=1)

        assert self.a_follow_up([0 * hours, 10 * hours, 25 * hours], 15 * hours) == TUESDAY + 15 * hours

    def test_does_not_hold_another_mailbox_that_has_room_again_the_next_day(self) -> None:
        limited, other = mailbox(1, ceilings=(Ceiling(Limit(2, 2 * timedelta(hours=24))),)), mailbox(2, limit=1)

        slots = run([campaign(emails=4, mailbox_ids=(1, 2))], [limited, other])

        assert [(slot.mailbox_id, warsaw_day(slot.at).day) for slot in slots] == [(1, 24), (1, 24), (2, 24), (2, 25)]


class TestUnplannableInput:
    @pytest.mark.parametrize("seconds", [-1.0, 1e9, 1e300, float("inf"), float("nan")])
    def test_is_a_gap_or_delay_without_measure(self, seconds: float) -> None:
        with pytest.raises(PlanInputInvalid, match=r"its gap of .* is not between"):
            interval(seconds, "gap")

    def test_is_a_campaign_without_a_delay(self) -> None:
        with pytest.raises(PlanInputInvalid):
            campaign(delay=timedelta(0))

    def test_is_a_moment_thousands_of_years_away(self) -> None:
        never = datetime.max.replace(tzinfo=UTC)

        for make in (lambda: mailbox(open_from=never), lambda: mailbox(last_start=never), campaign_started(never)):
            with pytest.raises(PlanInputInvalid):
                make()

    def test_a_forecast_of_centuries_ends_where_dates_do(self) -> None:
        slots = run([campaign(emails=1_000, delay=timedelta(days=3_650))], [mailbox()])

        assert 600 < len(slots) < 1_000

    def test_a_mail_that_stands_there_stops_nobody(self) -> None:
        never = datetime.max.replace(tzinfo=UTC)
        emails = [Email(1, 1, CurrentSlot(1, never)), Email(2, 1)]

        assert len(run([campaign(emails=emails)], [mailbox()], [Taken(2, 1, never)])) == 2

    def test_a_failure_that_nobody_foresaw_names_its_campaign(self) -> None:
        broken = campaign(2, window=None)

        with pytest.raises(Unplannable) as failure:
            run([campaign(1), broken], [mailbox()])

        assert failure.value.campaign_id == 2


def campaign_started(at: datetime) -> Callable[[], Campaign]:
    return lambda: campaign(last_start=at)


class TestNoRoom:
    def test_without_a_mailbox_there_is_no_plan(self) -> None:
        assert run([campaign()], []) == []

    def test_a_mailbox_with_limit_zero_ends_the_search(self) -> None:
        assert run([campaign()], [mailbox(limit=0)]) == []

    def test_an_empty_campaign_is_done(self) -> None:
        assert run([campaign(emails=0)], [mailbox()]) == []


class TestAnotherAttempt:
    def test_goes_to_the_first_moment_that_keeps_the_gap_to_both_sides(self) -> None:
        taken = [Taken(1, 1, TUESDAY + timedelta(seconds=30)), Taken(1, 1, TUESDAY + timedelta(seconds=120))]

        at = retry_moment(campaign(), mailbox(gap=60), taken, TUESDAY)

        assert at == TUESDAY + timedelta(seconds=180)

    def test_waits_for_the_window_and_for_a_day_with_room(self) -> None:
        evening = datetime(2026, 11, 24, 18, 0, tzinfo=UTC)
        full = {date(2026, 11, 25): 5}

        at = retry_moment(campaign(window=OFFICE), mailbox(limit=5, used=full), [], evening)

        assert at == datetime(2026, 11, 26, 8, 0, tzinfo=UTC)

    def test_with_no_room_for_ever_it_still_has_a_moment(self) -> None:
        assert retry_moment(campaign(), mailbox(limit=0), [], TUESDAY) == TUESDAY
