"""Where a day's marks stand on its axis."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from models.states import CampaignStatus, Status
from models.views.overview import CampaignHead, Standing
from models.views.responses import Responses
from models.views.today import CampaignDay, MovedAway, Stretch, TimeChange, TimelineMark
from reasons import Code, Reason
from scheduling.window import warsaw_day_bounds
from web import timeline_layout

NOON = datetime(2026, 11, 17, 11, 0, tzinfo=UTC)  # 12:00 in Warsaw


def a_line(*marks: TimelineMark, opens: datetime | None = None, closes: datetime | None = None) -> CampaignDay:
    campaign = CampaignHead(1, "Autumn", CampaignStatus.ACTIVE, Standing(None, Reason(Code.SENDING)), Responses())
    return CampaignDay(campaign, opens, closes, list(marks), 0, [], 0)


def a_mark(at: datetime, moved: TimeChange | None = None) -> TimelineMark:
    return TimelineMark(1, "anna@leads.example", "ola@sender.example", "pending", at, at, False, moved, 1)


def stretches(*marks: TimelineMark, width: timedelta) -> list[Stretch]:
    """Of one mark each."""
    return [Stretch(1, Status.PENDING, NOON + (mark.at - NOON) // width * width, 1, 0) for mark in marks]


def draw(now: datetime, lines: list[CampaignDay], *, hour: bool = False) -> timeline_layout.Picture:
    marks = [mark for line in lines for mark in line.marks]
    if hour:
        start, end = timeline_layout.hour_around(now)
        lines = [replace(line, marks=[it for it in line.marks if start <= it.at < end]) for line in lines]
        in_sight = [it for it in marks if start <= it.at < end]
        axis = timeline_layout.axis_around(now, stretches(*in_sight, width=timeline_layout.MINUTE))
    else:
        axis = timeline_layout.axis_of_day(now, lines, stretches(*marks, width=timeline_layout.QUARTER))
    return timeline_layout.draw(now, axis, lines, {}, {}, timeline_layout.QUARTER)


def labels(drawn: timeline_layout.Picture) -> list[str]:
    return [f"{tick.at:%H:%M}" for tick in drawn.axis.ticks]


class TestAWholeDay:
    def test_reaches_from_the_first_opening_to_the_last_closing(self) -> None:
        early = a_line(opens=NOON - timedelta(hours=4), closes=NOON)
        late = a_line(opens=NOON, closes=NOON + timedelta(hours=6, minutes=30))

        drawn = draw(NOON, [early, late])

        assert drawn.axis.start == NOON - timedelta(hours=4)
        assert drawn.axis.end == NOON + timedelta(hours=7)
        assert drawn.lines[0].open == pytest.approx((0, 4 / 11 * 100), abs=0.001)

    def test_has_room_for_marks_outside_every_window(self) -> None:
        lonely = a_mark(NOON + timedelta(hours=3, minutes=5))

        drawn = draw(NOON, [a_line(lonely, opens=NOON, closes=NOON + timedelta(hours=1))])

        assert drawn.axis.end == NOON + timedelta(hours=4)
        assert drawn.lines[0].marks[0].x == pytest.approx(185 / 240 * 100, abs=0.001)

    @pytest.mark.parametrize(("when", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25)])
    def test_is_as_long_as_the_day_that_the_clocks_change(self, when: date, hours: int) -> None:
        starts, ends = warsaw_day_bounds(when)

        drawn = draw(starts + timedelta(hours=12), [a_line(opens=starts, closes=ends)])

        assert (drawn.axis.end - drawn.axis.start) == timedelta(hours=hours)
        assert drawn.axis.place(ends) == 100

    def test_labels_no_more_hours_than_have_room(self) -> None:
        starts, ends = warsaw_day_bounds(NOON.date())

        ticks = draw(NOON, [a_line(opens=starts, closes=ends)]).axis.ticks

        assert len(ticks) == 13
        assert [tick.minor for tick in ticks[:3]] == [False, True, False]

    def test_keeps_now_at_the_edge_where_it_is_outside(self) -> None:
        closed = a_line(opens=NOON - timedelta(hours=4), closes=NOON - timedelta(hours=2))

        assert draw(NOON, [closed]).now_at == 100


class TestOverdue:
    def test_stands_at_the_edge_and_does_not_make_the_day_longer(self) -> None:
        begin, _ = warsaw_day_bounds(NOON.date())
        overdue = a_mark(begin - timedelta(minutes=2))

        drawn = draw(NOON, [a_line(overdue, opens=NOON, closes=NOON + timedelta(hours=4))])

        assert drawn.axis.start == NOON
        assert [placed.x for placed in drawn.lines[0].marks] == [0]
        assert drawn.lines[0].overdue == 1


class TestAroundNow:
    def test_shows_an_hour_and_only_its_marks(self) -> None:
        near, far = a_mark(NOON + timedelta(minutes=25)), a_mark(NOON + timedelta(hours=2))

        drawn = draw(NOON, [a_line(near, far)], hour=True)

        assert [placed.mark for placed in drawn.lines[0].marks] == [near]
        assert drawn.now_at == pytest.approx(100 / 3, abs=0.001)
        assert drawn.lines[0].marks[0].x == 75

    @pytest.mark.parametrize(("minutes", "whole"), [(1, 3), (9, 15), (11, 60)])
    def test_comes_as_close_as_the_marks_of_the_hour_let_it(self, minutes: int, whole: int) -> None:
        line = a_line(a_mark(NOON), a_mark(NOON + timedelta(minutes=minutes)))

        drawn = draw(NOON, [line], hour=True)

        assert drawn.axis.end - drawn.axis.start == timedelta(minutes=whole)
        assert len(drawn.lines[0].marks) == 2


class TestAMovedMail:
    def test_keeps_the_place_that_it_came_from(self) -> None:
        moved = TimeChange(NOON + timedelta(hours=1), NOON + timedelta(hours=2), "downtime", Reason(Code.DOWNTIME))
        line = a_line(a_mark(NOON + timedelta(hours=2), moved), opens=NOON, closes=NOON + timedelta(hours=4))

        [placed] = draw(NOON, [line]).lines[0].marks

        assert (placed.origin, placed.x) == (25, 50)

    def test_has_none_where_that_is_another_day(self) -> None:
        moved = TimeChange(NOON - timedelta(days=1), NOON, "limit", Reason(Code.LIMIT))
        line = a_line(a_mark(NOON, moved), opens=NOON, closes=NOON + timedelta(hours=4))

        assert draw(NOON, [line]).lines[0].marks[0].origin is None


def test_what_matters_lies_above_what_it_meets() -> None:
    unknown = TimelineMark(1, "a@b.example", "c@d.example", "unknown", NOON, NOON, False, None, 1)
    line = a_line(unknown, a_mark(NOON + timedelta(seconds=1)))

    assert [placed.mark.status for placed in draw(NOON, [line]).lines[0].marks] == ["pending", "unknown"]


class TestManyMoves:
    def some(self, count: int, reason: str = "downtime", apart: float = 10) -> list[TimelineMark]:
        return [
            a_mark(
                NOON + timedelta(hours=2, minutes=number),
                TimeChange(
                    NOON + timedelta(seconds=apart * number),
                    NOON + timedelta(hours=2, minutes=number),
                    reason,
                    Reason(Code(reason)),
                ),
            )
            for number in range(count)
        ]

    def line(self, *marks: TimelineMark) -> CampaignDay:
        return a_line(*marks, opens=NOON, closes=NOON + timedelta(hours=4))

    def test_are_one_band_that_tells_how_many_and_where_they_stood(self) -> None:
        drawn = draw(NOON, [self.line(*self.some(35))])

        [band] = drawn.lines[0].bands
        assert (band.count, band.why, band.is_away) == (35, Reason(Code.DOWNTIME), False)
        assert (band.first, band.last) == (NOON, NOON + timedelta(seconds=340))
        assert drawn.banded

    def test_are_a_band_for_each_reason_and_each_stretch(self) -> None:
        later = [
            a_mark(
                mark.at, TimeChange(mark.moved.at_from + timedelta(hours=1), mark.at, "downtime", Reason(Code.DOWNTIME))
            )
            for mark in self.some(14)
            if mark.moved
        ]

        bands = draw(NOON, [self.line(*self.some(14), *self.some(13, "mailbox"), *later)]).lines[0].bands

        assert [(str(band.why), band.count) for band in bands] == [
            (Code.MAILBOX.template, 13),
            (Code.DOWNTIME.template, 14),
            (Code.DOWNTIME.template, 14),
        ]

    def test_to_another_day_are_a_band_as_well(self) -> None:
        away = [
            MovedAway(number, "anna@leads.example", NOON, NOON + timedelta(days=1), "limit", Reason(Code.LIMIT))
            for number in range(35)
        ]
        line = replace(self.line(), moved_away=away)

        [drawn] = draw(NOON, [line]).lines

        assert [(band.count, band.is_away) for band in drawn.bands] == [(35, True)]
        assert drawn.left == []

    def test_a_few_are_drawn_one_by_one(self) -> None:
        [drawn] = draw(NOON, [self.line(*self.some(timeline_layout.FEW_MOVES))]).lines

        assert drawn.bands == []
        assert all(placed.origin is not None for placed in drawn.marks)
