"""The only place that asks what time it is.

In-memory rules take `now` as an argument or call `now()`. What is stored or compared in SQL uses the database's own
clock instead.
"""

import time
from datetime import UTC, datetime


def now() -> datetime:
    return datetime.now(UTC)


def boottime() -> float:
    """Seconds since boot by a clock that nobody sets and that also counts the time a machine was suspended."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)
