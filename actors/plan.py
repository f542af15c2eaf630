"""The steps that give mails their times: new ones, and those whose time cannot stand."""

from collections.abc import Iterable
from itertools import groupby

from models import plans
from models.plans import Situation
from ops import logs
from scheduling import planner
from scheduling.planner import Slot

log = logs.get()
BY = "planner"


def plan_new() -> None:
    """Put leads into the queue up to the planning horizon."""
    seen = plans.situation()
    for campaign_id, slots in _by_campaign(seen):
        _write(campaign_id, slots, seen)


def replan() -> None:
    """Plan the pending mails of a campaign again where a gate says that they cannot stay where they are."""
    for campaign_id, reason in plans.to_replan().items():
        seen = plans.situation([campaign_id], again=True)
        slots = [slot for _, found in _by_campaign(seen) for slot in found]
        _write(campaign_id, slots, seen, reason)


def _by_campaign(seen: Situation) -> Iterable[tuple[int, list[Slot]]]:
    slots = sorted(planner.plan(seen.campaigns, seen.mailboxes, seen.taken, seen.now), key=lambda it: it.campaign_id)
    return [(campaign_id, list(found)) for campaign_id, found in groupby(slots, key=lambda it: it.campaign_id)]


def _write(campaign_id: int, slots: list[Slot], seen: Situation, reason: str | None = None) -> None:
    if plans.write(campaign_id, slots, seen, BY, reason) is None:
        # Its settings changed while its plan was made: the next tick plans from what is true then.
        log.info("plan_outdated", campaign_id=campaign_id)
