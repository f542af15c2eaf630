"""How long to wait before something is tried again. Pure."""

from datetime import timedelta

_JITTER = 0.2
# A pause or a narrow window may leave a mail few attempts in days.
_FEWEST_ATTEMPTS = 3


def delay(before: int, first_seconds: float, factor: float, cap_seconds: float, draw: float) -> timedelta:
    """Exponential, capped, and varied by ±20 % so that what failed together does not come back together.

    before: how many tries there were before this one; draw: a random number in [0, 1).
    """
    # The exponent is bounded so that a long series of faults cannot overflow.
    seconds = min(first_seconds * factor ** min(before, 50), cap_seconds)
    return timedelta(seconds=seconds * (1 - _JITTER + 2 * _JITTER * draw))


def is_given_up(attempts: int, age: timedelta, give_up_after: timedelta) -> bool:
    """A temporary answer is given up by age, of days (RFC 5321 section 4.5.4.1).

    attempts: made so far; age: since the first of them.
    """
    return attempts >= _FEWEST_ATTEMPTS and age >= give_up_after
