"""Keeps what came back, once, and does what follows from it, in one transaction. A person may correct its class.

`sent` stays `sent`: a reply or a bounce is a row of its own beside the e-mail.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from psycopg2.extras import Json

import config
from bounds import LONGEST_REASON
from models.audit import changes
from models.email import attempts, holds, moves
from models.email.attempts import Cited
from models.email.claims import Held
from models.inbox import holding, looks, matching, reply_stops
from models.inbox.looks import Cursor
from models.inbox.matching import Match
from models.people import suppressions
from models.people.suppressions import NewSuppression
from models.states import INBOX
from models.store.database import database, execute, fetch, fetch_row, row, rows
from models.store.recordable import recordable
from models.store.tables import Lead
from reasons import Code, Reason, Why
from scheduling.window import warsaw_day_bounds

BY = INBOX
CLASSES = ("human", "automatic", "bounce", "complaint", "unsubscribe", "unclear", "other")
BOUNCES = ("address", "policy", "temporary")
_SENDER = "suppressed_sender"  # in the evidence: the address that was suppressed beside the lead's


class CorrectionRefused(Exception):
    """The message's class cannot be corrected so."""


class NoSuchIncoming(LookupError):
    """There is no such message."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """A message as it was classified, and the e-mail that it is about."""

    uid: int
    digest: str
    received_at: datetime
    class_: str
    kind: str | None
    status: str | None
    rule: str
    message_id: str
    sender: str
    subject: str
    excerpt: str
    returns_on: date | None
    match: Match | None
    matched_by: str | None  # a header with one of our ids; or one of matching.BY_ADDRESS
    recipients: Sequence[str] = ()  # of a bounce or complaint
    diagnostic: str = ""
    cited: Sequence[str] = field(default=())

    @property
    def is_to_be_kept(self) -> bool:
        """Whether to keep it: mail from strangers only if it is a bounce, a complaint or an unsubscription."""
        return self.match is not None or self.class_ in ("bounce", "complaint", "unsubscribe")


INSERT = """
INSERT INTO incoming
    (mailbox_id, folder, uidvalidity, uid, digest, message_id, received_at, class, kind, status, rule, read_as, sender,
     subject, excerpt, returns_on, email_id, campaign_id, lead_id, matched_by, evidence)
VALUES
    (%(mailbox)s, %(folder)s, %(uidvalidity)s, %(uid)s, %(digest)s, %(message_id)s, %(received_at)s, %(class_)s,
     %(kind)s, %(status)s, %(rule)s, %(class_)s, %(sender)s, %(subject)s, %(excerpt)s, %(returns_on)s, %(email)s,
     %(campaign)s, %(lead)s, %(matched_by)s, %(evidence)s)
ON CONFLICT DO NOTHING RETURNING id
"""


def keep(at: Cursor, found: Found) -> int | None:
    """Keep a message, do what follows from it, and move the cursor behind it. Returns its id.

    Returns None if it was kept before, or is not to be kept.
    """
    with database.atomic():
        kept = _keep(at, found) if found.is_to_be_kept else None
        looks.advance(at, found.uid)
    return kept


def _keep(at: Cursor, found: Found) -> int | None:
    match = found.match
    if match:
        holding.lock_campaigns_of(_stopped_by(found.class_, match.campaign_id, match.lead_id, recordable(found.sender)))
    added = fetch_row(INSERT, _values(at, found))
    if added is None:
        return None
    incoming_id = int(added[0])
    if match and found.matched_by not in matching.BY_ADDRESS:
        _settle(match.email_id)
    _follow(_get(incoming_id), BY)
    return incoming_id


def _values(at: Cursor, found: Found) -> dict[str, Any]:
    match = found.match
    evidence = {
        "cited": list(found.cited)[:10],
        "recipients": list(found.recipients)[:10],
        "diagnostic": found.diagnostic,
        "matched": match.cited if match else None,
    }
    texts = ("digest", "class_", "kind", "status", "rule", "sender", "subject", "excerpt", "matched_by")
    return {
        "mailbox": at.mailbox_id,
        "folder": at.folder,
        "uidvalidity": at.uidvalidity,
        "uid": found.uid,
        "message_id": recordable(found.message_id) or None,
        "received_at": found.received_at,
        "returns_on": found.returns_on,
        "email": match.email_id if match else None,
        "campaign": match.campaign_id if match else None,
        "lead": match.lead_id if match else None,
        "evidence": Json(recordable(evidence)),
        **{name: recordable(getattr(found, name)) for name in texts},
    }


@dataclass(frozen=True)
class _Kept:
    """A row of incoming, with what its consequences depend on."""

    id: int
    class_name: str
    kind: str | None
    sender: str
    read_at: datetime
    received_at: datetime
    returns_on: date | None
    email_id: int | None
    campaign_id: int | None
    lead_id: int | None
    address: str | None  # of the lead
    matched_by: str | None
    is_corrected: bool  # a person has judged it
    suppressed: str | None
    evidence: dict[str, Any]

    @property
    def every_suppressed(self) -> list[str]:
        return [each for each in (self.suppressed, self.evidence.get(_SENDER)) if each]


GET = """
SELECT i.id, i.class AS class_name, i.kind, i.sender, i.read_at, i.received_at, i.returns_on, i.email_id,
       i.campaign_id, i.lead_id, p.address, i.matched_by, i.corrected_at IS NOT NULL AS is_corrected, i.suppressed,
       i.evidence
FROM incoming i LEFT JOIN lead p ON p.id = i.lead_id WHERE i.id = %s FOR NO KEY UPDATE OF i
"""


def _get(incoming_id: int) -> _Kept:
    found = row(_Kept, GET, (incoming_id,))
    if found is None:
        raise NoSuchIncoming(f"there is no message {incoming_id}")
    return found


def _follow(it: _Kept, by: str) -> None:
    """What a message of this class leads to."""
    match it.class_name:
        case "complaint":
            _complained(it, by)
        case "unsubscribe":
            _asked_to_stop(it, by)
        case "bounce" if it.kind == "address":
            _address_bounced(it, by)
        case "human" if it.lead_id is not None and it.campaign_id is not None:
            _stop(it, it.lead_id, it.campaign_id, by)
        case "automatic" if it.lead_id is not None and it.kind != "receipt":
            until, reason = _absence(it)
            holding.hold(it.lead_id, it.id, until, reason, by)
        case "unclear" if it.lead_id is not None:
            for each in _lead_and_sender(it.lead_id, it.sender):
                holding.hold(each, it.id, None, Reason(Code.UNCLEAR_REPLY), by)


def _complained(it: _Kept, by: str) -> None:
    if it.lead_id is not None and _is_about_another_letter(it):
        holding.hold(it.lead_id, it.id, None, Reason(Code.REPORT_OF_ANOTHER_LETTER), by)
    else:
        _suppress(it, {it.address: Reason(Code.COMPLAINED)}, by)


def _is_about_another_letter(it: _Kept) -> bool:
    """Whether it names a letter but was matched by an address alone: that letter may have been sent in our name."""
    return it.matched_by in matching.BY_ADDRESS and bool(it.evidence.get("cited")) and not it.is_corrected


def _address_bounced(it: _Kept, by: str) -> None:
    recipients = it.evidence.get("recipients") or []
    if it.address is None:
        return
    if it.lead_id is not None and _is_about_another_letter(it):
        holding.hold(it.lead_id, it.id, None, Reason(Code.REPORT_OF_ANOTHER_LETTER), by)
    elif it.is_corrected or not recipients or it.address in recipients:
        told = str(it.evidence.get("diagnostic") or it.kind)
        _suppress(it, {it.address: Reason(Code.BOUNCED, answer=told)}, by)
    elif it.lead_id is not None:
        holding.hold(it.lead_id, it.id, None, Reason(Code.FORWARDED_BOUNCE, address=str(recipients[0])), by)


def _stop(it: _Kept, lead_id: int, campaign_id: int, by: str) -> None:
    stops = reply_stops.of(campaign_id)
    where = None if stops.in_all_campaigns else campaign_id
    for each in _lead_and_sender(lead_id, it.sender):
        holding.stop(each, where, it.id, Reason(Code.REPLIED), by)
    if stops.colleagues:
        holding.stop_colleagues(lead_id, where, it.id, Reason(Code.COLLEAGUE_REPLIED, lead=it.address or ""), by)


def _stopped_by(class_: str, campaign_id: int | None, lead_id: int, sender: str) -> set[int]:
    """Whom a message of this class may stop."""
    is_for_all = class_ == "human" and campaign_id is not None and reply_stops.of(campaign_id).colleagues
    return {*_lead_and_sender(lead_id, sender), *(holding.colleagues(lead_id) if is_for_all else ())}


def _lead_and_sender(lead_id: int, sender: str) -> list[int]:
    """The lead whose letter was answered, and the one who wrote the answer: it may have been forwarded."""
    writers = fetch("SELECT id FROM lead WHERE address = %s AND id <> %s", (sender, lead_id))
    return [lead_id, *(writer for (writer,) in writers)]


def _absence(it: _Kept) -> tuple[datetime | None, Reason]:
    if it.kind == "gone":
        return None, Reason(Code.LEFT)
    if it.returns_on is not None:
        end = warsaw_day_bounds(it.returns_on)[1]
        return end, Reason(Code.AWAY_UNTIL, day=it.returns_on.isoformat())
    days = timedelta(days=config.settings().imap.hold_days)
    return it.received_at + days, Reason(Code.ANSWERED_AUTOMATICALLY)


def _asked_to_stop(it: _Kept, by: str) -> None:
    """Suppress the lead whose letter was answered, and whoever asked, unless that is a mailbox of ours."""
    is_anothers = it.sender not in ("", it.address)
    why = {it.address: Reason(Code.ASKED_BY_ANOTHER if is_anothers else Code.ASKED_TO_STOP)}
    if it.sender not in matching.own_addresses():
        why[it.sender] = Reason(Code.ASKED_TO_STOP)
    _suppress(it, why, by)


SUPPRESSED = """
UPDATE incoming SET suppressed = %(address)s, evidence = evidence || %(evidence)s WHERE id = %(id)s
"""


def _suppress(it: _Kept, why: Mapping[str | None, Reason], by: str) -> None:
    """Suppress these addresses, each for its reason; one that is suppressed already keeps its reason."""
    entries = [NewSuppression(address, reason, it.email_id) for address, reason in why.items() if address]
    new = suppressions.add_each(entries, by)
    first = it.address or it.sender
    beside = {_SENDER: it.sender} if it.sender in new and it.sender != first else {}
    execute(SUPPRESSED, {"address": first if first in new else None, "evidence": Json(beside), "id": it.id})


# The message that names an unknown e-mail proves that it was sent, also if the e-mail became unknown only later.
PROOF = f"""
SELECT q.id AS email_id, q.claim_token, i.folder, i.uid, i.matched_by AS header, i.received_at
FROM campaign_email_queue q
JOIN incoming i ON i.email_id = q.id AND i.matched_by NOT IN {matching.BY_ADDRESS}
WHERE q.status = 'unknown' AND (%(email)s::bigint IS NULL OR q.id = %(email)s)
ORDER BY q.id, i.id
"""  # noqa: S608  # only our own words


class _Proof(NamedTuple):
    email_id: int
    claim_token: UUID
    folder: str
    uid: int
    header: str
    received_at: datetime


def settle_cited() -> int:
    """Settle each unknown e-mail that a message names. Returns how many."""
    return _settle(None)


def _settle(email_id: int | None) -> int:
    count = 0
    for it in rows(_Proof, PROOF, {"email": email_id}):
        proof = Cited(it.folder, it.uid, it.header, it.received_at)
        count += moves.accept(Held(it.email_id, it.claim_token, BY), attempts.PROVED, proof)
    return count


CORRECT = """
UPDATE incoming SET class = %(class)s, kind = %(kind)s, suppressed = NULL, evidence = evidence - 'suppressed_sender',
    corrected_at = clock_timestamp(), corrected_by = %(by)s
WHERE id = %(id)s
"""


def correct(incoming_id: int, class_: str, by: str, reason: Why, kind: str | None = None) -> None:
    """Take back what followed from the class that it was taken for, and do what follows from the right one.

    The class that it has can be confirmed while the message waits for a person. kind: of a bounce.
    Raises NoSuchIncoming, CorrectionRefused.
    """
    _check_correction(class_, kind, reason)
    with database.atomic():
        holding.lock_campaigns_of(_concerned(incoming_id, class_))
        before = _get(incoming_id)
        is_confirmed = class_ != "unclear" and _waits_for_a_person(incoming_id)
        if (before.class_name, before.kind) == (class_, kind) and not is_confirmed:
            raise CorrectionRefused(f"message {incoming_id} is {class_} already")
        told = Reason(Code.CORRECTED, before=before.class_name, after=class_, because=reason)
        held = holding.lift(incoming_id)
        for address in before.every_suppressed:
            _end_suppression(address, incoming_id, by)
            held |= {each.id for each in Lead.select(Lead.id).where(Lead.address == address)}
        execute(CORRECT, {"id": incoming_id, "class": class_, "kind": kind, "by": by})
        _follow(_get(incoming_id), by)
        holding.bring_back(held, before.read_at, told, by)
        changes.record_of_address(
            before.address or before.sender, {"incoming": [before.class_name, class_]}, by, "correct", told
        )


# Another message for which the address must stay suppressed: it is the one to correct then.
HAND_ON = """
UPDATE incoming SET suppressed = %(address)s WHERE id = (
    SELECT i.id FROM incoming i LEFT JOIN lead p ON p.id = i.lead_id
    WHERE i.id <> %(id)s AND (i.class IN ('unsubscribe', 'complaint') OR (i.class = 'bounce' AND i.kind = 'address'))
      AND (p.address = %(address)s OR (i.class = 'unsubscribe' AND i.sender = %(address)s))
    ORDER BY i.id LIMIT 1)
"""


def _end_suppression(address: str, incoming_id: int, by: str) -> None:
    """End what this message caused, unless another one or a person's order is a reason too."""
    if not execute(HAND_ON, {"address": address, "id": incoming_id}):
        suppressions.remove(address, by, only_of=BY)


WAITS_FOR_A_PERSON = f"SELECT 1 FROM incoming i WHERE i.id = %s AND {holds.NEEDS_A_PERSON}"  # noqa: S608  # only our own words


def _waits_for_a_person(incoming_id: int) -> bool:
    return bool(fetch(WAITS_FOR_A_PERSON, (incoming_id,)))


def _check_correction(class_: str, kind: str | None, reason: Why) -> None:
    if class_ not in CLASSES:
        raise CorrectionRefused(f"there is no class {class_[:40]!r}; the classes are {', '.join(CLASSES)}")
    if (class_ == "bounce") != (kind is not None) or (kind is not None and kind not in BOUNCES):
        raise CorrectionRefused(f"a bounce, and nothing else, has a kind: {', '.join(BOUNCES)}")
    if not str(reason).strip() or len(str(reason)) > LONGEST_REASON:
        raise CorrectionRefused(f"a correction needs a reason of at most {LONGEST_REASON} characters")


class _About(NamedTuple):
    lead_id: int | None
    campaign_id: int | None
    sender: str


def _concerned(incoming_id: int, class_: str) -> set[int]:
    """Whom the message holds, and whom it will hold as one of this class."""
    about = row(_About, "SELECT lead_id, campaign_id, sender FROM incoming WHERE id = %s", (incoming_id,))
    if about is None:
        raise NoSuchIncoming(f"there is no message {incoming_id}")
    later = set() if about.lead_id is None else _stopped_by(class_, about.campaign_id, about.lead_id, about.sender)
    return holding.held_by(incoming_id) | later


READ_LATE = """
SELECT EXISTS (
    SELECT FROM incoming i
    JOIN campaign_lead l ON l.lead_id = i.lead_id AND l.campaign_id = i.campaign_id
    JOIN campaign_email_queue q ON q.campaign_lead_id = l.id AND q.id > i.email_id
    WHERE i.id = %s AND i.received_at < q.handed_over_at AND q.handed_over_at <= i.read_at)
"""


def was_read_late(incoming_id: int) -> bool:
    """Whether a letter left after this message had come and before it was read."""
    return bool(fetch(READ_LATE, (incoming_id,))[0][0])
