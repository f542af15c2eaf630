"""A simulated world: letters go out when the planner says, leads answer, bounce and are away, and mailboxes fail.

Pure, by seed. It keeps the rows that the product keeps, asks the planner when the product does, and sends nothing that
a gate would keep back. What was sent is judged in test_world.py.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from itertools import count, pairwise
from random import Random

from scheduling import planner
from scheduling.plan_types import whole
from scheduling.planner import Bound, Campaign, Email, FollowUp, Mailbox, Step, Taken
from scheduling.waits import parsed
from scheduling.window import warsaw_day

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
_TICKS = 2 * HOUR  # of new leads; follow-ups are planned in the minute after the letter before them
_BLIND_AGAIN = 30 * MINUTE


@dataclass(frozen=True)
class Habits:
    """Of the world: the part of the letters after which, and of the mailboxes that on a day."""

    answer: float = 0.0
    bounce: float = 0.0
    away: float = 0.0
    mailbox_fails: float = 0.0
    inbox_fails: float = 0.0


@dataclass(frozen=True)
class Sent:
    campaign_id: int
    lead_id: int
    place: int  # of its step in the sequence, from 0
    mailbox_id: int
    at: datetime
    not_before: datetime | None  # of a follow-up: when its wait ended


@dataclass
class Lead:
    """What was sent to a lead, and what is to be."""

    number: int  # its turn
    place: int = -1  # of the last letter that was sent
    mailbox_id: int = 0
    slot: datetime | None = None  # of the letter that is planned
    due: Bound | None = None  # of a follow-up to plan
    wait_ended: datetime | None = None
    held_until: datetime | None = None
    stopped_at: datetime | None = None


@dataclass
class World:
    campaigns: Sequence[Campaign]  # without e-mails
    mailboxes: Sequence[Mailbox]
    leads: dict[int, list[Lead]]  # campaign id -> in their order
    start: datetime
    habits: Habits
    random: Random
    sent: list[Sent] = field(default_factory=list)
    first_planned: defaultdict[int, list[int]] = field(default_factory=lambda: defaultdict(list))  # in which order
    not_placed: list[FollowUp] = field(default_factory=list)  # although their mailboxes were open

    def __post_init__(self) -> None:
        self._events: list[tuple[datetime, int, str, tuple[int, ...]]] = []
        self._numbers = count()
        self._closed: dict[int, datetime] = {}  # mailbox id -> until when
        self._blind: dict[int, datetime] = {}
        self._used: defaultdict[str, defaultdict[int, Counter[date]]] = defaultdict(lambda: defaultdict(Counter))
        self._last: defaultdict[str, dict[int, datetime]] = defaultdict(dict)
        self._of = {it.id: it for it in self.campaigns}

    def run(self, days: int) -> list[Sent]:
        end = self.start + days * DAY
        self._later(self.start, "tick")
        for day in range(days):
            for box in self.mailboxes:
                self._fail(box.id, self.start + day * DAY)
        at = self.start
        while at < end:
            self._later(at, "tick")
            at += _TICKS
        while self._events and self._events[0][0] < end:
            at, _, verb, given = heapq.heappop(self._events)
            getattr(self, f"_{verb}")(at, *given)
        return self.sent

    def started(self) -> Iterator[tuple[Campaign, Lead]]:
        yield from ((self._of[id], lead) for id, leads in self.leads.items() for lead in leads if lead.place >= 0)

    def _later(self, at: datetime, verb: str, *given: int) -> None:
        heapq.heappush(self._events, (at, next(self._numbers), verb, given))

    def _happens(self, part: float) -> bool:
        return self.random.random() < part

    def _fail(self, mailbox_id: int, day: datetime) -> None:
        for part, verb in ((self.habits.mailbox_fails, "closes"), (self.habits.inbox_fails, "goes_blind")):
            if self._happens(part):
                self._later(day + self.random.random() * DAY, verb, mailbox_id, self.random.randrange(10, 30 * 60))

    def _closes(self, at: datetime, mailbox_id: int, minutes: int) -> None:
        self._closed[mailbox_id] = until = whole(at + minutes * MINUTE)
        self._later(until, "tick")

    def _goes_blind(self, at: datetime, mailbox_id: int, minutes: int) -> None:
        self._blind[mailbox_id] = at + minutes * MINUTE

    def _is_closed(self, mailbox_id: int, at: datetime) -> bool:
        return self._closed.get(mailbox_id, at) > at

    def _send(self, at: datetime, campaign_id: int, place: int) -> None:
        """The letter of a lead is due. What a gate keeps back is planned again."""
        lead = self.leads[campaign_id][place]
        if lead.slot != at:
            return
        lead.slot = None
        if lead.place < 0:
            if not self._is_closed(lead.mailbox_id, at):
                self._accepted(at, campaign_id, lead)
        elif lead.held_until is not None and lead.held_until > at:
            lead.due = Bound(lead.mailbox_id, lead.held_until)
        elif self._is_closed(lead.mailbox_id, at):
            lead.due = Bound(lead.mailbox_id, at)
        elif self._blind.get(lead.mailbox_id, at) > at:
            lead.due = Bound(lead.mailbox_id, at + _BLIND_AGAIN)
        else:
            self._accepted(at, campaign_id, lead)
        self._later(at.replace(second=0, microsecond=0) + MINUTE, "follow")

    def _accepted(self, at: datetime, campaign_id: int, lead: Lead) -> None:
        day = warsaw_day(at)
        lead.place += 1
        self.sent.append(Sent(campaign_id, lead.number, lead.place, lead.mailbox_id, at, lead.wait_ended))
        self._used["campaign"][campaign_id][day] += 1
        self._used["mailbox"][lead.mailbox_id][day] += 1
        self._used["new" if lead.place == 0 else "following"][campaign_id if lead.place == 0 else lead.mailbox_id][
            day
        ] += 1
        self._last["campaign"][campaign_id] = self._last["mailbox"][lead.mailbox_id] = at
        steps = self._of[campaign_id].steps
        if lead.place + 1 < len(steps):
            wait = steps[lead.place + 1].wait
            assert wait is not None
            lead.wait_ended = wait.ends(at)
            lead.due = Bound(lead.mailbox_id, wait.due(lead.wait_ended))
        self._reacts(at, campaign_id, lead)

    def _reacts(self, at: datetime, campaign_id: int, lead: Lead) -> None:
        if self._happens(self.habits.answer):
            self._later(at + self.random.expovariate(1 / 2) * DAY, "stops", campaign_id, lead.number)
        elif self._happens(self.habits.bounce):
            self._later(at + 5 * MINUTE, "stops", campaign_id, lead.number)
        elif self._happens(self.habits.away):
            self._later(at + MINUTE, "is_away", campaign_id, lead.number, self.random.randrange(1, 15))

    def _stops(self, at: datetime, campaign_id: int, number: int) -> None:
        lead = self.leads[campaign_id][number]
        lead.stopped_at, lead.slot, lead.due = lead.stopped_at or at, None, None

    def _is_away(self, at: datetime, campaign_id: int, number: int, days: int) -> None:
        """Its planned letter is put off at once, as the product does."""
        lead = self.leads[campaign_id][number]
        lead.held_until = at + days * DAY
        if lead.slot is not None and lead.slot < lead.held_until:
            lead.slot, lead.due = None, Bound(lead.mailbox_id, lead.held_until)

    def _tick(self, now: datetime) -> None:
        self._follow(now)
        self._plan_new(now)

    def _follow(self, now: datetime) -> None:
        waiting = [(id, lead, lead.due) for id, leads in self.leads.items() for lead in leads if lead.due is not None]
        due = [FollowUp(id, lead.number, self._of[id].steps[lead.place + 1].id, bound) for id, lead, bound in waiting]
        if not due:
            return
        boxes = self._boxes(now)
        placed = dict(planner.follow(self._lines(now), boxes, self._taken(), due, now))
        for each in due:
            lead = self.leads[each.campaign_id][each.lead_id]
            if (slot := placed.get(each)) is None:
                self.not_placed.append(each)
                continue
            assert slot.mailbox_id == lead.mailbox_id
            lead.slot, lead.due = slot.at, None
            self._later(slot.at, "send", each.campaign_id, lead.number)

    def _plan_new(self, now: datetime) -> None:
        found = list(planner.plan(self._lines(now, with_new=True), self._boxes(now), self._taken(), now))
        for slot in found:
            lead = self.leads[slot.campaign_id][slot.lead_id]
            assert lead.place < 0, "a follow-up was planned before the letter that it follows was sent"
            if lead.mailbox_id == 0:
                self.first_planned[slot.campaign_id].append(lead.number)
            lead.slot, lead.mailbox_id = slot.at, slot.mailbox_id
            self._later(slot.at, "send", slot.campaign_id, lead.number)

    def _lines(self, now: datetime, *, with_new: bool = False) -> list[Campaign]:
        today = warsaw_day(now)
        return [
            replace(
                it,
                used={today: self._used["campaign"][it.id][today]},
                used_new={today: self._used["new"][it.id][today]},
                last_start=self._last["campaign"].get(it.id),
                emails=self._new_of(it) if with_new else (),
                until=planner.horizon(it.window, now, DAY),
            )
            for it in self.campaigns
        ]

    def _new_of(self, it: Campaign) -> list[Email]:
        fresh = (lead for lead in self.leads[it.id] if lead.place < 0 and lead.slot is None and lead.stopped_at is None)
        return [Email(lead.number, it.steps[0].id) for lead, _ in zip(fresh, range(3 * it.daily_limit), strict=False)]

    def _boxes(self, now: datetime) -> list[Mailbox]:
        today = warsaw_day(now)
        return [
            replace(
                it,
                used={today: self._used["mailbox"][it.id][today]},
                used_to_follow={today: self._used["following"][it.id][today]},
                last_start=self._last["mailbox"].get(it.id),
                open_from=self._closed[it.id] if self._is_closed(it.id, now) else None,
            )
            for it in self.mailboxes
        ]

    def _taken(self) -> list[Taken]:
        found = [
            Taken(
                it.id,
                lead.mailbox_id,
                lead.slot,
                lead_id=lead.number,
                step_id=it.steps[lead.place + 1].id,
                is_follow_up=lead.place >= 0,
            )
            for it in self.campaigns
            for lead in self.leads[it.id]
            if lead.slot is not None
        ]
        return sorted(found, key=lambda it: it.at)


def gaps(times: Sequence[datetime]) -> list[timedelta]:
    return [later - earlier for earlier, later in pairwise(sorted(times))]


def steps_of(*waits: str) -> tuple[Step, ...]:
    return (Step(1), *(Step(number, parsed(wait)) for number, wait in enumerate(waits, start=2)))
