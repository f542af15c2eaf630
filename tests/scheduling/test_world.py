"""Ten weeks of a simulated world that answers, bounces, is away and fails: no promise of a sequence is broken.

`python -m tests.scheduling.test_world 100` plays a hundred seeds.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from random import Random

import pytest

from scheduling import planner
from scheduling.planner import Campaign, Email, Mailbox
from scheduling.window import Window, warsaw_day
from tests.scheduling.world import DAY, HOUR, MINUTE, Habits, Lead, World, gaps, steps_of

WEEKS = 10
OFFICE, MORNINGS, ALWAYS = (
    Window(9 * 60, 17 * 60, frozenset(range(5))),
    Window(7 * 60 + 30, 11 * 60, frozenset({0, 1, 3})),
    Window(0, 1440, frozenset(range(7))),
)
LIVELY = Habits(answer=0.08, bounce=0.03, away=0.06, mailbox_fails=0.04, inbox_fails=0.05)
# A Thursday; the weeks behind it have Christmas, New Year and Epiphany in them. And a week before clocks go forward.
STARTS = (datetime(2026, 11, 26, 9, 5, tzinfo=UTC), datetime(2027, 3, 23, 20, 0, tzinfo=UTC))


def a_world(seed: int) -> World:
    random = Random(seed)
    boxes = [
        Mailbox(number, random.choice([3, 12, 30]), timedelta(seconds=random.choice([0, 60, 600])), {}, None)
        for number in range(1, random.randint(2, 4))
    ]
    campaigns = [_campaign(number, boxes, random) for number in range(1, random.randint(2, 4))]
    leads = {it.id: [Lead(number) for number in range(random.randint(20, 120))] for it in campaigns}
    return World(campaigns, boxes, leads, random.choice(STARTS), LIVELY, random)


def _campaign(number: int, boxes: list[Mailbox], random: Random) -> Campaign:
    waits = random.choice(
        [("1 working day",), ("3 working days", "5 working days"), ("20 minutes", "1 day", "30 hours"), ("2 days",) * 4]
    )
    return Campaign(
        id=number,
        window=random.choice([OFFICE, MORNINGS, ALWAYS]),
        delay=timedelta(minutes=random.choice([2, 15, 45])),
        daily_limit=random.choice([5, 20, 100]),
        mailbox_ids=tuple(box.id for box in random.sample(boxes, random.randint(1, len(boxes)))),
        used={},
        last_start=None,
        emails=(),
        until=None,
        steps=steps_of(*waits),
        new_per_day=random.choice([None, 2, 10]),
        follow_up_share=random.choice([30, 70, 100]),
    )


def broken(it: World) -> Iterator[str]:
    """The promises that what was sent breaks."""
    for rule in RULES:
        yield from (f"{rule.__name__}: {found}" for found in rule(it))


def inside_the_window(it: World) -> Iterator[str]:
    window = {each.id: each.window for each in it.campaigns}
    yield from (f"{each}" for each in it.sent if not window[each.campaign_id].is_open(each.at))


def under_the_limits(it: World) -> Iterator[str]:
    by_campaign = Counter((each.campaign_id, warsaw_day(each.at)) for each in it.sent)
    by_box = Counter((each.mailbox_id, warsaw_day(each.at)) for each in it.sent)
    new = Counter((each.campaign_id, warsaw_day(each.at)) for each in it.sent if each.place == 0)
    campaigns, boxes = {each.id: each for each in it.campaigns}, {each.id: each for each in it.mailboxes}
    yield from (f"{of}: {number}" for of, number in by_campaign.items() if number > campaigns[of[0]].daily_limit)
    yield from (f"{of}: {number}" for of, number in by_box.items() if number > boxes[of[0]].daily_limit)
    yield from (
        f"{of}: {number} new"
        for of, number in new.items()
        if number > (campaigns[of[0]].new_per_day or campaigns[of[0]].daily_limit)
    )


def follow_ups_keep_to_their_share(it: World) -> Iterator[str]:
    following = Counter((each.mailbox_id, warsaw_day(each.at)) for each in it.sent if each.place > 0)
    for box in it.mailboxes:
        share = max(each.follow_up_share for each in it.campaigns)
        most = max(1, box.daily_limit * share // 100)
        yield from (f"{of}: {number}" for of, number in following.items() if of[0] == box.id and number > most)


def at_their_pace(it: World) -> Iterator[str]:
    for campaign in it.campaigns:
        times = [each.at for each in it.sent if each.campaign_id == campaign.id]
        yield from (f"campaign {campaign.id}: {gap}" for gap in gaps(times) if gap < campaign.delay * 0.8)
    for box in it.mailboxes:
        times = [each.at for each in it.sent if each.mailbox_id == box.id]
        yield from (f"mailbox {box.id}: {gap}" for gap in gaps(times) if gap < box.gap)


def leads_in_their_order(it: World) -> Iterator[str]:
    yield from (f"{id}: {turns}" for id, turns in it.first_planned.items() if turns != sorted(turns))


def steps_in_their_order_after_their_waits(it: World) -> Iterator[str]:
    seen: dict[tuple[int, int], tuple[int, int, datetime]] = {}
    for each in it.sent:
        of = (each.campaign_id, each.lead_id)
        place, mailbox_id, at = seen.get(of, (-1, each.mailbox_id, each.at))
        if each.place != place + 1:
            yield f"{each} after {place}"
        if each.place > 0 and (each.mailbox_id != mailbox_id or each.not_before is None or each.at < each.not_before):
            yield f"{each}, before it {mailbox_id} at {at}"
        seen[of] = (each.place, each.mailbox_id, each.at)


def nothing_after_an_answer(it: World) -> Iterator[str]:
    stopped = {(id, lead.number): lead.stopped_at for id, leads in it.leads.items() for lead in leads}
    for each in it.sent:
        at = stopped[each.campaign_id, each.lead_id]
        if at is not None and each.at >= at:
            yield f"{each}, although it answered at {at}"


def nobody_is_forgotten(it: World) -> Iterator[str]:
    for campaign, lead in it.started():
        is_over = lead.stopped_at is not None or lead.place == len(campaign.steps) - 1
        if not is_over and lead.slot is None and lead.due is None:
            yield f"lead {lead.number} of campaign {campaign.id} after letter {lead.place}"
    yield from (f"{each} has no place" for each in it.not_placed)


def every_campaign_sends(it: World) -> Iterator[str]:
    yield from (
        f"campaign {each.id} does not" for each in it.campaigns if all(lead.place < 0 for lead in it.leads[each.id])
    )


RULES: tuple[Callable[[World], Iterator[str]], ...] = (
    inside_the_window,
    under_the_limits,
    follow_ups_keep_to_their_share,
    at_their_pace,
    leads_in_their_order,
    steps_in_their_order_after_their_waits,
    nothing_after_an_answer,
    nobody_is_forgotten,
    every_campaign_sends,
)


@pytest.mark.parametrize("seed", range(3))
def test_no_promise_is_broken_in_ten_weeks(seed: int) -> None:
    world = a_world(seed)

    world.run(7 * WEEKS)

    assert list(broken(world)) == []
    assert any(each.place > 0 for each in world.sent)


def steady(share: int = 70, new_per_day: int | None = None) -> World:
    """One campaign of three letters, a mailbox with forty a day, more leads than it can write to; nobody answers."""
    campaign = Campaign(
        id=1,
        window=OFFICE,
        delay=3 * MINUTE,
        daily_limit=100,
        mailbox_ids=(1,),
        used={},
        last_start=None,
        emails=(),
        until=None,
        steps=steps_of("3 working days", "3 working days"),
        new_per_day=new_per_day,
        follow_up_share=share,
    )
    leads = [Lead(number) for number in range(700)]
    start = datetime(2027, 2, 1, 7, 0, tzinfo=UTC)
    return World([campaign], [Mailbox(1, 40, MINUTE, {}, None)], {1: leads}, start, Habits(), Random(1))


@cache
def six_days() -> World:
    world = steady()
    world.run(6)
    return world


TAMPERING: dict[Callable[[World], Iterator[str]], Callable[[World], object]] = {
    inside_the_window: lambda it: it.sent.append(replace(it.sent[-1], at=it.sent[-1].at + 12 * HOUR)),
    under_the_limits: lambda it: it.sent.extend([it.sent[-1]] * 40),
    follow_ups_keep_to_their_share: lambda it: it.sent.extend([replace(it.sent[-1], place=1)] * 29),
    at_their_pace: lambda it: it.sent.append(replace(it.sent[-1], at=it.sent[-1].at + MINUTE)),
    leads_in_their_order: lambda it: it.first_planned[1].reverse(),
    steps_in_their_order_after_their_waits: lambda it: it.sent.append(replace(it.sent[-1], mailbox_id=2)),
    nothing_after_an_answer: lambda it: setattr(it.leads[1][0], "stopped_at", it.start),
    nobody_is_forgotten: lambda it: setattr(next(lead for lead in it.leads[1] if lead.slot), "slot", None),
    every_campaign_sends: lambda it: setattr(it, "leads", {1: [Lead(0)]}),
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_world_that_breaks_a_promise_is_found_out(rule: Callable[[World], Iterator[str]]) -> None:
    world = deepcopy(six_days())
    assert list(rule(world)) == []

    TAMPERING[rule](world)

    assert list(rule(world)) != []


def by_day(world: World, *, new: bool) -> Counter[date]:
    return Counter(warsaw_day(each.at) for each in world.sent if (each.place == 0) == new)


class TestTheShareOfNewLeads:
    def test_is_a_third_of_the_day_in_a_sequence_of_three(self) -> None:
        world = steady()
        world.run(7 * 4)

        new, following = by_day(world, new=True), by_day(world, new=False)

        days = sorted(new | following)
        late = days[len(days) // 2 : -1]
        assert max(following.values()) <= 28
        assert all(new[day] + following[day] == 40 for day in days[:-1])
        assert sum(new[day] for day in late) / len(late) == pytest.approx(40 / 3, abs=1.5)

    def test_is_at_least_what_the_share_of_follow_ups_leaves(self) -> None:
        world = steady(share=30)
        world.run(7 * 2)

        new, following = by_day(world, new=True), by_day(world, new=False)

        assert max(following.values()) == 12
        assert min(new[day] for day in sorted(new)[:-1]) >= 28

    def test_is_no_more_than_the_new_leads_per_day(self) -> None:
        world = steady(new_per_day=10)
        world.run(7 * 3)

        new = by_day(world, new=True)

        assert {new[day] for day in sorted(new)[:-1]} == {10}


class TestTheCalendarBeforeTheStart:
    @pytest.mark.parametrize("seed", range(3))
    def test_is_what_happens_mail_for_mail_when_nothing_changes(self, seed: int) -> None:
        world = a_world(seed)
        world.habits = Habits()
        it = [
            replace(each, emails=[Email(lead.number, each.steps[0].id) for lead in world.leads[each.id]])
            for each in world.campaigns
        ]
        expected = list(planner.plan(it, world.mailboxes, [], world.start, expected=True))
        end = world.start + 7 * WEEKS * DAY

        world.run(7 * WEEKS)

        told = [(slot.campaign_id, slot.lead_id, slot.step_id, slot.mailbox_id, slot.at) for slot in expected]
        steps = {each.id: each.steps for each in it}
        happened = [
            (each.campaign_id, each.lead_id, steps[each.campaign_id][each.place].id, each.mailbox_id, each.at)
            for each in world.sent
        ]
        assert sorted(happened) == sorted(each for each in told if each[-1] < end)


def main() -> int:
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    status = 0
    for seed in range(seeds):
        world = a_world(seed)
        world.run(7 * WEEKS)
        found = list(broken(world))
        print(f"seed {seed}: {len(world.sent)} letters, {len(found)} promises broken", *found[:5], sep="\n  ")
        status |= bool(found)
    return status


if __name__ == "__main__":
    sys.exit(main())
