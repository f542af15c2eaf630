"""The window of a campaign, as its row and the days frozen for all campaigns say."""

from collections.abc import Sequence
from datetime import date
from itertools import starmap
from typing import Protocol

from models.store.database import fetch
from scheduling.window import Days, Window

# Yesterday in UTC may still be today in Warsaw, and the other way round.
_ONES = "FROM frozen_days f WHERE f.last_day >= CURRENT_DATE - 1 ORDER BY f.id"
FROZEN = f"ARRAY(SELECT f.first_day {_ONES}) AS frozen_from, ARRAY(SELECT f.last_day {_ONES}) AS frozen_to"


class Row(Protocol):
    """Columns of a campaign."""

    @property
    def window_start_minute(self) -> int: ...
    @property
    def window_end_minute(self) -> int: ...
    @property
    def weekdays(self) -> Sequence[int]: ...
    @property
    def send_on_holidays(self) -> bool: ...
    @property
    def last_day(self) -> date | None: ...


def window_of(row: Row, frozen: tuple[Days, ...]) -> Window:
    """Raises WindowInvalid if the row is unusable."""
    return Window(
        row.window_start_minute,
        row.window_end_minute,
        frozenset(row.weekdays),
        on_holidays=row.send_on_holidays,
        frozen=frozen,
        last_day=row.last_day,
    )


def frozen_days() -> tuple[Days, ...]:
    """Those that are not over."""
    [(starts, ends)] = fetch(f"SELECT {FROZEN}")
    return days(starts, ends)


def days(starts: Sequence[date], ends: Sequence[date]) -> tuple[Days, ...]:
    return tuple(starmap(Days, zip(starts, ends, strict=True)))
