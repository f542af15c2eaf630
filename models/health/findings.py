"""Stores the latest result of each invariant's check, for monitoring."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from models.health import invariants
from models.health.invariants import Rule
from models.store.database import FAILURES, clock, fetch, rows, took_too_long
from models.store.tables import Finding

_LOCK = 5_209_317_764  # an arbitrary number that nothing else in this database locks
# All rules together must finish before RabbitMQ's consumer timeout of 30 minutes.
LONGEST_SECONDS = 120.0


def check_all(longest_seconds: float = LONGEST_SECONDS) -> list[str]:
    """Check every rule and store the results. Returns the rules checked: none if another check is running.

    Each rule has its own transaction: one long snapshot would keep Postgres from vacuuming. A rule that takes longer
    than longest_seconds keeps its last result and date.
    """
    with _try_lock() as locked:
        return [rule.slug for rule in invariants.RULES if locked and _ask(rule, longest_seconds)]


@dataclass(frozen=True)
class FindingRow:
    """The latest result of a rule."""

    rule: str
    violations: int
    example: str | None
    checked_at: datetime


EVERY = "SELECT rule, violations, example, checked_at FROM finding ORDER BY rule"


def every() -> dict[str, FindingRow]:
    """Rule -> its latest result; rules not checked yet are missing."""
    return {found.rule: found for found in rows(FindingRow, EVERY)}


def _ask(rule: Rule, longest_seconds: float) -> bool:
    at = clock()
    try:
        found = invariants.ask(rule, longest_seconds)
    except FAILURES as failure:
        if not took_too_long(failure):
            raise
        return False
    values = {"violations": found.violations, "example": found.broken_by, "checked_at": at}
    Finding.insert(rule=rule.slug, **values).on_conflict(conflict_target=[Finding.rule], update=values).execute()
    return True


@contextmanager
def _try_lock() -> Iterator[bool]:
    """Whether no other process is checking. The session's lock ends with the process."""
    got: bool = fetch("SELECT pg_try_advisory_lock(%s)", (_LOCK,))[0][0]
    try:
        yield got
    finally:
        if got:
            fetch("SELECT pg_advisory_unlock(%s)", (_LOCK,))
