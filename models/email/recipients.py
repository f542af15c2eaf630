"""Which leads may be written to: the one rule, in SQL. What is still to come for them: see remaining.py.

The claim and the hand-over ask the same of one mail: see gates.lead_may_be_written_to.
"""

import config
from models.email import facts, gates, moves
from models.store.database import fetch

# Of a row `l` of campaign_lead. A scalar subquery, so that it is always answered from indexes, one lead at a time.
MAY_BE_WRITTEN_TO = """
(SELECT s.address IS NULL AND (NOT %(basis_required)s OR COALESCE(p.legal_basis, '') <> '')
 FROM lead p LEFT JOIN suppression s ON s.address = p.address WHERE p.id = l.lead_id)
"""
# So many a tick; the next ones find the rest.
_AT_ONCE = 1000

FORBIDDEN = """
SELECT q.id FROM campaign_email_queue q
JOIN campaign c ON c.id = q.campaign_id
JOIN campaign_lead l ON l.campaign_id = q.campaign_id AND l.id = q.campaign_lead_id
JOIN lead p ON p.id = l.lead_id
LEFT JOIN suppression s ON s.address = p.address
WHERE q.status = 'pending' AND c.status IN ('active', 'paused')
  AND (s.address IS NOT NULL OR (%(basis_required)s AND COALESCE(p.legal_basis, '') = ''))
  AND (%(address)s::text IS NULL OR p.address = %(address)s)
ORDER BY q.scheduled_at LIMIT %(at_once)s
"""


def rules() -> dict[str, bool]:
    """The values that the conditions above ask for."""
    return {"basis_required": config.settings().sending.require_legal_basis}


def forbidden(address: str | None = None) -> list[int]:
    """Pending mails whose leads may not be written to. address: normalised; only those of this person."""
    return [email_id for (email_id,) in fetch(FORBIDDEN, {**rules(), "address": address, "at_once": _AT_ONCE})]


def cancel_forbidden(by: str, address: str | None = None) -> int:
    """Cancel them, each with the reason that its claim would give, so that they hold no place. Returns how many."""
    seen = facts.read_pending(forbidden(address))
    closed = {each: gates.lead_may_be_written_to(it, config.settings().sending) for each, it in seen.items()}
    return sum(moves.cancel(each, gate.because, by) for each, gate in closed.items() if gate)
