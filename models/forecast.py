"""What a campaign has before it: its whole calendar, were it to run from now on beside those that are running."""

from datetime import datetime

from models import plans
from models.states import Status
from models.tables import CampaignEmailQueue
from scheduling import planner
from scheduling.planner import Slot

Q = CampaignEmailQueue


def forecast(campaign_id: int) -> list[Slot]:
    """Where the leads that have no e-mail yet would go. Writes nothing."""
    seen = plans.situation([campaign_id], forecast=True)
    return list(planner.plan(seen.campaigns, seen.mailboxes, seen.taken, seen.now))


def ends_at(campaign_id: int) -> datetime | None:
    """When the last of its mails will go. None: nothing is left to send."""
    last = Q.select(Q.scheduled_at).where(Q.campaign == campaign_id, Q.status == Status.PENDING)
    planned = [row.scheduled_at for row in last.order_by(Q.scheduled_at.desc()).limit(1)]
    return max([*planned, *(slot.at for slot in forecast(campaign_id))], default=None)
