"""How long a follow-up waits after the e-mail before it. Pure.

Working days are Monday to Friday without Polish public holidays. They and days keep the time of the Warsaw wall clock;
shorter waits are exact.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import lru_cache

from scheduling.holidays import is_holiday
from scheduling.window import WARSAW

LONGEST_DAYS = 365


class Unit(StrEnum):
    SECONDS = "seconds"
    MINUTES = "minutes"
    HOURS = "hours"
    DAYS = "days"
    WORKING_DAYS = "working days"


# The most of each that a wait may have.
MOST = {
    Unit.SECONDS: LONGEST_DAYS * 86_400,
    Unit.MINUTES: LONGEST_DAYS * 1440,
    Unit.HOURS: LONGEST_DAYS * 24,
    Unit.DAYS: LONGEST_DAYS,
    Unit.WORKING_DAYS: LONGEST_DAYS * 5 // 7,
}
_EXACT = {
    Unit.SECONDS: timedelta(seconds=1),
    Unit.MINUTES: timedelta(minutes=1),
    Unit.HOURS: timedelta(hours=1),
}
# A follow-up needs a look into its mailbox's inbox that begins after the wait. It is planned so much later that the
# look does not delay it; after a short wait, which is for trying out, only a little.
TIME_TO_LOOK, SHORT_TIME_TO_LOOK = timedelta(minutes=2), timedelta(seconds=5)
_SHORT = (Unit.SECONDS, Unit.MINUTES)
_TEXT = re.compile(r"(\d{1,9}) +(seconds?|minutes?|hours?|days?|working +days?)", re.ASCII)
_DAY = timedelta(days=1)


class WaitInvalid(ValueError):
    """The wait is not valid."""


class WaitOutOfBounds(WaitInvalid):
    """The wait is not positive, or too long."""

    def __init__(self, unit: Unit, most: int) -> None:
        super().__init__(f"a wait in {unit} must be between 1 and {most:,}")
        self.unit, self.most = unit, most


@dataclass(frozen=True)
class Wait:
    count: int
    unit: Unit

    def __post_init__(self) -> None:
        most = MOST[self.unit]
        if not 1 <= self.count <= most:
            raise WaitOutOfBounds(self.unit, most)

    def __str__(self) -> str:
        return f"{self.count} {self.unit.removesuffix('s') if self.count == 1 else self.unit}"

    def ends(self, at: datetime) -> datetime:
        """When the wait is over, in UTC, for an e-mail that was sent at this time."""
        if self.unit in _EXACT:
            return at.astimezone(UTC) + self.count * _EXACT[self.unit]
        local = at.astimezone(WARSAW)
        day = _later(local.date(), self.count, self.unit is Unit.WORKING_DAYS)
        return datetime.combine(day, local.timetz()).astimezone(UTC)

    def due(self, ends_at: datetime) -> datetime:
        """When the follow-up may be planned at the earliest, if its wait ends at this time."""
        return ends_at + (SHORT_TIME_TO_LOOK if self.unit in _SHORT else TIME_TO_LOOK)


def parsed(text: str) -> Wait:
    """Parse a wait like "3 working days". Raises WaitInvalid."""
    found = _TEXT.fullmatch(text.strip().lower())
    if found is None:
        raise WaitInvalid(f'{text[:60]!r} is not a wait like "3 working days", "2 days" or "4 hours"')
    unit = " ".join(found[2].split())
    return Wait(int(found[1]), Unit(unit if unit.endswith("s") else f"{unit}s"))


def working_days_before(at: datetime, count: int) -> datetime:
    """The same time of day, so many working days earlier."""
    local = at.astimezone(WARSAW)
    day = local.date()
    while count:
        day -= _DAY
        count -= is_working_day(day)
    return datetime.combine(day, local.timetz()).astimezone(UTC)


def is_working_day(day: date) -> bool:
    return day.weekday() < 5 and not is_holiday(day)


@lru_cache(maxsize=4096)
def _later(day: date, count: int, only_working: bool) -> date:
    if not only_working:
        return day + count * _DAY
    while count:
        day += _DAY
        count -= is_working_day(day)
    return day
