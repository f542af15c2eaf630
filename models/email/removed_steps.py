"""Follow-ups that became pending after their step was removed: their attempt was put off, or a person reopened them."""

from models.email import batch_moves, locks
from models.store.database import database, fetch

LEFT = """
SELECT DISTINCT s.campaign_id FROM campaign_step s
JOIN campaign_email_queue q ON q.campaign_id = s.campaign_id AND q.step_id = s.id AND q.status = 'pending'
    AND q.predecessor_id IS NOT NULL
WHERE s.removed_at IS NOT NULL ORDER BY s.campaign_id
"""


def cancel_left(by: str) -> int:
    """Cancel pending follow-ups of removed steps; their leads go on with the next step. Returns how many.

    No gate lets them be claimed before.
    """
    count = 0
    for (campaign_id,) in fetch(LEFT):
        with database.atomic():
            locks.lock_campaigns([campaign_id])
            count += batch_moves.skip_removed(campaign_id, by)
    return count
