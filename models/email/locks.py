"""Row locks of campaigns, mailboxes and e-mails. While they are held, the facts that the gates check cannot change.

Lock order everywhere: campaigns by id, mailboxes by id, then e-mails, always FOR NO KEY UPDATE: with FOR UPDATE the
planner's inserts, whose foreign keys share-lock their campaign, would deadlock against a claim.
"""

from collections.abc import Iterable
from typing import Any

from models.store.database import Prepared, with_next
from models.store.tables import Campaign, CampaignEmailQueue, Mailbox

Q = CampaignEmailQueue

# Peewee accepts any clause; its type stubs allow only "FOR UPDATE".
_LOCK: Any = "FOR NO KEY UPDATE"


class NoSuchEmail(LookupError):
    """There is no e-mail with this id."""


def lock_campaigns(ids: Iterable[int]) -> list[Campaign]:
    query = Campaign.select().where(Campaign.id.in_(sorted(set(ids)))).order_by(Campaign.id)
    return list(query.for_update(_LOCK))


def lock_mailboxes(ids: Iterable[int]) -> list[Mailbox]:
    query = Mailbox.select().where(Mailbox.id.in_(sorted(set(ids)))).order_by(Mailbox.id)
    return list(query.for_update(_LOCK))


def lock_email(email_id: int) -> CampaignEmailQueue:
    """Lock only the e-mail's row: for moves that do not depend on its campaign or mailbox."""
    row: CampaignEmailQueue | None = Q.select().where(Q.id == email_id).for_update(_LOCK).first()
    if row is None:
        raise NoSuchEmail(f"there is no e-mail {email_id}")
    return row


def lock_around(email_id: int) -> CampaignEmailQueue:
    """Lock the e-mail's campaign, then its mailbox, then its row, and return the row. One round trip."""
    for row in Q.raw("SELECT * FROM lock_around(%s)", email_id):
        locked: CampaignEmailQueue = row
        return locked
    raise NoSuchEmail(f"there is no e-mail {email_id}")


def lock_around_with_next(email_id: int) -> None:
    """Take lock_around()'s locks in the round trip of the next statement, which reads what was committed before."""
    with_next("SELECT FROM lock_around(%s)", (email_id,))


# The same locks as statements of a packet: each later statement in it sees what was committed before they were held.
LOCK_EMAIL = Prepared("lock_email", "SELECT FROM campaign_email_queue WHERE id = %(email)s FOR NO KEY UPDATE")
LOCK_AROUND = Prepared("lock_around", "SELECT FROM lock_around(%(email)s)")

# One claim per SMTP host at a time: claims at the same time would count the same free connection.
LOCK_SMTP_HOST = Prepared(
    "lock_smtp_host",
    """
    SELECT pg_advisory_xact_lock(hashtext(m.smtp_host))
    FROM campaign_email_queue q JOIN mailbox m ON m.id = q.mailbox_id WHERE q.id = %(email)s
    """,
)
