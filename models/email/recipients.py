"""Which leads may be written to: the only place with this rule, in SQL. For what remains to be sent see remaining.py.

The claim and the hand-over check the same for one e-mail: see gates.lead_may_be_written_to.
"""

import config
from models.email import facts, gates, moves
from models.store.database import fetch

# For a row `l` of campaign_lead. A scalar subquery, so that Postgres always uses the indexes, one lead at a time.
MAY_BE_WRITTEN_TO = """
(SELECT s.address IS NULL AND (NOT %(basis_required)s OR COALESCE(p.legal_basis, '') <> '')
 FROM lead p LEFT JOIN suppression s ON s.address = p.address WHERE p.id = l.lead_id)
"""
# Per tick; the next ticks find the rest.
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
    """The parameters of the conditions above."""
    return {"basis_required": config.settings().sending.require_legal_basis}


def forbidden(address: str | None = None) -> list[int]:
    """Pending e-mails whose leads must not be written to. address: normalised; only those to this person."""
    return [email_id for (email_id,) in fetch(FORBIDDEN, {**rules(), "address": address, "at_once": _AT_ONCE})]


def cancel_forbidden(by: str, address: str | None = None) -> int:
    """Cancel them, which frees their slots; each with the reason its claim would give. Returns how many."""
    seen = facts.read_pending(forbidden(address))
    closed = {each: gates.lead_may_be_written_to(it, config.settings().sending) for each, it in seen.items()}
    return sum(moves.cancel(each, gate.because, by) for each, gate in closed.items() if gate)
