"""What the latest examination of each invariant found, kept for those who watch."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from models.health import invariants
from models.health.invariants import Rule
from models.store.database import FAILURES, clock, fetch, rows, took_too_long
from models.store.tables import Finding

_LOCK = 5_209_317_764  # an arbitrary number that nothing else in this database locks
# All rules together must end before RabbitMQ takes the message back from a consumer that holds it for half an hour.
LONGEST_SECONDS = 120.0


def check_all(longest_seconds: float = LONGEST_SECONDS) -> list[str]:
    """Ask every rule and keep what was found. Returns the rules that were asked: none while another examination runs.

    Each is asked by itself: one snapshot for as long as all take would keep Postgres from cleaning up meanwhile. A rule
    that takes longer keeps its last finding, which grows old.
    """
    with _alone() as alone:
        return [rule.slug for rule in invariants.RULES if alone and _ask(rule, longest_seconds)]


@dataclass(frozen=True)
class FindingRow:
    """What the latest examination of a rule came to."""

    rule: str
    violations: int
    example: str | None
    checked_at: datetime


EVERY = "SELECT rule, violations, example, checked_at FROM finding ORDER BY rule"


def every() -> dict[str, FindingRow]:
    """Rule -> its latest finding; nothing of a rule that was not asked yet."""
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
def _alone() -> Iterator[bool]:
    """Whether nobody else examines. A process that dies gives the lock back with its session."""
    got: bool = fetch("SELECT pg_try_advisory_lock(%s)", (_LOCK,))[0][0]
    try:
        yield got
    finally:
        if got:
            fetch("SELECT pg_advisory_unlock(%s)", (_LOCK,))
