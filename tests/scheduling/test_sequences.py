"""What every plan of a sequence keeps, and that the calendar before the start is what happens."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as run_settings
from hypothesis import strategies as st

from scheduling.holidays import is_holiday
from scheduling.planner import (
    Bound,
    Campaign,
    Ceiling,
    CurrentSlot,
    Email,
    FollowUp,
    Mailbox,
    Slot,
    Step,
    Taken,
    follow,
    horizon,
    plan,
)
from scheduling.providers import Limit
from scheduling.waits import TIME_TO_LOOK, Wait, WaitInvalid, parsed
from scheduling.window import WARSAW, Window, warsaw_day
from tests.scheduling.test_planner import ALWAYS, MINUTE, OFFICE, TUESDAY, campaign, mailbox, nows

FIRST = 1


def steps(*waits: str) -> tuple[Step, ...]:
    return (Step(FIRST), *(Step(number, parsed(it)) for number, it in enumerate(waits, FIRST + 1)))


def a_sequence(*waits: str, leads: int = 5, emails: Sequence[Email] | None = None, **changes: Any) -> Campaign:
    emails = [Email(lead, FIRST) for lead in range(leads)] if emails is None else emails
    return campaign(emails=emails, steps=steps(*waits), **changes)


def calendar(it: Campaign, boxes: Sequence[Mailbox], now: datetime = TUESDAY) -> list[Slot]:
    return list(plan([it], boxes, [], now, expected=True))


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Campaign, list[Mailbox], datetime]:
    boxes = [
        mailbox(number, limit=draw(st.integers(1, 12)), gap=draw(st.sampled_from([0, 20, 300])))
        for number in range(1, draw(st.integers(2, 4)))
    ]
    waits = draw(
        st.lists(
            st.sampled_from(["3 working days", "1 day", "4 days", "5 hours", "90 minutes"]), min_size=1, max_size=3
        )
    )
    it = a_sequence(
        *waits,
        leads=draw(st.integers(0, 25)),
        window=draw(st.sampled_from([ALWAYS, OFFICE])),
        delay=timedelta(seconds=draw(st.sampled_from([1, 60, 1800]))),
        daily_limit=draw(st.integers(1, 12)),
        mailbox_ids=tuple(box.id for box in boxes),
        new_per_day=draw(st.sampled_from([None, 1, 3])),
        follow_up_share=draw(st.sampled_from([100, 70, 30])),
    )
    return it, boxes, draw(nows)


def due(it: Campaign, slot: Slot, before: Slot) -> datetime:
    wait = next(step.wait for step in it.steps if step.id == slot.step_id)
    assert wait is not None
    return wait.due(wait.ends(before.at))


class TestEverySequence:
    @given(worlds())
    def test_is_played_whole_in_time_order_inside_the_window(
        self, world: tuple[Campaign, list[Mailbox], datetime]
    ) -> None:
        it, boxes, now = world

        slots = calendar(it, boxes, now)

        assert len(slots) == len(it.emails) * len(it.steps)
        assert [slot.at for slot in slots] == sorted(slot.at for slot in slots)
        assert all(it.window.is_open(slot.at) and slot.at >= now for slot in slots)

    @given(worlds())
    def test_keeps_each_leads_order_its_waits_and_its_mailbox(
        self, world: tuple[Campaign, list[Mailbox], datetime]
    ) -> None:
        it, boxes, now = world
        by_lead: defaultdict[int, list[Slot]] = defaultdict(list)

        for slot in calendar(it, boxes, now):
            by_lead[slot.lead_id].append(slot)

        for its in by_lead.values():
            assert [slot.step_id for slot in its] == [step.id for step in it.steps]
            assert len({slot.mailbox_id for slot in its}) == 1
            assert all(slot.at >= due(it, slot, before) for before, slot in pairwise(its))

    @given(worlds())
    def test_keeps_every_limit_of_a_day(self, world: tuple[Campaign, list[Mailbox], datetime]) -> None:
        it, boxes, now = world

        slots = calendar(it, boxes, now)

        per_day = Counter(warsaw_day(slot.at) for slot in slots)
        new = Counter(warsaw_day(slot.at) for slot in slots if slot.step_id == FIRST)
        per_box = Counter((slot.mailbox_id, warsaw_day(slot.at)) for slot in slots)
        follow_ups = Counter((slot.mailbox_id, warsaw_day(slot.at)) for slot in slots if slot.step_id != FIRST)
        limits = {box.id: box.daily_limit for box in boxes}
        assert all(count <= it.daily_limit for count in per_day.values())
        assert it.new_per_day is None or all(count <= it.new_per_day for count in new.values())
        assert all(count <= limits[box] for (box, _), count in per_box.items())
        assert all(count <= max(1, limits[box] * it.follow_up_share // 100) for (box, _), count in follow_ups.items())

    @given(worlds())
    def test_keeps_the_least_pace_and_each_mailboxs_gap(self, world: tuple[Campaign, list[Mailbox], datetime]) -> None:
        it, boxes, now = world

        slots = calendar(it, boxes, now)

        assert all(later.at - earlier.at >= it.delay * 0.8 for earlier, later in pairwise(slots))
        for box in boxes:
            own = [slot.at for slot in slots if slot.mailbox_id == box.id]
            assert all(later - earlier >= box.gap for earlier, later in pairwise(own))

    @given(worlds())
    def test_keeps_the_order_of_new_leads(self, world: tuple[Campaign, list[Mailbox], datetime]) -> None:
        it, boxes, now = world

        leads = [slot.lead_id for slot in calendar(it, boxes, now) if slot.step_id == FIRST]

        assert leads == [email.lead_id for email in it.emails]

    @given(worlds())
    def test_is_the_same_for_the_same_arguments(self, world: tuple[Campaign, list[Mailbox], datetime]) -> None:
        it, boxes, now = world

        assert calendar(it, boxes, now) == calendar(it, boxes, now)


@dataclass
class World:
    """Ticks and sends as the product does, with rows in lists: every e-mail is sent at its time, and nobody answers."""

    it: Campaign
    boxes: list[Mailbox]
    now: datetime

    def __post_init__(self) -> None:
        self.pending: list[Slot] = []
        self.sent: list[Slot] = []
        self.unfollowed: list[Slot] = []
        self.unplanned = list(self.it.emails)

    def run(self) -> list[Slot]:
        while self.unplanned or self.pending or self.unfollowed:
            self.send()
            self.plan_follow_ups()
            self.plan_new()
            self.now += timedelta(hours=1)
        return sorted(self.sent, key=lambda slot: slot.at)

    def send(self) -> None:
        gone = sorted((slot for slot in self.pending if slot.at <= self.now), key=lambda slot: slot.at)
        self.pending = [slot for slot in self.pending if slot.at > self.now]
        self.sent += gone
        last = self.it.steps[-1].id
        self.unfollowed += [slot for slot in gone if slot.step_id != last]

    def taken(self) -> list[Taken]:
        return [
            Taken(self.it.id, slot.mailbox_id, slot.at, False, slot.lead_id, slot.step_id, slot.step_id != FIRST)
            for slot in self.pending
        ]

    def seen(self) -> tuple[Campaign, list[Mailbox]]:
        today = warsaw_day(self.now)
        used = [slot for slot in self.sent if warsaw_day(slot.at) == today]
        last = max((slot.at for slot in self.sent), default=None)
        times = {
            box.id: tuple(sorted(slot.at for slot in self.sent if slot.mailbox_id == box.id)) for box in self.boxes
        }
        boxes = [
            replace(
                box,
                used={**box.used, today: box.used.get(today, 0) + sum(slot.mailbox_id == box.id for slot in used)},
                ceilings=tuple(Ceiling(it.limit, times[box.id]) for it in box.ceilings),
                used_to_follow={today: sum(slot.mailbox_id == box.id and slot.step_id != FIRST for slot in used)},
                last_start=max((slot.at for slot in self.sent if slot.mailbox_id == box.id), default=None),
            )
            for box in self.boxes
        ]
        new = sum(slot.step_id == FIRST for slot in used)
        return replace(self.it, used={today: len(used)}, used_new={today: new}, last_start=last), boxes

    def plan_follow_ups(self) -> None:
        it, boxes = self.seen()
        by_step = {before.id: step for before, step in pairwise(it.steps)}
        asked = []
        for slot in self.unfollowed:
            step = by_step[slot.step_id]
            assert step.wait is not None
            bound = Bound(slot.mailbox_id, step.wait.due(step.wait.ends(slot.at)))
            asked.append(FollowUp(it.id, slot.lead_id, step.id, bound))
        self.unfollowed = []
        self.pending += [slot for _, slot in follow([it], boxes, self.taken(), asked, self.now)]

    def plan_new(self) -> None:
        it, boxes = self.seen()
        until = horizon(it.window, self.now, timedelta(hours=24))
        found = list(plan([replace(it, emails=self.unplanned, until=until)], boxes, self.taken(), self.now))
        self.pending += found
        self.unplanned = self.unplanned[len(found) :]


@pytest.mark.slow
class TestTheCalendarBeforeTheStart:
    @run_settings(max_examples=20)
    @given(worlds())
    def test_is_what_happens_if_nobody_answers(self, world: tuple[Campaign, list[Mailbox], datetime]) -> None:
        it, boxes, now = world

        assert World(it, boxes, now).run() == calendar(it, boxes, now)

    @pytest.mark.parametrize("waits", [("1 working day",), ("20 hours", "2 days")])
    @pytest.mark.parametrize("share", [100, 50])
    def test_is_what_happens_over_holidays_a_ramp_and_the_limits_of_a_provider(
        self, waits: tuple[str, ...], share: int
    ) -> None:
        now = datetime(2026, 12, 22, 9, 5, tzinfo=UTC)
        closed_on_holidays = Window(9 * 60, 17 * 60, frozenset(range(6)), on_holidays=False)
        open_days = [day for day in (warsaw_day(now) + timedelta(days=it) for it in range(60)) if not is_holiday(day)]
        ramp = {day: 12 - (2 + number) for number, day in enumerate(open_days) if 2 + number < 12}
        limits = (Ceiling(Limit(2, timedelta(hours=1))), Ceiling(Limit(7, timedelta(hours=24))))
        young, other = mailbox(1, limit=12, used=ramp, ceilings=limits), mailbox(2, limit=3)
        it = a_sequence(
            *waits, leads=40, window=closed_on_holidays, mailbox_ids=(1, 2), delay=MINUTE, follow_up_share=share
        )

        expected = calendar(it, [young, other], now)

        assert World(it, [young, other], now).run() == expected
        assert len(expected) == 40 * (len(waits) + 1)
        assert not any(is_holiday(warsaw_day(slot.at)) for slot in expected)
        by_young = [slot.at for slot in expected if slot.mailbox_id == 1]
        assert min(later - at for at, later in zip(by_young, by_young[2:], strict=False)) >= timedelta(hours=1)
        assert min(later - at for at, later in zip(by_young, by_young[7:], strict=False)) >= timedelta(hours=24)
        per_day = Counter(map(warsaw_day, by_young))
        assert [per_day[day] for day in sorted(per_day)[:2]] == [2, 3]


class TestAWait:
    @pytest.mark.parametrize(
        ("wait", "sent", "ends"),
        [
            ("1 working day", "2026-11-27 10:00", "2026-11-30 10:00"),  # Friday
            ("3 working days", "2026-11-24 10:00", "2026-11-27 10:00"),
            ("1 working day", "2026-11-28 10:00", "2026-11-30 10:00"),  # Saturday
            ("1 working day", "2026-11-10 10:00", "2026-11-12 10:00"),  # the 11th is a holiday
            ("2 days", "2026-11-27 10:00", "2026-11-29 10:00"),
            ("1 day", "2026-10-24 10:00", "2026-10-25 10:00"),  # 25 hours
            ("24 hours", "2026-10-24 10:00", "2026-10-25 09:00"),
            ("90 seconds", "2026-11-27 10:00", "2026-11-27 10:01:30"),
        ],
    )
    def test_ends_by_the_warsaw_clock(self, wait: str, sent: str, ends: str) -> None:
        at = datetime.fromisoformat(sent).replace(tzinfo=WARSAW)

        assert parsed(wait).ends(at) == datetime.fromisoformat(ends).replace(tzinfo=WARSAW)

    @pytest.mark.parametrize(
        "text", ["0 days", "-1 day", "1.5 days", "1 week", "days", "", "366 days", "9 9 days", "1day"]
    )
    def test_that_is_none_is_refused(self, text: str) -> None:
        with pytest.raises(WaitInvalid):
            parsed(text)

    def test_is_written_as_it_is_read(self) -> None:
        for text in ("3 working days", "1 working day", "1 day", "12 hours", "90 minutes", "1 second"):
            assert str(parsed(text)) == text
        assert parsed(" 2  Working   Days ") == Wait(2, parsed("1 working day").unit)


class TestAFollowUp:
    def test_leaves_time_to_look_for_an_answer(self) -> None:
        [first, second] = calendar(a_sequence("1 day", leads=1), [mailbox()])

        assert second.at - first.at == timedelta(days=1) + TIME_TO_LOOK

    def test_comes_before_new_leads_that_are_planned_later(self) -> None:
        slots = calendar(a_sequence("1 day", leads=9, daily_limit=4), [mailbox()])

        days: defaultdict[date, list[int]] = defaultdict(list)
        for slot in slots:
            days[warsaw_day(slot.at)].append(slot.step_id)
        per_day = [(it.count(FIRST), it.count(2)) for it in days.values()]
        assert per_day[:2] == [(4, 0), (0, 4)]

    def test_that_is_planned_again_keeps_its_slot_if_it_can(self) -> None:
        at = TUESDAY + timedelta(hours=1)
        emails = [Email(1, 2, CurrentSlot(1, at), Bound(1, at - MINUTE)), Email(7, FIRST, CurrentSlot(1, at + MINUTE))]

        slots = list(plan([a_sequence("1 day", emails=emails)], [mailbox()], [], TUESDAY))

        assert [(slot.lead_id, slot.at) for slot in slots] == [(1, at), (7, at + MINUTE)]

    def test_that_is_planned_again_stays_on_its_mailbox_and_behind_its_wait(self) -> None:
        at = TUESDAY - timedelta(hours=1)
        ends = TUESDAY + timedelta(minutes=20)
        it = a_sequence("1 day", emails=[Email(1, 2, CurrentSlot(1, at), Bound(1, ends))], mailbox_ids=(1, 2))

        [slot] = plan([it], [mailbox(1, open_from=TUESDAY + timedelta(minutes=10)), mailbox(2)], [], TUESDAY)

        assert (slot.mailbox_id, slot.at) == (1, ends)

    def test_has_no_slot_while_its_mailbox_cannot_be_used(self) -> None:
        asked = [FollowUp(1, 1, 2, Bound(5, TUESDAY))]

        assert list(follow([a_sequence("1 day")], [mailbox(5)], [], asked, TUESDAY)) == []
