"""Previews which e-mails an order would move: runs the tick's planning in a transaction that is rolled back."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

from models.planning import plans
from models.store.database import database, fetch
from scheduling import planner


@dataclass(frozen=True)
class Shift:
    """How an order would move one campaign's pending e-mails."""

    campaign_id: int
    moved: int
    first_before: datetime
    first_after: datetime
    last_before: datetime
    last_after: datetime


PENDING = """
SELECT campaign_id, campaign_lead_id, step_id, mailbox_id, scheduled_at FROM campaign_email_queue
WHERE status = 'pending' AND campaign_id = ANY(%s)
"""


def of(order: Callable[[], object], campaign_ids: Collection[int]) -> list[Shift]:
    """order: the use case, which marks these campaigns for replanning. It is rolled back.

    Raises what the order raises. Campaigns without any moved e-mail are left out.
    """
    with database.atomic() as transaction:
        order()
        reasons = plans.to_replan()
        asked = {it: reasons[it] for it in reasons if it in campaign_ids and reasons[it] in plans.ORDERS}
        seen = plans.situation(asked, again=True, orders=asked)
        before = {row[:3]: row[3:] for row in fetch(PENDING, (list(asked),))}
        transaction.rollback()
    after = dict(before)
    for slot in planner.plan(seen.campaigns, seen.mailboxes, seen.taken, seen.now):
        after[slot.campaign_id, slot.lead_id, slot.step_id] = (slot.mailbox_id, slot.at)
    return [shift for it in asked if (shift := _shift(it, before, after))]


Places = dict[tuple[int, int, int], tuple[int, datetime]]  # campaign, campaign lead, step -> mailbox, time


def _shift(campaign_id: int, before: Places, after: Places) -> Shift | None:
    keys = [key for key in before if key[0] == campaign_id]
    moved = sum(before[key] != after[key] for key in keys)
    if not moved:
        return None
    was, will_be = [before[key][1] for key in keys], [after[key][1] for key in keys]
    return Shift(campaign_id, moved, min(was), min(will_be), max(was), max(will_be))
