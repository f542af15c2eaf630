"""When a campaign may send, in Warsaw, on every kind of day."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduling.window import DAY_MINUTES, WARSAW, Window, WindowInvalid, warsaw_day, warsaw_day_bounds, warsaw_days

ANY_DAY = frozenset(range(7))
WORKDAYS = frozenset(range(5))
SPRING = date(2026, 3, 29)  # 02:00 to 03:00 does not exist
AUTUMN = date(2026, 10, 25)  # 02:00 to 03:00 happens twice


def warsaw(year: int, month: int, day: int, hour: int = 0, minute: int = 0, fold: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=WARSAW, fold=fold).astimezone(UTC)


windows = st.builds(
    lambda minutes, days: Window(min(minutes), max(minutes), frozenset(days)),
    st.sets(st.integers(0, DAY_MINUTES), min_size=2, max_size=2),
    st.sets(st.integers(0, 6), min_size=1),
)
# Around both clock changes and the turn of the year, where the mistakes live.
instants = st.one_of(
    st.datetimes(datetime(2026, 3, 27), datetime(2026, 3, 31)),
    st.datetimes(datetime(2026, 10, 23), datetime(2026, 10, 27)),
    st.datetimes(datetime(2026, 12, 30), datetime(2027, 1, 2)),
    st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1)),
).map(lambda naive: naive.replace(tzinfo=UTC, microsecond=0))


class TestAnyWindow:
    @given(windows, instants)
    def test_is_open_exactly_when_the_wall_clock_says_so(self, window: Window, at: datetime) -> None:
        local = at.astimezone(WARSAW)

        minute = local.hour * 60 + local.minute

        assert window.is_open(at) == (
            local.weekday() in window.weekdays and window.start_minute <= minute < window.end_minute
        )

    @given(windows, instants)
    def test_the_next_opening_is_open_and_nothing_before_it_is(self, window: Window, at: datetime) -> None:
        opening = window.next_opening(at)

        assert opening >= at
        assert window.is_open(opening)
        if opening > at:
            assert not window.is_open(opening - timedelta(minutes=1))
            probes = [at + (opening - at) * part / 50 for part in range(50)]
            assert not any(window.is_open(probe) for probe in probes)

    @given(windows, instants)
    def test_it_is_open_until_its_closing_and_not_then(self, window: Window, at: datetime) -> None:
        opening = window.next_opening(at)
        closing = window.closing(opening)

        assert closing > opening
        probes = [opening + (closing - opening) * part / 50 for part in range(50)]
        assert all(window.is_open(probe) for probe in probes)
        if closing - opening < timedelta(days=14):
            assert not window.is_open(closing)


class TestAnOrdinaryWeek:
    window = Window(9 * 60, 17 * 60, WORKDAYS)

    def test_on_friday_evening_the_next_opening_is_monday_morning(self) -> None:
        assert self.window.next_opening(warsaw(2026, 11, 27, 17, 0)) == warsaw(2026, 11, 30, 9, 0)

    def test_the_end_is_not_inside(self) -> None:
        assert self.window.is_open(warsaw(2026, 11, 27, 16, 59))
        assert not self.window.is_open(warsaw(2026, 11, 27, 17, 0))

    def test_the_wall_clock_counts_in_summer_and_in_winter(self) -> None:
        assert self.window.next_opening(warsaw(2026, 7, 1, 1)) == datetime(2026, 7, 1, 7, tzinfo=UTC)
        assert self.window.next_opening(warsaw(2026, 12, 1, 1)) == datetime(2026, 12, 1, 8, tzinfo=UTC)

    def test_it_goes_on_over_the_turn_of_the_year(self) -> None:
        assert self.window.next_opening(warsaw(2026, 12, 31, 18)) == warsaw(2027, 1, 1, 9)

    def test_a_window_around_the_clock_never_closes(self) -> None:
        window = Window(0, DAY_MINUTES, ANY_DAY)

        assert window.closing(warsaw(2026, 11, 27, 12)) > warsaw(2026, 12, 5)


class TestTheSpringSunday:
    def test_a_window_inside_the_missing_hour_opens_a_day_later(self) -> None:
        window = Window(2 * 60 + 15, 2 * 60 + 45, ANY_DAY)

        assert window.next_opening(warsaw(2026, 3, 29)) == warsaw(2026, 3, 30, 2, 15)

    def test_one_that_starts_in_it_opens_when_it_is_over(self) -> None:
        window = Window(2 * 60 + 30, 4 * 60, ANY_DAY)

        assert window.next_opening(warsaw(2026, 3, 29)) == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)
        assert window.closing(datetime(2026, 3, 29, 1, 30, tzinfo=UTC)) == warsaw(2026, 3, 29, 4)

    def test_the_day_has_23_hours(self) -> None:
        begin, end = warsaw_day_bounds(SPRING)

        assert end - begin == timedelta(hours=23)


class TestTheAutumnSunday:
    def test_a_window_inside_the_doubled_hour_opens_twice(self) -> None:
        window = Window(2 * 60 + 15, 2 * 60 + 45, ANY_DAY)

        first = window.next_opening(warsaw(2026, 10, 25))
        second = window.next_opening(window.closing(first))

        assert first == datetime(2026, 10, 25, 0, 15, tzinfo=UTC)
        assert second == datetime(2026, 10, 25, 1, 15, tzinfo=UTC)

    def test_one_across_it_stays_open_an_hour_longer(self) -> None:
        window = Window(60, 4 * 60, ANY_DAY)
        opening = window.next_opening(warsaw(2026, 10, 25))

        assert window.closing(opening) - opening == timedelta(hours=4)

    def test_the_day_has_25_hours(self) -> None:
        begin, end = warsaw_day_bounds(AUTUMN)

        assert end - begin == timedelta(hours=25)
        assert warsaw_day(end - timedelta(milliseconds=1)) == AUTUMN


class TestAWindowThatMakesNoSense:
    @pytest.mark.parametrize(("start", "end"), [(600, 600), (700, 600), (-1, 600), (600, 1441)])
    def test_without_a_stretch_of_time_is_refused(self, start: int, end: int) -> None:
        with pytest.raises(WindowInvalid, match="must start before it ends"):
            Window(start, end, ANY_DAY)

    @pytest.mark.parametrize("days", [frozenset(), frozenset({7}), frozenset({-1})])
    def test_without_a_weekday_is_refused(self, days: frozenset[int]) -> None:
        with pytest.raises(WindowInvalid, match="weekday"):
            Window(540, 1020, days)


def test_the_days_of_many_times_in_order_are_those_of_each() -> None:
    start = datetime(2026, 3, 27, 22, 59, 59, 999_999, tzinfo=UTC)
    times = [start + number * timedelta(minutes=17, microseconds=1) for number in range(400)]

    assert list(warsaw_days([times[0], *times])) == [warsaw_day(at) for at in [times[0], *times]]
    assert list(warsaw_days([])) == []
