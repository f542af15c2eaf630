"""Lines with more e-mails than can be drawn one by one: which they are, and their bars."""

from datetime import UTC, datetime, timedelta

import pytest

from models.states import Status
from models.views.today import Stretch
from web import timeline_bars

NOON = datetime(2026, 11, 17, 11, 0, tzinfo=UTC)
QUARTER, HOUR = timedelta(minutes=15), timedelta(hours=1)


def a_stretch(number: int, count: int = 1, status: Status = Status.SENT, late: int = 0, id: int = 1) -> Stretch:
    return Stretch(id, status, NOON + number * QUARTER, count, late)


class TestWhichLines:
    @pytest.mark.parametrize(
        ("count", "is_few"), [(timeline_bars.MOST_OF_LINE, True), (timeline_bars.MOST_OF_LINE + 1, False)]
    )
    def test_are_drawn_one_by_one_depends_on_all_their_mails(self, count: int, is_few: bool) -> None:
        found = {1: [a_stretch(0, count - 1), a_stretch(9, status=Status.PENDING)]}

        assert (timeline_bars.few(found) == {1}) is is_few

    def test_all_together_have_a_bound_and_the_shortest_come_first(self) -> None:
        found = {id: [a_stretch(0, timeline_bars.MOST_OF_LINE - id, id=id)] for id in range(1, 101)}

        few = timeline_bars.few(found)

        drawn = [found[id][0].count for id in few]
        assert timeline_bars.MOST_MARKS - timeline_bars.MOST_OF_LINE < sum(drawn) <= timeline_bars.MOST_MARKS
        assert max(drawn) < min(found[id][0].count for id in set(found) - few)


class TestBars:
    def bars(self, *found: Stretch, hours: int = 4, width: timedelta = HOUR) -> list[timeline_bars.Bar]:
        return timeline_bars.bars(found, NOON, NOON + hours * HOUR, width)

    def test_count_every_mail_of_their_stretches_by_status(self) -> None:
        found = [
            a_stretch(0, 100),
            a_stretch(3, 20),
            a_stretch(3, 5, Status.FAILED),
            a_stretch(4, 60, Status.PENDING, 7),
        ]

        first, second = self.bars(*found)

        assert (first.counts, first.late, first.sign) == ({"sent": 120, "failed": 5}, 0, "failed")
        assert (second.counts, second.late, second.sign) == ({"pending": 60}, 7, None)
        assert (first.x, first.width, second.x) == (0, 25, 25)
        assert (first.begins, first.ends, second.ends) == (NOON, NOON + HOUR, NOON + 2 * HOUR)

    def test_are_as_high_as_their_counts_and_never_too_low_to_be_seen(self) -> None:
        tall, half, low = self.bars(a_stretch(0, 5000), a_stretch(4, 2500), a_stretch(8, 1))

        assert [sum(part.height for part in it.parts) for it in (tall, half)] == [100, 50]
        assert sum(part.height for part in low.parts) > 1
        assert [it.parts[-1].top + sum(part.height for part in it.parts) for it in (tall, half, low)] == [100] * 3

    def test_leave_out_what_is_overdue_from_before(self) -> None:
        assert [it.total for it in self.bars(a_stretch(-1, 500, Status.PENDING), a_stretch(0, 3))] == [3]

    @pytest.mark.parametrize("hours", [1, 9, 23, 24, 25])
    @pytest.mark.parametrize("lines", [1, 40, 1000])
    def test_of_all_lines_have_a_bound(self, hours: int, lines: int) -> None:
        full = [a_stretch(number) for number in range(4 * hours)]
        width = timeline_bars.width_of_bars(NOON, NOON + hours * HOUR, lines, QUARTER)

        bars = self.bars(*full, hours=hours, width=width)

        assert len(bars) * lines <= max(900, lines)
        assert len(bars) <= 30
        assert sum(it.total for it in bars) == 4 * hours
        assert max(it.ends for it in bars) == NOON + hours * HOUR

    def test_write_their_count_where_it_fits(self) -> None:
        narrow = self.bars(a_stretch(0, 12_345), a_stretch(1, 12), hours=8, width=QUARTER)

        assert [it.is_labelled for it in narrow] == [False, True]
