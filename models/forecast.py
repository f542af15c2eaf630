"""What a campaign has before it: its calendar, were it to run from now on beside those that are running."""

from dataclasses import dataclass
from datetime import datetime

from models import plans
from models.states import Status
from models.tables import CampaignEmailQueue
from scheduling import planner
from scheduling.planner import Slot

Q = CampaignEmailQueue

# A page waits for no more than these: each costs about a tenth of a millisecond.
_MOST_LEADS = 5000


@dataclass(frozen=True)
class Ending:
    """When the last mail will go; or, not exactly: that some will go after this."""

    at: datetime
    is_exact: bool


def forecast(campaign_id: int, most_leads: int | None = None) -> list[Slot]:
    """Where the leads that have no e-mail yet would go, or the first of them. Writes nothing."""
    seen = plans.situation([campaign_id], forecast=True, most_leads=most_leads)
    return list(planner.plan(seen.campaigns, seen.mailboxes, seen.taken, seen.now))


def ending(campaign_id: int) -> Ending | None:
    """None: nothing is left to send, or no mailbox may send it."""
    slots = forecast(campaign_id, _MOST_LEADS + 1)
    is_exact = len(slots) <= _MOST_LEADS
    last = Q.select(Q.scheduled_at).where(Q.campaign == campaign_id, Q.status == Status.PENDING)
    planned = [row.scheduled_at for row in last.order_by(Q.scheduled_at.desc()).limit(1)]
    moments = [*planned, *(slot.at for slot in slots[:_MOST_LEADS])]
    return Ending(max(moments), is_exact) if moments else None


def ends_at(campaign_id: int) -> datetime | None:
    """When the last of its mails will go. None too where that is further off than is looked: see ending()."""
    found = ending(campaign_id)
    return found.at if found and found.is_exact else None
