"""The steps of campaigns that have more than one, as the planner takes them."""

from collections import defaultdict
from collections.abc import Collection
from typing import NamedTuple

from models.store.database import rows
from scheduling.planner import Step
from scheduling.waits import Unit, Wait

STEPS = """
SELECT campaign_id, id, wait_count, wait_unit FROM campaign_step s
WHERE campaign_id = ANY(%s) AND s.removed_at IS NULL AND EXISTS (
    SELECT FROM campaign_step later
    WHERE later.campaign_id = s.campaign_id AND later.position > 1 AND later.removed_at IS NULL)
ORDER BY campaign_id, position
"""


class _Step(NamedTuple):
    campaign_id: int
    id: int
    wait_count: int | None
    wait_unit: str | None


def of(campaign_ids: Collection[int]) -> dict[int, tuple[Step, ...]]:
    """Campaign id -> its steps in order, for campaigns with more than one step."""
    found: defaultdict[int, list[Step]] = defaultdict(list)
    for it in rows(_Step, STEPS, (list(campaign_ids),)) if campaign_ids else ():
        found[it.campaign_id].append(Step(it.id, wait(it.wait_count, it.wait_unit)))
    return {campaign_id: tuple(steps) for campaign_id, steps in found.items()}


def wait(count: int | None, unit: str | None) -> Wait | None:
    """The wait in these columns; None if they are empty. Raises ValueError."""
    return None if count is None or unit is None else Wait(count, Unit(unit))
