"""The only place that reads the current time.

In-memory rules take `now` as an argument or call `now()`. What is stored or compared in SQL uses the database's own
clock instead.
"""

import time
from datetime import UTC, datetime


def now() -> datetime:
    return datetime.now(UTC)


def boottime() -> float:
    """Seconds since boot; never adjusted, and it also runs while the machine is suspended."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)
