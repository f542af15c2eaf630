"""What a reply stops besides the lead's further e-mails in the campaign: a campaign's own switches.

Also set by the campaign file: see owner/campaigns.py.
"""

from typing import NamedTuple

from models.audit import changes
from models.email import locks
from models.owner.campaigns import NoSuchCampaign
from models.store.database import database
from models.store.tables import Campaign


class Stops(NamedTuple):
    in_all_campaigns: bool
    colleagues: bool  # the leads at the same domain


def of(campaign_id: int) -> Stops:
    row = Campaign.get_by_id(campaign_id)
    return Stops(row.stop_in_all_campaigns, row.stop_colleagues)


def change(campaign_id: int, by: str, *, in_all_campaigns: bool | None = None, colleagues: bool | None = None) -> Stops:
    """Set what replies that are read from now on stop. None leaves a switch unchanged."""
    given = {"stop_in_all_campaigns": in_all_campaigns, "stop_colleagues": colleagues}
    fresh: dict[str, object] = {name: value for name, value in given.items() if value is not None}
    with database.atomic():
        rows = locks.lock_campaigns([campaign_id])
        if not rows:
            raise NoSuchCampaign(f"there is no campaign {campaign_id}")
        if fresh:
            Campaign.update(fresh).where(Campaign.id == campaign_id).execute()
            changes.record(rows[0], fresh, by, "edit")
    return of(campaign_id)
