"""Forgets a person: erases what is known about them, and keeps counts, times, and a keyed hash of the address.

What is sent of them meanwhile is waited for: an e-mail whose outcome is not known keeps all that its proof needs.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from models.audit import changes
from models.email import moves
from models.people import forgotten, lead_uploads, mentions, suppressions
from models.people.suppressions import NewSuppression
from models.states import Status
from models.store import reason_columns, tick_request
from models.store.database import clock, database, execute, fetch, fetch_row, rows
from reasons import Code, Reason

ERASED = Reason(Code.ERASED)
_WORDS = reason_columns.for_sql(ERASED, "reason")


class NothingToForget(Exception):
    """Nothing is known about this address."""


class ForgettingRefused(Exception):
    """An e-mail to the person is being sent: what becomes of it must be recorded first."""


@dataclass(frozen=True)
class Receipt:
    """What was erased, without the address."""

    key: str  # what stands for the person from now on
    at: datetime
    by: str
    campaigns: int
    emails: int
    letters: int
    answers: int  # of mail servers


def forget(address: str, by: str, keep: Callable[[str], object]) -> Receipt:
    """Erase what is known about a person. address: normalised.

    keep: notes the hash outside the database, for a restored backup; called before the commit.
    Raises NothingToForget, or ForgettingRefused with the person suppressed, so that it can be done in a moment.
    """
    key = forgotten.keys_of(address)[0]
    found = _lead_of(address)
    if found is not None:
        # Before anything else, so that nothing new begins. Committed, so that it holds if this is refused.
        with database.atomic():
            suppressions.add_silently([NewSuppression(address, Reason(Code.TO_BE_FORGOTTEN))], by)
    pattern = mentions.pattern_of(address)
    messages = mentions.look_through_incoming(pattern)
    with database.atomic():
        forgotten.lock_addresses()
        erased = mentions.erase_from_shared_rows(pattern)
        if found is not None:
            execute(LOCK_LEAD, {"lead": found})
        mentions.lock_emails(pattern, found)
        counts = _erase_lead(found, key, by) if found is not None else _NOTHING
        erased += mentions.erase_from_rows_of_people(pattern)
        erased += mentions.erase_from_incoming(address, pattern, messages)
        erased += execute(FORGET_SUPPRESSION, {"address": address})
        erased += execute(FORGET_CHANGES, {"address": address, "key": key})
        if found is None and not erased:
            raise NothingToForget(f"nothing is known about {address}")
        lead_uploads.remove_all()
        suppressions.add_silently([NewSuppression(key, Reason(Code.FORGOTTEN))], by)
        changes.record_of_address(key, {name: [None, count] for name, count in counts.items()}, by, "forget")
        at = clock()
        keep(key)
        tick_request.ask_for_tick()
    return Receipt(key, at, by, **counts)


def again(keys: Collection[str], by: str) -> list[Receipt]:
    """Forget all these people once more: a restored backup may know them still.

    keys: what keep() was given. Raises ForgettingRefused.
    """
    wanted = set(keys)
    known = {address for (address,) in fetch(ADDRESSES)} if wanted else set()
    receipts = [
        forget(address, by, lambda key: None)
        for address in sorted(known)
        if "@" in address.removeprefix("@") and wanted.intersection(forgotten.keys_of(address))
    ]
    with database.atomic():
        forgotten.lock_addresses()
        suppressions.add_silently([NewSuppression(key, Reason(Code.FORGOTTEN)) for key in wanted], by)
    return receipts


def is_repeated(keys: Collection[str]) -> bool:
    """Whether the database has forgotten all of them."""
    return fetch_row(MISSING, {"keys": list(keys)}) is None


def erase_late_words() -> int:
    """Erase what mail servers have said of forgotten people's e-mails since. Returns how many people they are."""
    with database.atomic():
        people = [lead_id for (lead_id,) in fetch(LATE)]
        if people:
            _erase_words(people)
    return len(people)


_NOTHING = {"campaigns": 0, "emails": 0, "letters": 0, "answers": 0}
ADDRESSES = """
SELECT address FROM lead
UNION SELECT address FROM suppression
UNION SELECT address FROM change WHERE address IS NOT NULL
UNION SELECT recipient FROM test_mail
UNION SELECT sender FROM incoming
UNION SELECT jsonb_array_elements_text(evidence -> 'recipients') FROM incoming
"""
MISSING = """
SELECT 1 FROM unnest(%(keys)s::text[]) AS k (key)
WHERE NOT EXISTS (SELECT FROM suppression s WHERE s.address = k.key) LIMIT 1
"""
FORGET_SUPPRESSION = "DELETE FROM suppression WHERE address = %(address)s"
# Who did it and when stays.
FORGET_CHANGES = """
UPDATE change SET address = %(key)s, values = '{}', reason = NULL, reason_code = NULL, reason_values = NULL
WHERE address = %(address)s
"""


def _lead_of(address: str) -> int | None:
    row = fetch_row("SELECT id FROM lead WHERE address = %s", (address,))
    return None if row is None else int(row[0])


LOCK_LEAD = "SELECT id FROM lead WHERE id = %(lead)s FOR UPDATE"
EMAILS = """
SELECT q.id AS email_id, q.status FROM campaign_email_queue q JOIN campaign_lead l ON l.id = q.campaign_lead_id
WHERE l.lead_id = %(lead)s ORDER BY q.id
"""


class _Email(NamedTuple):
    email_id: int
    status: Status


def _erase_lead(lead_id: int, key: str, by: str) -> dict[str, int]:
    """Erase a lead's data, whose row and e-mails must be locked, and cancel what is pending. Returns counts."""
    emails = rows(_Email, EMAILS, {"lead": lead_id})
    for email_id, status in emails:
        if status is Status.SENDING:
            raise ForgettingRefused(
                f"e-mail {email_id} to this person is being sent: forget them once its outcome is recorded;"
                " until then the person is suppressed"
            )
        if status is Status.PENDING:
            moves.cancel(email_id, ERASED, by)
    counts = _erase_words([lead_id])
    counts["campaigns"] = execute(ERASE_FIELDS, {"lead": lead_id, "key": key})
    counts["emails"] = len(emails)
    _rename(lead_id, key)
    return counts


ERASE_FIELDS = "UPDATE campaign_lead SET address = %(key)s, fields = '{}' WHERE lead_id = %(lead)s"
RENAME = """
UPDATE lead SET address = %(key)s, legal_basis = NULL, legal_basis_source = NULL, legal_basis_date = NULL,
                forgotten_at = clock_timestamp()
WHERE id = %(lead)s
"""
# The person came back since by a process of the previous version, which imports without asking who was forgotten.
JOIN = "UPDATE campaign_lead SET lead_id = %(before)s WHERE lead_id = %(lead)s"


def _rename(lead_id: int, key: str) -> None:
    before = _lead_of(key)
    if before is None:
        execute(RENAME, {"lead": lead_id, "key": key})
    else:
        execute(JOIN, {"lead": lead_id, "before": before})
        execute("DELETE FROM lead WHERE id = %(lead)s", {"lead": lead_id})


_THEIRS = """
(SELECT q.id FROM campaign_email_queue q JOIN campaign_lead l ON l.id = q.campaign_lead_id
 WHERE l.lead_id = ANY(%(people)s))
"""
# Table -> the statement that erases the words in it about people's e-mails. Codes, numbers and times stay.
WORDS: Mapping[str, str] = {
    "campaign_email_queue": """
        UPDATE campaign_email_queue
        SET error = %(reason)s, error_code = %(reason_code)s, error_values = %(reason_values)s
        WHERE id IN {theirs} AND error IS NOT NULL AND error_code IS DISTINCT FROM %(reason_code)s
    """,
    "email_history": """
        UPDATE email_history
        SET reason = CASE WHEN has_words THEN %(reason)s ELSE reason END,
            reason_code = CASE WHEN has_words THEN %(reason_code)s ELSE reason_code END,
            reason_values = CASE WHEN has_words THEN %(reason_values)s ELSE reason_values END,
            detail = CASE WHEN move = 'hand_over' THEN detail END
        FROM (SELECT id AS its_id, reason IS NOT NULL AND (
                         reason_code IS NULL OR COALESCE(reason_values, '{{}}') <> '{{}}') AS has_words
              FROM email_history WHERE email_id IN {theirs}) it
        WHERE id = its_id AND (has_words OR (detail IS NOT NULL AND move <> 'hand_over'))
    """,
    "attempt": """
        UPDATE attempt SET reply = NULL, reason_code = NULL, reason_values = NULL
        WHERE email_id IN {theirs} AND (reply IS NOT NULL OR reason_code IS NOT NULL)
    """,
    "incoming": """
        UPDATE incoming
        SET sender = '', subject = '', excerpt = '', message_id = NULL, suppressed = NULL, evidence = '{{}}'
        WHERE id IN (SELECT id FROM incoming WHERE lead_id = ANY(%(people)s)
                     UNION SELECT id FROM incoming WHERE email_id IN {theirs})
          AND ((sender, excerpt, subject) <> ('', '', '') OR num_nonnulls(message_id, suppressed) > 0
               OR evidence <> '{{}}')
    """,
    # Leads who were stopped because of this one stay stopped, without the domain.
    "hold": """
        WITH colleague AS (
            INSERT INTO hold (lead_id, campaign_id, incoming_id, stops, reason, reason_code, reason_values, lifted_at)
            SELECT p.id, h.campaign_id, h.incoming_id, true, %(reason)s, %(reason_code)s, %(reason_values)s, h.lifted_at
            FROM hold h JOIN lead p ON split_part(p.address, '@', -1) = h.domain AND p.id <> ALL(%(people)s)
            WHERE h.lead_id = ANY(%(people)s)
        ), domain AS (DELETE FROM hold WHERE lead_id = ANY(%(people)s) AND domain IS NOT NULL)
        UPDATE hold SET reason = %(reason)s, reason_code = %(reason_code)s, reason_values = %(reason_values)s
        WHERE lead_id = ANY(%(people)s) AND domain IS NULL AND reason_code IS DISTINCT FROM %(reason_code)s
    """,
    # The row stays, as proof that an e-mail was sent.
    "email_content": "UPDATE email_content SET content = '' WHERE email_id IN {theirs} AND content <> ''",
}
# Forgotten people of whose e-mails something was recorded since.
LATE = """
SELECT DISTINCT p.id FROM lead p
JOIN campaign_lead l ON l.lead_id = p.id
JOIN campaign_email_queue q ON q.campaign_lead_id = l.id
JOIN attempt a ON a.email_id = q.id AND a.ended_at > p.forgotten_at
WHERE p.forgotten_at IS NOT NULL AND (a.reply IS NOT NULL OR a.reason_code IS NOT NULL)
UNION
SELECT p.id FROM lead p JOIN incoming i ON i.lead_id = p.id AND i.read_at > p.forgotten_at
WHERE p.forgotten_at IS NOT NULL AND (i.sender, i.excerpt, i.subject) <> ('', '', '')
"""


def _erase_words(people: list[int]) -> dict[str, int]:
    values: dict[str, Any] = {"people": people, **_WORDS}
    counts = {table: execute(statement.format(theirs=_THEIRS), values) for table, statement in WORDS.items()}
    return {"letters": counts["email_content"], "answers": counts["attempt"]}
