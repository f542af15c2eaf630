"""Waiting for a condition, with a bound: the only way in which tests let time pass."""

import threading
from collections.abc import Callable

import clock
from scheduling.window import warsaw_day, warsaw_day_bounds

# Seconds until a test takes it that what it waits for does not come. A busy machine may need very long.
BOUND = 240


def until(condition: Callable[[], object], what: str, seconds: float = BOUND) -> None:
    deadline = clock.boottime() + seconds
    while not condition():
        assert clock.boottime() < deadline, f"waited {seconds} s for {what}"
        threading.Event().wait(0.05)


def past_midnight(seconds: float) -> None:
    """Wait for the next Warsaw day if this one ends sooner, so that everything a test counts falls on one day."""
    _, midnight = warsaw_day_bounds(warsaw_day(clock.now()))
    if (midnight - clock.now()).total_seconds() < seconds:
        until(lambda: clock.now() >= midnight, "midnight")
