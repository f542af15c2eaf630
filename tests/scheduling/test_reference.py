"""The planner places every e-mail as the simple one of reference.py does, whatever the situation."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from scheduling.planner import Campaign, Ceiling, CurrentSlot, Email, Mailbox, Slot, Taken, plan
from scheduling.providers import Limit
from scheduling.window import Window, warsaw_day
from tests.scheduling import reference

DAILY = frozenset(range(7))
WINDOWS = [
    Window(0, 1440, DAILY),
    Window(9 * 60, 17 * 60, frozenset(range(5))),
    Window(90, 210, DAILY),  # the clock changes in it
    Window(150, 152, DAILY),  # one day it does not open, another day twice
    Window(2 * 60, 3 * 60, frozenset([6])),
    Window(23 * 60, 1440, DAILY),
    Window(8 * 60, 1440, frozenset([0, 2, 3])),
]
NOWS = [
    datetime(2026, 11, 24, 8, 0, tzinfo=UTC),
    datetime(2026, 11, 24, 22, 50, tzinfo=UTC),
    datetime(2026, 11, 27, 15, 59, 30, tzinfo=UTC),
    datetime(2026, 12, 31, 15, 55, tzinfo=UTC),
    datetime(2026, 3, 28, 22, 30, tzinfo=UTC),
    datetime(2026, 3, 29, 0, 20, 0, 123_457, tzinfo=UTC),
    datetime(2026, 10, 24, 23, 30, tzinfo=UTC),
    datetime(2026, 10, 25, 0, 10, 0, 1, tzinfo=UTC),
]
HOUR = timedelta(hours=1)
NOBODY = 88  # an id of no campaign and no mailbox
MOST_SLOTS = 150

Situation = tuple[list[Campaign], list[Mailbox], list[Taken], datetime]


def seconds(*choices: float) -> st.SearchStrategy[timedelta]:
    return st.sampled_from(choices).map(lambda it: timedelta(seconds=it))


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    now = draw(st.sampled_from(NOWS))
    whole = now.replace(microsecond=now.microsecond // 1000 * 1000)
    used = st.dictionaries(
        st.sampled_from([warsaw_day(now) + number * timedelta(days=1) for number in range(3)]), counts
    )
    boxes = [
        Mailbox(
            number,
            draw(st.sampled_from([0, 1, 2, 5, 15, 100])),
            draw(seconds(0, 0.5, 20, 60, 300, 3600)),
            draw(used),
            draw(st.sampled_from([None, now, whole - timedelta(seconds=5), whole + timedelta(seconds=3)])),
            draw(st.sampled_from([None, None, whole + 3 * HOUR, whole + 30 * HOUR])),
            ceilings=draw(ceilings(whole)),
        )
        for number in range(1, draw(st.sampled_from([1, 2, 4, 6, 13])))
    ]
    ids = (*(box.id for box in boxes), NOBODY)
    some_of_them = st.lists(st.sampled_from(ids), unique=True).map(tuple)
    campaigns = [
        Campaign(
            number,
            draw(st.sampled_from(WINDOWS)),
            draw(seconds(0.001, 1, 30, 61.7, 600, 7200)),
            draw(st.sampled_from([0, 1, 2, 5, 12, 1000])),
            draw(st.just(ids) | some_of_them),
            draw(used),
            draw(st.sampled_from([None, whole - timedelta(seconds=10), whole + timedelta(seconds=50)])),
            draw(emails(number, whole)),
            draw(st.sampled_from([None, now + 30 * HOUR])),
        )
        for number in range(1, draw(st.integers(2, 7)))
    ]
    times = st.integers(-4_000_000, 200_000_000).map(lambda it: whole + timedelta(milliseconds=it))
    taken = st.builds(
        Taken, st.sampled_from([1, 2, 3, NOBODY]), st.sampled_from([1, 2, 3, 11, NOBODY]), times, st.booleans()
    )
    return campaigns, boxes, draw(st.lists(taken, max_size=20)), now


counts = st.integers(0, 5)


@st.composite
def ceilings(draw: st.DrawFn, now: datetime) -> tuple[Ceiling, ...]:
    """None for most mailboxes; some of e-mails that were sent count."""
    sent = st.lists(st.integers(-90_000, 0).map(lambda it: now + timedelta(seconds=it)), max_size=8).map(sorted)
    found = st.builds(
        lambda most, span, sent: Ceiling(Limit(most, span), tuple(sent[-most:])),
        st.sampled_from([1, 2, 5]),
        seconds(60, 3600, 86_400),
        sent,
    )
    return tuple(draw(st.just([]) | st.lists(found, max_size=2)))


@st.composite
def emails(draw: st.DrawFn, campaign_id: int, now: datetime) -> list[Email]:
    """New ones, or some that have a slot already: overdue, close to each other, or well placed."""
    count = draw(st.sampled_from([0, 1, 5, 30]))
    new = [Email(number, campaign_id) for number in range(count)]
    if draw(st.booleans()):
        return new
    first, apart = draw(st.sampled_from([-7200, -100, 0, 30])), draw(st.sampled_from([1, 48, 60, 61, 300]))
    slots = [CurrentSlot(1 + number % 3, now + timedelta(seconds=first + number * apart)) for number in range(count)]
    return [Email(it.lead_id, campaign_id, slot) for it, slot in zip(new, slots, strict=True)]


def differing(ours: Sequence[Slot], simple: Sequence[Slot]) -> tuple[int, object, object] | None:
    """The first that differs."""
    pairs = enumerate(zip(ours, simple, strict=False))
    found = next(((number, mine, other) for number, (mine, other) in pairs if mine != other), None)
    return found or (None if len(ours) == len(simple) else (min(len(ours), len(simple)), len(ours), len(simple)))


@given(situations())
def test_every_email_gets_the_same_mailbox_and_time(situation: Situation) -> None:
    ours = list(islice(plan(*situation), MOST_SLOTS))

    simple = list(islice(reference.plan(*situation), MOST_SLOTS))
    assert differing(ours, simple) is None


def test_so_it_does_over_months_on_more_mailboxes_than_are_compared_one_by_one() -> None:
    now, office = NOWS[0], WINDOWS[1]
    boxes = [Mailbox(number, 7 + number % 3, timedelta(minutes=5), {}, None) for number in range(1, 25)]
    everyone, some = tuple(range(1, 25)), tuple(range(5, 16))
    campaigns = [
        Campaign(
            number,
            office,
            timedelta(minutes=3 + number),
            60,
            some if number % 3 else everyone,
            {date(2026, 11, 24): number},
            None,
            [Email(lead, number) for lead in range(700)],
            None,
        )
        for number in range(1, 7)
    ]

    ours = list(plan(campaigns, boxes, [], now))

    assert len(ours) == 6 * 700
    assert differing(ours, list(reference.plan(campaigns, boxes, [], now))) is None
