"""Which of our e-mails a message that came back is about: by the ids that it names, else by an address."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from models.store.database import fetch, row, rows
from models.store.recordable import recordable

# Of our own header: the part of a Message-ID before the @.
_OWN_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Match:
    """One of our e-mails."""

    cited: str  # the id by which it was found; "": by an address
    email_id: int
    campaign_id: int
    lead_id: int
    recipient: str  # normalised
    content: memoryview | None  # as handed over


# How a message was matched if it names no e-mail of ours: by whom it is from, or whom it could not reach.
BY_SENDER, BY_RECIPIENT = "sender", "recipient"
BY_ADDRESS = (BY_SENDER, BY_RECIPIENT)
_COLUMNS = """
q.id AS email_id, q.campaign_id, l.lead_id, p.address AS recipient, e.content
FROM {source} campaign_email_queue q {on}
JOIN campaign_lead l ON l.id = q.campaign_lead_id JOIN lead p ON p.id = l.lead_id
LEFT JOIN email_content e ON e.email_id = q.id
"""
_ASKED = "unnest(%(cited)s::text[], %(message_ids)s::text[]) WITH ORDINALITY AS asked (cited, message_id, turn) JOIN"
NAMED = f"""
SELECT asked.cited, {_COLUMNS.format(source=_ASKED, on="ON q.message_id = asked.message_id")}
ORDER BY asked.turn
"""  # only our own words


def named(cited: Sequence[str]) -> list[Match]:
    """Those of the ids that are ours, in the given order. An id without angle brackets is our own header's."""
    pairs = [(each, message_id) for each in map(recordable, cited) for message_id in _message_ids(each)]
    if not pairs:
        return []
    values = {"cited": [it[0] for it in pairs], "message_ids": [it[1] for it in pairs]}
    return rows(Match, NAMED, values)


def _message_ids(cited: str) -> list[str]:
    if not _OWN_ID.fullmatch(cited):
        return [cited]
    return [f"<{cited}@{domain}>" for (domain,) in fetch("SELECT DISTINCT split_part(address, '@', 2) FROM mailbox")]


# What left at most an hour after the message came, by two clocks that may differ, cannot have been its cause.
TO_ADDRESS = f"""
SELECT '' AS cited, {_COLUMNS.format(source="", on="")}
WHERE p.address = %(address)s AND q.handed_over_at < %(received_at)s + interval '1 hour'
ORDER BY q.mailbox_id = %(mailbox)s DESC, q.handed_over_at DESC LIMIT 1
"""


def to_address(address: str, mailbox_id: int, received_at: datetime) -> Match | None:
    """Our last e-mail to this lead before the message came, from this mailbox if there is one."""
    values = {"address": recordable(address), "mailbox": mailbox_id, "received_at": received_at}
    return row(Match, TO_ADDRESS, values) if address else None


def own_addresses() -> frozenset[str]:
    return frozenset(address for (address,) in fetch("SELECT address FROM mailbox"))
