"""How long to wait before something is tried again."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from scheduling.backoff import delay


def seconds(before: int, draw: float = 0.5) -> float:
    return delay(before, 60, 4, 21_600, draw).total_seconds()


def test_each_pause_is_four_times_the_one_before_up_to_six_hours() -> None:
    assert [seconds(before) for before in range(7)] == [60, 240, 960, 3840, 15_360, 21_600, 21_600]


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_it_varies_by_a_fifth_at_most_and_never_overflows(before: int, draw: float) -> None:
    middle = delay(before, 60, 4, 21_600, 0.5)

    it = delay(before, 60, 4, 21_600, draw)

    assert middle * 0.8 - timedelta(seconds=1) <= it <= middle * 1.2 + timedelta(seconds=1)
