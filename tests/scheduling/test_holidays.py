"""Polish public holidays, and windows that are closed on them and on other days."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduling import planner
from scheduling.holidays import is_holiday
from scheduling.planner import Campaign, Email, Mailbox
from scheduling.window import NEVER, WARSAW, Days, Window, warsaw_day

EVERY_DAY = frozenset(range(7))
OFFICE = Window(9 * 60, 17 * 60, frozenset(range(5)), on_holidays=False)


def noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=WARSAW).astimezone(UTC)


def of_year(year: int) -> list[str]:
    days = (date(year, 1, 1) + timedelta(days=each) for each in range(366))
    return [f"{day:%d.%m}" for day in days if day.year == year and is_holiday(day)]


class TestThePublicHolidays:
    # As the calendars of these years print them.
    @pytest.mark.parametrize(
        ("year", "moving"),
        [
            (2024, ["31.03", "01.04", "19.05", "30.05"]),
            (2026, ["05.04", "06.04", "24.05", "04.06"]),
            (2027, ["28.03", "29.03", "16.05", "27.05"]),
            (2038, ["25.04", "26.04", "13.06", "24.06"]),
        ],
    )
    def test_follow_easter(self, year: int, moving: list[str]) -> None:
        fixed = {"01.01", "06.01", "01.05", "03.05", "15.08", "01.11", "11.11", "25.12", "26.12"}

        assert set(of_year(year)) - {"24.12"} == fixed | set(moving)

    def test_have_christmas_eve_since_2025(self) -> None:
        assert [is_holiday(date(year, 12, 24)) for year in (2024, 2025, 2026)] == [False, True, True]


class TestAWindowThatIsClosedOnHolidays:
    def test_goes_from_the_day_before_christmas_eve_to_the_monday_after(self) -> None:
        assert OFFICE.next_opening(noon(date(2026, 12, 24))) == datetime(2026, 12, 28, 8, tzinfo=UTC)

    def test_is_open_on_a_working_day(self) -> None:
        assert OFFICE.is_open(noon(date(2026, 12, 23)))

    def test_has_no_adjacent_stretch_on_the_holiday(self) -> None:
        around_the_clock = Window(0, 24 * 60, EVERY_DAY, on_holidays=False)

        assert around_the_clock.closing(noon(date(2026, 11, 10))) == datetime(2026, 11, 10, 23, tzinfo=UTC)

    def test_sends_on_them_when_it_is_told_to(self) -> None:
        assert Window(0, 24 * 60, EVERY_DAY).is_open(noon(date(2026, 12, 25)))


class TestFrozenDays:
    def test_close_the_window_on_both_ends(self) -> None:
        window = Window(9 * 60, 17 * 60, EVERY_DAY, frozen=(Days(date(2026, 7, 6), date(2026, 7, 17)),))

        opening = window.next_opening(noon(date(2026, 7, 6)))

        assert warsaw_day(opening) == date(2026, 7, 18)
        assert not window.is_open(noon(date(2026, 7, 17)))
        assert window.is_open(noon(date(2026, 7, 5)))

    def test_of_a_whole_year_have_an_end(self) -> None:
        year = Days(date(2026, 1, 1), date(2026, 12, 31))
        window = Window(9 * 60, 17 * 60, frozenset({0}), on_holidays=False, frozen=(year,))

        assert warsaw_day(window.next_opening(noon(date(2026, 1, 1)))) == date(2027, 1, 4)


class TestTheLastDay:
    WINDOW = Window(9 * 60, 17 * 60, EVERY_DAY, last_day=date(2026, 7, 10))

    def test_is_still_open(self) -> None:
        assert self.WINDOW.is_open(noon(date(2026, 7, 10)))

    def test_is_followed_by_no_opening(self) -> None:
        assert self.WINDOW.next_opening(noon(date(2026, 7, 11))) == NEVER

    def test_leaves_the_rest_unplanned(self) -> None:
        slots = list(
            planner.plan([a_campaign(self.WINDOW, emails=40, daily_limit=3)], [BOX], [], noon(date(2026, 7, 9)))
        )

        assert [warsaw_day(slot.at) for slot in slots] == [date(2026, 7, 9)] * 3 + [date(2026, 7, 10)] * 3

    def test_does_not_hold_a_retry_back(self) -> None:
        campaign = a_campaign(self.WINDOW, emails=0, daily_limit=3)

        at = planner.retry_moment(campaign, BOX, [], noon(date(2026, 7, 10)) + timedelta(hours=6))

        assert warsaw_day(at) == date(2026, 7, 11)


BOX = Mailbox(1, daily_limit=1000, gap=timedelta(0), used={}, last_start=None)


def a_campaign(window: Window, emails: int, daily_limit: int = 20) -> Campaign:
    return Campaign(
        id=1,
        window=window,
        delay=timedelta(minutes=10),
        daily_limit=daily_limit,
        mailbox_ids=(1,),
        used={},
        last_start=None,
        emails=[Email(each, 1) for each in range(emails)],
        until=None,
    )


class TestPlans:
    @given(
        starts=st.datetimes(datetime(2026, 1, 1), datetime(2028, 12, 31)).map(lambda it: it.replace(tzinfo=UTC)),
        freezes=st.lists(st.tuples(st.dates(date(2026, 1, 1), date(2029, 6, 1)), st.integers(0, 40)), max_size=3),
        last=st.none() | st.dates(date(2026, 1, 1), date(2029, 6, 1)),
        weekdays=st.sets(st.integers(0, 6), min_size=1),
    )
    def test_have_no_mail_on_a_closed_day(
        self, starts: datetime, freezes: list[tuple[date, int]], last: date | None, weekdays: set[int]
    ) -> None:
        frozen = tuple(Days(first, first + timedelta(days=more)) for first, more in freezes)
        window = Window(9 * 60, 17 * 60, frozenset(weekdays), on_holidays=False, frozen=frozen, last_day=last)

        slots = list(planner.plan([a_campaign(window, emails=60)], [BOX], [], starts))

        days = {warsaw_day(slot.at) for slot in slots}
        assert not [day for day in days if is_holiday(day) or any(day in each for each in frozen)]
        assert all(day.weekday() in weekdays and (last is None or day <= last) for day in days)
        assert last is not None or len(slots) == 60
