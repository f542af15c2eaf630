"""What a token does: whoever got the e-mail that it names is not written to any more."""

from uuid import UUID

from models.people import suppressions
from models.store.database import fetch_row
from reasons import Code, Reason

# A Message-ID has the domain of the mailbox for which the e-mail was planned first.
NAMED = """
SELECT q.id, p.address FROM campaign_email_queue q
JOIN campaign_lead l ON l.id = q.campaign_lead_id JOIN lead p ON p.id = l.lead_id
WHERE q.message_id IN (
    SELECT DISTINCT '<' || %(id)s::text || '@' || split_part(m.address, '@', 2) || '>' FROM mailbox m)
"""


def unsubscribe(email: UUID, by: str, proof: str | None = None) -> bool:
    """Suppress the lead of an e-mail, from the moment of the return on. Doing it twice changes nothing.

    email: the id in its Message-ID, from mail.unsubscribe.email_of(). proof: the Message-ID of the mail that asked.
    False: the database has no such e-mail, as after restoring a backup from before its plan.
    """
    row = fetch_row(NAMED, {"id": str(email)})
    if row is None:
        return False
    email_id, address = row
    suppressions.add(address, Reason(Code.UNSUBSCRIBED), by, email_id=email_id, proof=proof)
    return True
