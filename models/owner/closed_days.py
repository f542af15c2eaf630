"""Days on which no campaign sends: an owner freezes them for all campaigns and takes that back."""

from dataclasses import dataclass
from datetime import date

from models.audit import changes
from models.email import locks
from models.states import CampaignStatus
from models.store import tick_request
from models.store.database import database, execute, rows
from models.store.tables import Campaign
from reasons import Code
from scheduling.window import Days


class FreezeInvalid(Exception):
    """These days cannot be frozen."""


@dataclass(frozen=True)
class Frozen:
    id: int
    first_day: date
    last_day: date
    reason: str


ADD = "INSERT INTO frozen_days (first_day, last_day, reason) VALUES (%(first)s, %(last)s, %(reason)s)"


def freeze(days: Days, reason: str, by: str) -> None:
    """Send nothing on these Warsaw days. What is planned there moves at the next tick, with the reason `holiday`."""
    if days.last < days.first:
        raise FreezeInvalid("the last day must not be before the first")
    if (days.last - days.first).days >= 366:
        raise FreezeInvalid("at most 366 days can be frozen at once: pause the campaigns instead")
    with database.atomic():
        _lock_active()
        execute(ADD, {"first": days.first, "last": days.last, "reason": reason})
        _order(Frozen(0, days.first, days.last, reason), by, is_frozen=True)


REMOVE = """
DELETE FROM frozen_days WHERE first_day = %(first)s AND last_day = %(last)s RETURNING id, first_day, last_day, reason
"""


def release(days: Days, by: str) -> bool:
    """Allow sending on them again; active campaigns are planned again. False: exactly these days were not frozen."""
    with database.atomic():
        _lock_active()
        found = rows(Frozen, REMOVE, {"first": days.first, "last": days.last})
        for each in found:
            _order(each, by, is_frozen=False)
        if found:
            Campaign.update(replan_reason=Code.EDITED).where(Campaign.status == CampaignStatus.ACTIVE).execute()
    return bool(found)


EVERY = "SELECT id, first_day, last_day, reason FROM frozen_days ORDER BY first_day, id"


def every() -> list[Frozen]:
    return rows(Frozen, EVERY)


def _lock_active() -> None:
    """Lock active campaigns in the order that everybody keeps: one UPDATE of several locks them in any order."""
    locks.lock_campaigns(row.id for row in Campaign.select(Campaign.id).where(Campaign.status == CampaignStatus.ACTIVE))


def _order(it: Frozen, by: str, *, is_frozen: bool) -> None:
    shown = f"{it.first_day} to {it.last_day}: {it.reason}"
    values: list[object] = [None, shown] if is_frozen else [shown, None]
    changes.record_of_installation({"frozen_days": values}, by, "freeze" if is_frozen else "release")
    # Plans that were computed without this order are outdated.
    Campaign.update(revision=Campaign.revision + 1).where(Campaign.status == CampaignStatus.ACTIVE).execute()
    tick_request.ask_for_tick()
