"""Backoff between retries. Pure."""

from datetime import timedelta

_JITTER = 0.2
# With a pause or a narrow window an e-mail may get few attempts in days.
_FEWEST_ATTEMPTS = 3


def delay(before: int, first_seconds: float, factor: float, cap_seconds: float, draw: float) -> timedelta:
    """How long to wait: exponential and capped, with ±20 % jitter so that failures are not retried simultaneously.

    before: number of earlier tries; draw: a random number in [0, 1).
    """
    # The exponent is bounded so that a long series of faults cannot overflow.
    seconds = min(first_seconds * factor ** min(before, 50), cap_seconds)
    return timedelta(seconds=seconds * (1 - _JITTER + 2 * _JITTER * draw))


def is_given_up(attempts: int, age: timedelta, give_up_after: timedelta) -> bool:
    """Whether to stop retrying after temporary answers: by age, in days (RFC 5321 section 4.5.4.1).

    attempts: made so far, of which there must be _FEWEST_ATTEMPTS; age: since the first one.
    """
    return attempts >= _FEWEST_ATTEMPTS and age >= give_up_after
