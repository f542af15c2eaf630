"""A lead's conversation in a campaign: the letters, what came back, and what follows or why nothing does."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from models.email import recipients
from models.states import CampaignStatus, MailboxStatus, Status
from models.store import reason_columns
from models.store.database import fetch, rows
from models.views import forbidden
from models.views.forbidden import Forbidden
from reasons import Code, Reason, Why
from scheduling.waits import Unit, Wait

_MOST = 100
_RUNNING = {CampaignStatus.ACTIVE, CampaignStatus.PAUSED}


@dataclass(frozen=True)
class Letter:
    email_id: int
    step: int
    status: Status
    at: datetime  # sent, handed over or planned
    why: Why | None  # its error
    is_skipped: bool = False  # cancelled with its removed step: the next one follows


@dataclass(frozen=True)
class Answer:
    """A message that came back."""

    incoming_id: int
    email_id: int | None  # of the letter that it answers
    class_name: str
    kind: str | None
    at: datetime
    read_at: datetime
    after: Letter | None  # the letter that left after it had come and before it was read


@dataclass(frozen=True)
class Conversation:
    campaign_id: int
    campaign: str
    lead: str
    steps: int  # of the campaign
    letters: list[Letter]  # by step
    answers: list[Answer]  # by time
    next: Letter | None  # planned, or being sent
    expected_step: int | None  # of the letter that follows and is not planned yet
    expected_at: datetime | None  # when the wait, or the hold, for it ends
    held: Why | None  # why it waits
    held_until: datetime | None  # None: until a person decides
    ended: Why | None  # why no more letters follow

    @property
    def events(self) -> list[Letter | Answer]:
        """What happened, in order: an answer behind its letter, though servers' times are of whole seconds."""
        ends = (Status.SENT, Status.FAILED, Status.UNKNOWN)
        over = [it for it in self.letters if it.status in ends or it.is_skipped]
        left: dict[int | None, datetime] = {it.email_id: it.at for it in over}
        return sorted([*over, *self.answers], key=lambda it: max(it.at, left.get(it.email_id, it.at)))


LEADS = f"""
SELECT cl.id, cl.campaign_id, c.name AS campaign, c.status AS campaign_status, cl.address AS lead,
       (SELECT count(*)::int FROM campaign_step s WHERE s.campaign_id = c.id AND s.removed_at IS NULL) AS steps,
       {forbidden.COLUMNS}
FROM campaign_lead cl
JOIN campaign c ON c.id = cl.campaign_id
JOIN lead p ON p.id = cl.lead_id
{forbidden.JOINS}
WHERE cl.id = ANY(%s) ORDER BY cl.campaign_id DESC, cl.id
"""  # noqa: S608  # only our own words


@dataclass(frozen=True)
class _Lead(Forbidden):
    id: int
    campaign_id: int
    campaign: str
    campaign_status: CampaignStatus
    lead: str
    steps: int


# Each with the wait of the step after it, and the mailbox from which that goes.
LETTERS = """
SELECT q.campaign_lead_id, q.id AS email_id, s.position AS step, q.status,
       COALESCE(q.sent_at, q.handed_over_at, q.scheduled_at) AS at, q.sent_at, q.handed_over_at, q.error, q.error_code,
       q.error_values, q.skipped AS is_skipped, after.position AS next_step, after.wait_count, after.wait_unit,
       COALESCE(f.ends, false) AS is_ended,
       m.status AS mailbox_status, EXISTS (
           SELECT FROM campaign_mailbox cm
           WHERE cm.campaign_id = q.campaign_id AND cm.mailbox_id = m.id) AS has_mailbox,
       put_off.reason AS put_off, put_off.reason_code AS put_off_code, put_off.reason_values AS put_off_values
FROM campaign_email_queue q JOIN campaign_step s ON s.id = q.step_id
LEFT JOIN former_mailbox f ON f.campaign_id = q.campaign_id AND f.mailbox_id = q.mailbox_id
JOIN mailbox m ON m.id = COALESCE(f.goes_on_from_id, q.mailbox_id)
LEFT JOIN LATERAL (SELECT a.position, a.wait_count, a.wait_unit FROM campaign_step a
                   WHERE a.campaign_id = s.campaign_id AND a.position > s.position AND a.removed_at IS NULL
                   ORDER BY a.position LIMIT 1) after ON true
LEFT JOIN LATERAL (
    SELECT h.reason, h.reason_code, h.reason_values FROM email_history h
    WHERE h.email_id = q.id ORDER BY h.id DESC LIMIT 1
) put_off ON q.status = 'pending' AND put_off.reason_code IN ('inbox_not_read', 'no_inbox')
WHERE q.campaign_lead_id = ANY(%s) ORDER BY s.position, q.id
"""


@dataclass(frozen=True)
class _Letter:
    campaign_lead_id: int
    email_id: int
    step: int
    status: Status
    at: datetime
    sent_at: datetime | None
    handed_over_at: datetime | None
    error: str | None
    error_code: str | None
    error_values: dict[str, Any] | None
    is_skipped: bool
    next_step: int | None
    wait_count: int | None
    wait_unit: str | None
    is_ended: bool  # with its mailbox, by a person
    mailbox_status: MailboxStatus
    has_mailbox: bool  # its campaign
    put_off: str | None  # why, if an answer may be unread
    put_off_code: str | None
    put_off_values: dict[str, Any] | None

    @property
    def letter(self) -> Letter:
        why = reason_columns.current(self.error, self.error_code, self.error_values)
        return Letter(self.email_id, self.step, self.status, self.at, why, self.is_skipped)

    @property
    def wait(self) -> Wait | None:
        return Wait(self.wait_count, Unit(self.wait_unit)) if self.wait_count and self.wait_unit else None

    @property
    def waits_for_mailbox(self) -> Reason | None:
        """Why the next letter, or this one if it is a follow-up, cannot go before a person acts."""
        if not self.has_mailbox:
            return Reason(Code.MAILBOX_REMOVED)
        if self.mailbox_status != MailboxStatus.ACTIVE:
            return Reason(Code.MAILBOX_STATUS, status=self.mailbox_status)
        return None


ANSWERS = """
SELECT l.id AS campaign_lead_id, i.id AS incoming_id, i.class AS class_name, i.kind, i.received_at AS at, i.read_at,
       i.email_id
FROM campaign_lead l JOIN incoming i ON i.lead_id = l.lead_id AND i.campaign_id = l.campaign_id
WHERE l.id = ANY(%s) ORDER BY i.received_at, i.id
"""


@dataclass(frozen=True)
class _Answer:
    campaign_lead_id: int
    incoming_id: int
    class_name: str
    kind: str | None
    at: datetime
    read_at: datetime
    email_id: int | None


OF_EMAIL = "SELECT campaign_lead_id FROM campaign_email_queue WHERE id = %s"
OF_PERSON = """
SELECT l.id FROM campaign_lead l JOIN lead p ON p.id = l.lead_id WHERE p.address = %s ORDER BY l.id DESC LIMIT %s
"""


def of_email(email_id: int) -> Conversation | None:
    """The conversation that the e-mail belongs to. None if there is no such e-mail."""
    return next(iter(_read([lead for (lead,) in fetch(OF_EMAIL, (email_id,))])), None)


def of_lead(campaign_lead_id: int) -> Conversation:
    [found] = _read([campaign_lead_id])
    return found


def of_person(address: str) -> list[Conversation]:
    """A person's conversations, one for each campaign, the newest first. address: normalised."""
    return _read([lead for (lead,) in fetch(OF_PERSON, (address, _MOST))])


def _read(ids: Sequence[int]) -> list[Conversation]:
    letters: defaultdict[int, list[_Letter]] = defaultdict(list)
    for letter in rows(_Letter, LETTERS, (list(ids),)):
        letters[letter.campaign_lead_id].append(letter)
    answers: defaultdict[int, list[_Answer]] = defaultdict(list)
    for answer in rows(_Answer, ANSWERS, (list(ids),)):
        answers[answer.campaign_lead_id].append(answer)
    is_required = recipients.is_basis_required()
    return [_conversation(it, letters[it.id], answers[it.id], is_required) for it in rows(_Lead, LEADS, (list(ids),))]


@dataclass(frozen=True)
class _Ahead:
    """What follows in a conversation, what it waits for, or why nothing follows."""

    next: Letter | None = None
    expected_at: datetime | None = None
    held: Why | None = None
    held_until: datetime | None = None
    ended: Why | None = None


def _conversation(
    it: _Lead, found: Sequence[_Letter], came_back: Sequence[_Answer], is_basis_required: bool
) -> Conversation:
    letters = {row.email_id: row.letter for row in found}
    last = next((row for row in reversed(found) if not row.is_skipped), None)
    if last is not None and last.status in (Status.PENDING, Status.SENDING):
        ahead = _after_planned(it, last)
    else:
        ahead = _after_ended(it, last, _ended(it, last, is_basis_required))
    return Conversation(
        campaign_id=it.campaign_id,
        campaign=it.campaign,
        lead=it.lead,
        steps=it.steps,
        letters=list(letters.values()),
        answers=[_answer(each, found, letters) for each in came_back],
        next=ahead.next,
        expected_step=last.next_step if last else None,
        expected_at=ahead.expected_at,
        held=ahead.held,
        held_until=ahead.held_until,
        ended=ahead.ended,
    )


def _after_planned(it: _Lead, last: _Letter) -> _Ahead:
    """What its last letter waits for, which is planned or being sent."""
    if last.status is Status.PENDING and (stuck := _stuck(it, last, is_follow_up=last.step > 1)):
        return _Ahead(held=stuck)
    if it.hold_stops is False:
        return _Ahead(next=last.letter, held=it.hold, held_until=it.hold_until)
    put_off = reason_columns.read(last.put_off, last.put_off_code, last.put_off_values)
    return _Ahead(next=last.letter, held=put_off, held_until=last.at if put_off else None)


def _after_ended(it: _Lead, last: _Letter | None, ended: Why | None) -> _Ahead:
    """What follows its last letter, which has its result; or its first, which is not planned yet."""
    if ended is not None:
        return _Ahead(ended=ended)
    is_held = it.hold_stops is False
    held, until = (it.hold, it.hold_until) if is_held else (None, None)
    if last is None or last.sent_at is None or last.wait is None:
        return _Ahead(held=held, held_until=until)
    if stuck := _stuck(it, last, is_follow_up=True):
        return _Ahead(held=stuck)
    expected_at = max(filter(None, (last.wait.ends(last.sent_at), it.hold_until)))
    return _Ahead(expected_at=expected_at, held=held, held_until=until)


def _stuck(it: _Lead, last: _Letter, *, is_follow_up: bool) -> Why | None:
    """Why the next letter cannot go: its mailbox or its campaign does not send."""
    if is_follow_up and it.campaign_status in _RUNNING and (stuck := last.waits_for_mailbox):
        return stuck
    if it.campaign_status is CampaignStatus.PAUSED:
        return Reason(Code.CAMPAIGN_STATUS, status=it.campaign_status)
    return None


def _ended(it: _Lead, last: _Letter | None, is_basis_required: bool) -> Why | None:
    """Why no more letters follow the last one, which is neither planned nor being sent."""
    if last is not None and last.status is Status.UNKNOWN:
        return None
    if last is not None and last.status is not Status.SENT:
        return last.letter.why or Reason(Code.LETTER_NOT_SENT, status=last.status)
    if (why := it.why(is_basis_required)) is not None:
        return why
    if last is not None and last.wait is None:
        return Reason(Code.SEQUENCE_OVER)
    if last is not None and last.is_ended:
        return Reason(Code.ENDED_WITH_MAILBOX)
    if it.campaign_status in (CampaignStatus.CANCELLED, CampaignStatus.COMPLETED):
        return Reason(Code.CAMPAIGN_STATUS, status=it.campaign_status)
    return None


def _answer(it: _Answer, letters: Sequence[_Letter], shown: Mapping[int, Letter]) -> Answer:
    """Clocks differ by seconds, so the letter that it answers is never one that left after it."""
    answered = next((each.step for each in letters if each.email_id == it.email_id), 0)
    after = next(
        (
            shown[each.email_id]
            for each in letters
            if each.step > answered and each.handed_over_at and it.at < each.handed_over_at <= it.read_at
        ),
        None,
    )
    return Answer(it.incoming_id, it.email_id, it.class_name, it.kind, it.at, it.read_at, after)
