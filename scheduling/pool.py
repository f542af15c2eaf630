"""Mailboxes in the simulation, and in which order they are taken. Pure."""

from bisect import insort
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date, datetime

from scheduling.plan_types import BEGIN, Mailbox, whole
from scheduling.track import LimitedTrack, Track

_NOTHING: Counter[int] = Counter()


class MailboxState:
    """A mailbox in the simulation. Its time only goes forward."""

    __slots__ = (
        "ahead",
        "day",
        "following",
        "free_at",
        "held",
        "latest",
        "mailbox",
        "rank",
        "room",
        "shares",
        "surplus",
        "taken",
    )

    is_limited = False  # whether it could reach a limit of its provider

    def __init__(self, mailbox: Mailbox) -> None:
        self.mailbox = mailbox
        self.ahead = Track(mailbox.gap)  # e-mails planned for later
        self.following: Counter[date] = Counter(mailbox.used_to_follow)  # follow-ups by day
        self.taken: dict[date, Counter[int]] = {}  # day -> campaign -> its e-mails planned before
        self.latest = mailbox.last_start or BEGIN
        self.free_at = whole(
            max(mailbox.open_from or BEGIN, mailbox.last_start + mailbox.gap if mailbox.last_start else BEGIN)
        )
        self.day = date.min
        self.room = 0  # of this day, as all below
        self.held = _NOTHING
        self.rank = (0, BEGIN, mailbox.id)
        self.shares: Mapping[int, int] | None = None  # campaign -> slots; None: nobody has asked for one
        self.surplus = 0  # slots that are in nobody's share

    def room_on(self, day: date) -> int:
        if day != self.day:
            self.day, self.shares, self.surplus, self.held = day, None, 0, self.taken.get(day, _NOTHING)
            self.room = self.mailbox.daily_limit - self.mailbox.used.get(day, 0) - self.held.total()
            self._rank()
        return self.room

    def book(self, at: datetime) -> None:
        self.room -= 1
        self._pass(at)

    def book_ahead(self, campaign_id: int, at: datetime, day: date) -> None:
        """Book an e-mail at a time to which the simulation has not come."""
        self.ahead.add(at)
        self.following[day] += 1
        if (held := self.taken.get(day)) is None:
            held = self.taken[day] = Counter()
        held[campaign_id] += 1
        if day == self.day:
            self.held = held
            self.room -= 1
            self._rank()

    def left_on(self, day: date) -> int:
        """Its room on this day or a later one."""
        if day == self.day:
            return self.room
        return self.mailbox.daily_limit - self.mailbox.used.get(day, 0) - self.taken.get(day, _NOTHING).total()

    def _pass(self, at: datetime) -> None:
        self.latest = at
        free_at = whole(at + self.mailbox.gap)
        if free_at > self.free_at:
            self.free_at = free_at
        self._rank()

    def _rank(self) -> None:
        """Rank the mailbox; the least goes first: that with the most room left, among equals the one idle longest."""
        self.rank = (-self.room, self.latest, self.mailbox.id)

    def free_from(self, at: datetime) -> datetime:
        """The first time from `at` on that keeps the gap to all of its e-mails."""
        if self.ahead.first_at is None and not self.is_limited:
            return self.free_at if self.free_at > at else at
        while (passed := self.ahead.passed(at)) is not None:
            self._pass(passed)
        return self.ahead.free_from(max(at, self.free_at))


class LimitedMailboxState(MailboxState):
    """A mailbox that could reach a limit of its provider."""

    __slots__ = ()

    is_limited = True

    def __init__(self, mailbox: Mailbox) -> None:
        super().__init__(mailbox)
        self.ahead: LimitedTrack = LimitedTrack(mailbox.gap, mailbox.ceilings)

    def book(self, at: datetime) -> None:
        super().book(at)
        self.ahead.count(at)


class Pool:
    """The mailboxes of one campaign or several, in the order of their ranks.

    A rank only gets worse during a day. So it is enough to look again at those that seem to be first.
    """

    def __init__(self, boxes: list[MailboxState]) -> None:
        self.boxes = boxes
        self._day = date.min
        self._ranking: list[tuple[tuple[int, datetime, int], MailboxState]] = []

    def with_room(self, day: date) -> list[MailboxState]:
        return [box for box in self.boxes if box.room_on(day) > 0]

    def free_in_order(self, at: datetime, day: date) -> Iterator[MailboxState]:
        """Yield the mailboxes with room that are free at this time, by rank."""
        if day != self._day:
            self._day, self._ranking = day, sorted((box.rank, box) for box in self.with_room(day))
        place = 0
        while place < len(self._ranking):
            rank, box = self._ranking[place]
            free_from = box.free_from(at)
            if rank != box.rank:
                del self._ranking[place]
                insort(self._ranking, (box.rank, box))
                continue
            place += 1
            if free_from == at:
                yield box
