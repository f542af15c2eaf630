"""Previews which e-mails an order would move: runs the tick's planning in a transaction that is rolled back."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from models.planning import plans
from models.store.database import database, rows
from scheduling import planner
from scheduling.planner import CurrentSlot, Slot


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
SELECT campaign_id, campaign_lead_id AS lead_id, step_id, mailbox_id, scheduled_at AS at FROM campaign_email_queue
WHERE status = 'pending' AND campaign_id = ANY(%s)
"""


class _Key(NamedTuple):
    campaign_id: int
    lead_id: int
    step_id: int


_Slots = dict[_Key, CurrentSlot]


def of(order: Callable[[], object], campaign_ids: Collection[int]) -> list[Shift]:
    """How an order would move these campaigns' pending e-mails.

    order: the use case; it is carried out and rolled back. Raises what the order raises. Campaigns without any moved
    e-mail are left out.
    """
    reasons_before = plans.to_replan()
    with database.atomic() as transaction:
        order()
        reasons = {id: it for id, it in plans.to_replan().items() if id in campaign_ids}
        orders = {id: it for id, it in reasons.items() if it in plans.ORDERS}
        asked = orders | {id: it for id, it in reasons.items() if reasons_before.get(id) != it}
        seen = plans.situation(asked, again=True, orders=orders)
        before = _slots(rows(Slot, PENDING, (list(asked),)))
        transaction.rollback()
    after = before | _slots(planner.plan(seen.campaigns, seen.mailboxes, seen.taken, seen.now))
    return [shift for it in asked if (shift := _shift(it, before, after))]


def _slots(slots: Iterable[Slot]) -> _Slots:
    return {_Key(it.campaign_id, it.lead_id, it.step_id): CurrentSlot(it.mailbox_id, it.at) for it in slots}


def _shift(campaign_id: int, before: _Slots, after: _Slots) -> Shift | None:
    keys = [key for key in before if key.campaign_id == campaign_id]
    moved = sum(before[key] != after[key] for key in keys)
    if not moved:
        return None
    was, will_be = [before[key].at for key in keys], [after[key].at for key in keys]
    return Shift(campaign_id, moved, min(was), min(will_be), max(was), max(will_be))
