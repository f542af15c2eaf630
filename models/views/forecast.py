"""What a campaign has before it: its calendar, were it to run from now on beside those that are running."""

from dataclasses import dataclass
from datetime import datetime

from models.planning import plans
from models.states import Status
from models.store.tables import CampaignEmailQueue
from scheduling import planner
from scheduling.planner import Slot, Unplannable

Q = CampaignEmailQueue

# A page waits for no more than these: each costs about a tenth of a millisecond.
_MOST_EMAILS = 5000


@dataclass(frozen=True)
class Future:
    """Where the first of the e-mails that are not planned yet would go, and when the last of all would."""

    slots: list[Slot]  # in the order of their times
    ends_at: datetime | None  # None: none will go; or, where there are slots, some will go after the last of them


def forecast(campaign_id: int, most_emails: int | None = None) -> list[Slot]:
    """Where the e-mails that are not planned yet would go, or the first of them. Writes nothing.

    Raises Unplannable where the planner fails at it.
    """
    seen = plans.situation([campaign_id], forecast=True, most_emails=most_emails)
    return list(planner.plan(seen.campaigns, seen.mailboxes, seen.taken, seen.now))


def future(campaign_id: int, most_emails: int = _MOST_EMAILS) -> Future:
    """What is played of it is bounded, so that a page may ask."""
    try:
        slots = forecast(campaign_id, most_emails + 1)
    except Unplannable:  # the tick says why; its page is to be seen all the same
        slots = []
    if len(slots) > most_emails:
        return Future(slots[:most_emails], None)
    last = Q.select(Q.scheduled_at).where(Q.campaign == campaign_id, Q.status == Status.PENDING)
    planned = [row.scheduled_at for row in last.order_by(Q.scheduled_at.desc()).limit(1)]
    return Future(slots, max([*planned, *(slot.at for slot in slots)], default=None))
