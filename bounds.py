"""Minimum and maximum of every input number, from files, commands, settings or the API. Imports nothing.

The database's CHECKs have the same bounds; a test compares both.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan


class OutOfBounds(ValueError):
    """A number that is too small or too large, or not a number."""


@dataclass(frozen=True)
class Bounds:
    least: float
    most: float

    def check(self, value: float) -> None:
        """Raise OutOfBounds with what would be right."""
        if isnan(value):
            raise OutOfBounds("must be a number")
        if value < self.least:
            raise OutOfBounds(f"must be at least {written(self.least)}")
        if value > self.most:
            raise OutOfBounds(f"must be at most {written(self.most)}")


_DAY = 86_400
# Far larger than needed, and small enough that sums fit into dates and columns.
CAMPAIGN = {
    "delay_seconds": Bounds(0.001, 7 * _DAY),  # times are whole milliseconds
    "daily_limit": Bounds(1, 1_000_000),
}
SEQUENCE = {
    "new_leads_per_day": Bounds(1, 1_000_000),
    "follow_up_share": Bounds(1, 100),  # %
}
MAILBOX = {
    "daily_limit": Bounds(0, 1_000_000),
    "gap_seconds": Bounds(0, _DAY),
    "smtp_port": Bounds(1, 65_535),
    "imap_port": Bounds(1, 65_535),
}
RAMP = {"ramp_start": Bounds(1, 1_000_000), "ramp_step": Bounds(1, 1_000_000)}
WARMUP = {"count": Bounds(0, 1_000_000)}
PORT = Bounds(1, 65_535)
HIGHEST_ID = 2**63 - 1  # Postgres bigint


def check(bounds: Mapping[str, Bounds], values: Mapping[str, object]) -> None:
    """Raise OutOfBounds, naming the first value that is out of its bounds. Values without bounds are not checked."""
    for name, value in values.items():
        if name in bounds and isinstance(value, int | float):
            try:
                bounds[name].check(value)
            except OutOfBounds as error:
                raise OutOfBounds(f"{name.replace('_', ' ')}: {error}") from None


def written(number: float) -> str:
    """Formatted for people, without an exponent: 1,000,000 and 0.001."""
    return f"{int(number):,}" if number == round(number) else f"{number:,}"
