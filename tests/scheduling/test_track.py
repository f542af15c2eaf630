"""Taken times, kept by the hour, against a plain list of them."""

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from scheduling.plan_types import whole
from scheduling.track import Track
from tests.scheduling.test_planner import TUESDAY

moments = st.integers(0, 400).map(lambda minutes: TUESDAY + timedelta(minutes=minutes))
orders = st.lists(st.tuples(st.sampled_from(["add", "pass", "ask"]), moments), max_size=60)


class Plain:
    """The same as it would be written without a thought of its speed."""

    def __init__(self, gap: timedelta) -> None:
        self.gap = gap
        self.times: list[datetime] = []

    def free_from(self, at: datetime) -> datetime:
        for time in sorted(self.times):
            if at - self.gap < time < at + self.gap:
                at = whole(time + self.gap)
        return at

    def passed(self, at: datetime) -> datetime | None:
        first = min(self.times, default=None)
        if first is None or first > at:
            return None
        self.times.remove(first)
        return first


@given(orders, st.sampled_from([timedelta(seconds=1), timedelta(minutes=7), timedelta(minutes=150)]))
def test_a_track_adds_passes_and_finds_free_times_as_a_list_does(
    given: list[tuple[str, datetime]], gap: timedelta
) -> None:
    track, plain = Track(gap), Plain(gap)
    has_passed = False
    for order, at in given:
        if order == "add":
            track.add(at)
            plain.times.append(at)
        elif order == "pass":
            has_passed = True
            assert track.passed(at) == plain.passed(at)
        elif not has_passed:  # a stretch that was full stays so, though what filled it was passed
            assert track.free_from(at) == plain.free_from(at)
        assert track.first_at == min(plain.times, default=None)
