"""Minimum and maximum of every input, from files, commands, settings or the API. Imports only messages.

The database's CHECKs have the same bounds; a test compares both.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan

from messages import Message, Number, Said, gettext_noop, of


class OutOfBounds(ValueError):
    """A number that is too small or too large, or not a number."""

    def __init__(self, said: Said, field: str = "") -> None:
        """Put the field's name before the message. "": whoever catches the error knows the field."""
        super().__init__(Message("%(field)s: %(said)s", field=field.replace("_", " "), said=said) if field else said)
        self.field, self.said = field, said


@dataclass(frozen=True)
class Bounds:
    least: float
    most: float

    def check(self, value: float) -> None:
        """Raise OutOfBounds with what would be right."""
        if isnan(value):
            raise OutOfBounds(Message(gettext_noop("must be a number")))
        if value < self.least:
            raise OutOfBounds(Message(gettext_noop("must be at least %(bound)s"), bound=Number(self.least)))
        if value > self.most:
            raise OutOfBounds(Message(gettext_noop("must be at most %(bound)s"), bound=Number(self.most)))


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
LONGEST_REASON = 1000  # characters of a person's reason


def check(bounds: Mapping[str, Bounds], values: Mapping[str, object]) -> None:
    """Raise OutOfBounds, naming the first value that is out of its bounds. Values without bounds are not checked."""
    for name, value in values.items():
        if name in bounds and isinstance(value, int | float):
            try:
                bounds[name].check(value)
            except OutOfBounds as error:
                raise OutOfBounds(of(error), name) from None
