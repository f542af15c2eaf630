"""A campaign's forecast: its calendar if it ran from now on beside the campaigns that are active."""

from dataclasses import dataclass
from datetime import datetime

from models.planning import plans
from models.states import Status
from models.store.tables import CampaignEmailQueue
from scheduling import planner
from scheduling.planner import Slot, Unplannable

Q = CampaignEmailQueue

# A page plays no more than these: each takes about 0.1 ms.
_MOST_EMAILS = 5000


@dataclass(frozen=True)
class Future:
    """Slots for the first of the e-mails not planned yet, and the time of the last one."""

    slots: list[Slot]  # in the order of their times
    ends_at: datetime | None  # None: nothing will be sent; or, if there are slots, more follow after the last one


def forecast(campaign_id: int, most_emails: int | None = None) -> list[Slot]:
    """Slots for the e-mails not planned yet, if nobody answers; or for the first most_emails leads. Writes nothing.

    Raises Unplannable if the planner fails for this campaign.
    """
    seen = plans.situation([campaign_id], forecast=True, most_emails=most_emails)
    return list(planner.plan(seen.campaigns, seen.mailboxes, seen.taken, seen.now, due=seen.due, expected=True))


def future(campaign_id: int, most_emails: int = _MOST_EMAILS) -> Future:
    """The forecast for a page: bounded, so that it is fast enough."""
    try:
        slots = forecast(campaign_id, most_emails + 1)
    except Unplannable:  # the tick logs why; the page must still be shown
        slots = []
    if len(slots) > most_emails:
        return Future(slots[:most_emails], None)
    last = Q.select(Q.scheduled_at).where(Q.campaign == campaign_id, Q.status == Status.PENDING)
    planned = [row.scheduled_at for row in last.order_by(Q.scheduled_at.desc()).limit(1)]
    return Future(slots, max([*planned, *(slot.at for slot in slots)], default=None))
