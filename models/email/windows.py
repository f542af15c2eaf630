"""The window of a campaign, as its row and the days frozen for all campaigns say."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import starmap
from typing import Protocol

from models.store.database import row
from scheduling.window import Days, Window

# Yesterday in UTC may still be today in Warsaw, and the other way round.
_ONES = "FROM frozen_days f WHERE f.last_day >= CURRENT_DATE - 1 ORDER BY f.id"
_FROZEN = f"ARRAY(SELECT f.first_day {_ONES}) AS frozen_from, ARRAY(SELECT f.last_day {_ONES}) AS frozen_to"
# Of a row `c` of campaign: the columns of WindowRow.
COLUMNS = f"c.window_start_minute, c.window_end_minute, c.weekdays, c.send_on_holidays, c.last_day, {_FROZEN}"


@dataclass(frozen=True, kw_only=True)
class WindowRow:
    """The columns that COLUMNS selects."""

    window_start_minute: int
    window_end_minute: int
    weekdays: list[int]
    send_on_holidays: bool
    last_day: date | None
    frozen_from: list[date]
    frozen_to: list[date]

    @property
    def window(self) -> Window:
        """The campaign's window. Raises WindowInvalid if the row is unusable."""
        return window_of(self, _days(self.frozen_from, self.frozen_to))


class Columns(Protocol):
    """The columns of a campaign's row that its window depends on."""

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


def window_of(campaign: Columns, frozen: tuple[Days, ...]) -> Window:
    """The campaign's window, closed on the frozen days. Raises WindowInvalid if the row is unusable."""
    return Window(
        campaign.window_start_minute,
        campaign.window_end_minute,
        frozenset(campaign.weekdays),
        on_holidays=campaign.send_on_holidays,
        frozen=frozen,
        last_day=campaign.last_day,
    )


@dataclass(frozen=True)
class _Frozen:
    frozen_from: list[date]
    frozen_to: list[date]


def frozen_days() -> tuple[Days, ...]:
    """The days frozen for all campaigns, without those that are over."""
    found = row(_Frozen, f"SELECT {_FROZEN}")
    return _days(found.frozen_from, found.frozen_to) if found else ()


def _days(starts: Sequence[date], ends: Sequence[date]) -> tuple[Days, ...]:
    return tuple(starmap(Days, zip(starts, ends, strict=True)))
