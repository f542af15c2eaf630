"""Erases a person's address from rows about others: from servers' words, reasons, and what others wrote.

In its place stands "erased". What the person wrote themselves is erased whole, whomever it was about. What an owner
wrote about others, like their columns in a leads file, is not touched.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from models.store.database import execute, fetch

# Table -> its columns with such words. In the lock order.
SHARED: Mapping[str, tuple[str, ...]] = {
    "campaign": ("paused_reason", "paused_reason_values"),
    "campaign_mailbox": ("closed_reason", "closed_reason_values"),
    "mailbox": ("closed_reason", "closed_reason_values", "paused_reason", "paused_reason_values"),
    "test_mail": ("recipient", "answer"),
    "change": ("values", "reason", "reason_values"),
    "suppression": ("reason", "reason_values", "proof"),
    "notice": ("said", "error"),
    "finding": ("example",),
    "installation": ("disarmed_reason", "disarmed_reason_values"),
    "column_mapping": ("columns",),
    "frozen_days": ("reason",),
    "calibration_finding": ("reason", "reason_values"),
    "inbox": ("failed_reason",),
}
# The same, once the e-mails are locked.
OF_PEOPLE: Mapping[str, tuple[str, ...]] = {
    "lead": ("legal_basis", "legal_basis_source"),
    "campaign_email_queue": ("error", "error_values"),
    "email_history": ("reason", "reason_values", "detail"),
    "attempt": ("reply", "reason_values"),
    "hold": ("reason", "reason_values"),
}
INCOMING = ("message_id", "sender", "subject", "excerpt", "suppressed", "evidence")
# Of the large tables, what their indexes of words with an address are for. The text has what the values have.
_INDEXED = {
    "campaign_email_queue": "strpos(error, '@') > 0",
    "email_history": "strpos(reason, '@') > 0",
    "attempt": "outcome <> 'accepted' AND strpos(reply, '@') > 0",
}
_JSON = ("values", "columns", "detail", "evidence")
# Messages that are looked through in one statement, which takes less than a second.
_AT_ONCE = 50_000
# Rows of the latest messages may be committed in another order than their ids.
_LATEST = 1000


def pattern_of(address: str) -> str:
    """What matches a normalised address in any case, and no longer one. Its domain may be written in both its forms."""
    name, _, domain = address.rpartition("@")
    domains = "|".join(map(re.escape, {domain, _unicode(domain)}))
    return rf"(?<![a-z0-9.+_-]){re.escape(name)}@(?:{domains})(?![a-z0-9-]|\.[a-z0-9])"


def _unicode(domain: str) -> str:
    try:
        return domain.encode("ascii").decode("idna")
    except UnicodeError:
        return domain


REPLACE = "UPDATE {table} SET {replaced} WHERE {indexed} AND strpos({words}, '@') > 0 AND {words} ~* %(pattern)s {only}"


def _replace(table: str, columns: tuple[str, ...], values: Mapping[str, Any], only: str = "") -> int:
    replaced = (
        f"{it} = regexp_replace({it}::text, %(pattern)s, 'erased', 'gi')::{'jsonb' if it.endswith(_JSON) else 'text'}"
        for it in columns
    )
    words, indexed = _words(columns), _INDEXED.get(table, "true")
    return execute(
        REPLACE.format(table=table, replaced=", ".join(replaced), indexed=indexed, words=words, only=only), values
    )


def _words(columns: tuple[str, ...]) -> str:
    return f"concat_ws(' ', {', '.join(f'{it}::text' for it in columns)})"


def erase_from_shared_rows(pattern: str) -> int:
    """Erase the address from the tables in SHARED. Returns how many rows had it."""
    return sum(_replace(table, columns, {"pattern": pattern}) for table, columns in SHARED.items())


# In the order in which everybody locks e-mails.
LOCK_EMAILS = f"""
SELECT id FROM campaign_email_queue WHERE id IN (
    SELECT id FROM campaign_email_queue WHERE {_INDEXED["campaign_email_queue"]} AND error ~* %(pattern)s
    UNION
    SELECT q.id FROM campaign_email_queue q JOIN campaign_lead l ON l.id = q.campaign_lead_id
    WHERE l.lead_id = %(lead)s)
ORDER BY id FOR NO KEY UPDATE
"""  # noqa: S608  # only our own words


def lock_emails(pattern: str, lead_id: int | None) -> None:
    """Lock the e-mails of the person and those whose errors name them."""
    execute(LOCK_EMAILS, {"pattern": pattern, "lead": lead_id})


def erase_from_rows_of_people(pattern: str) -> int:
    """Erase the address from the tables in OF_PEOPLE; the e-mails must be locked. Returns how many rows had it."""
    return sum(_replace(table, columns, {"pattern": pattern}) for table, columns in OF_PEOPLE.items())


class Found(NamedTuple):
    """Messages that name a person."""

    ids: list[int]
    latest: int  # of all the messages that were looked through


NAMING = f"""
SELECT id FROM incoming WHERE id > %(after)s AND id <= %(to)s AND {_words(INCOMING)} ~* %(pattern)s
"""  # noqa: S608


def look_through_incoming(pattern: str, before: Found | None = None) -> Found:
    """Find the messages that name a person. Takes seconds for a million: not while anything is locked.

    before: what was found by then; only later ones are looked through.
    """
    after = max(0, before.latest - _LATEST) if before else 0
    ids = set(before.ids if before else ())
    latest: int = fetch("SELECT COALESCE(max(id), 0) FROM incoming")[0][0]
    for start in range(after, latest, _AT_ONCE):
        values = {"after": start, "to": min(start + _AT_ONCE, latest), "pattern": pattern}
        ids.update(id for (id,) in fetch(NAMING, values))
    return Found(sorted(ids), latest)


# Their own letters, and servers' about those that could not be brought to them.
ERASE_THEIRS = """
UPDATE incoming SET sender = '', subject = '', excerpt = '', message_id = NULL,
    suppressed = NULLIF(suppressed, %(address)s), evidence = '{}'
WHERE id = ANY(%(ids)s) AND (sender = %(address)s OR evidence -> 'recipients' ? %(address)s)
"""


def erase_from_incoming(address: str, pattern: str, found: Found) -> int:
    """Erase the address from the messages that came back. Returns how many had it."""
    values = {"address": address, "pattern": pattern, "ids": look_through_incoming(pattern, found).ids}
    return execute(ERASE_THEIRS, values) + _replace("incoming", INCOMING, values, "AND id = ANY(%(ids)s)")
