"""How long to wait before something is tried again. Pure."""

from datetime import timedelta

_JITTER = 0.2


def delay(before: int, first_seconds: float, factor: float, cap_seconds: float, draw: float) -> timedelta:
    """Exponential, capped, and varied by ±20 % so that what failed together does not come back together.

    before: how many tries there were before this one; draw: a random number in [0, 1).
    """
    # The exponent is bounded so that a long series of faults cannot overflow.
    seconds = min(first_seconds * factor ** min(before, 50), cap_seconds)
    return timedelta(seconds=seconds * (1 - _JITTER + 2 * _JITTER * draw))
