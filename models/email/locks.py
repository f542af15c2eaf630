"""Takes the locks under which what the gates look at stays true.

Lock order everywhere: campaigns by id, mailboxes by id, then e-mails, always FOR NO KEY UPDATE: with FOR UPDATE the
planner's inserts, whose foreign keys share-lock their campaign, would deadlock against a claim.
"""

from collections.abc import Iterable
from typing import Any

from models.store.database import Prepared
from models.store.tables import Campaign, CampaignEmailQueue, Mailbox

Q = CampaignEmailQueue

# Peewee takes the whole clause; its type stubs know only of "FOR UPDATE".
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
    """The e-mail's row, locked alone: only for moves that depend on nothing around it."""
    row: CampaignEmailQueue | None = Q.select().where(Q.id == email_id).for_update(_LOCK).first()
    if row is None:
        raise NoSuchEmail(f"there is no e-mail {email_id}")
    return row


AROUND = "SELECT * FROM lock_around(%s)"


def lock_around(email_id: int) -> CampaignEmailQueue:
    """The e-mail's row, with its campaign and its mailbox locked before it, in one round trip."""
    for row in Q.raw(AROUND, email_id):
        locked: CampaignEmailQueue = row
        return locked
    raise NoSuchEmail(f"there is no e-mail {email_id}")


# The same locks, and the one below, for a packet whose last statement reads what is true under them or changes it.
LOCK_EMAIL = Prepared("lock_email", "SELECT FROM campaign_email_queue WHERE id = %(email)s FOR NO KEY UPDATE")
LOCK_AROUND = Prepared("lock_around", "SELECT FROM lock_around(%(email)s)")

# Mailboxes at one provider claim one after the other, or several would count the same room.
LOCK_SMTP_HOST = Prepared(
    "lock_smtp_host",
    """
    SELECT pg_advisory_xact_lock(hashtext(m.smtp_host))
    FROM campaign_email_queue q JOIN mailbox m ON m.id = q.mailbox_id WHERE q.id = %(email)s
    """,
)
