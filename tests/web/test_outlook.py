"""A campaign's days as bars: what was, what is planned, and what the planner foresees."""

from datetime import date, timedelta

from models.views.mails import Day
from web import outlook

TODAY = date(2026, 11, 17)


def a_day(offset: int, **counts: int) -> Day:
    every = dict.fromkeys(("pending", "sending", "sent", "failed", "cancelled", "unknown"), 0)
    return Day(TODAY + timedelta(days=offset), **(every | counts))


def test_bars_stand_on_each_other_and_the_tallest_fills_the_height() -> None:
    _, today = outlook.days([a_day(-1, sent=5), a_day(0, sent=6, pending=4)], {}, TODAY)

    assert [(part.status, part.top, part.height) for part in today.parts] == [("sent", 40, 60), ("pending", 0, 40)]
    assert (today.when, today.total) == ("today", 10)


def test_days_between_are_shown_too() -> None:
    bars = outlook.days([a_day(0, sent=1), a_day(3, pending=1)], {}, TODAY)

    assert [bar.total for bar in bars] == [1, 0, 0, 1]
    assert [bar.when for bar in bars] == ["today", "future", "future", "future"]


def test_the_forecast_is_told_apart_from_what_is_planned() -> None:
    _, tomorrow = outlook.days([a_day(0, sent=1), a_day(1, pending=2)], {TODAY + timedelta(days=1): 3}, TODAY)

    assert [(part.status, part.count) for part in tomorrow.parts] == [("pending", 2), ("forecast", 3)]


def test_a_long_past_leaves_room_for_what_comes() -> None:
    bars = outlook.days([a_day(offset, sent=1) for offset in range(-40, 1)], {TODAY + timedelta(days=60): 1}, TODAY)

    assert len(bars) == 28
    assert bars[0].day == TODAY - timedelta(days=9)


def test_a_past_that_is_over_is_shown_to_its_end() -> None:
    bars = outlook.days([a_day(-30, sent=1), a_day(-28, sent=1)], {}, TODAY)

    assert [bar.day - TODAY for bar in bars] == [timedelta(days=-30), timedelta(days=-29), timedelta(days=-28)]


def test_nothing_is_no_bar() -> None:
    assert outlook.days([], {}, TODAY) == []
