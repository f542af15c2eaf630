"""Test mails: a campaign's letter, sent once to an address that a person names.

A test mail is one order of a person, carried out at once in the person's own process: it is counted before the
conversation begins, handed over before the dot, and never tried again by itself, whatever became of it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import config
from messages import Message, gettext_noop
from models.email import facts, gates, limits, locks
from models.email.attempts import Conversation
from models.email.gates import Facts
from models.email.suppressed import ENTRY
from models.owner import mailboxes
from models.states import CampaignStatus, Result, Status
from models.store import counting, installation, reason_columns
from models.store.database import clock, database, row, rows
from models.store.recordable import recordable
from models.store.tables import CLOCK, CampaignMailbox, Mailbox, TestMail
from reasons import Code, Reason, Why, warsaw
from scheduling.planner import interval
from scheduling.window import DAY_MINUTES, Window, warsaw_day

_ANY_TIME = Window(0, DAY_MINUTES, frozenset(range(7)))
# Of all gates those that a mail of no campaign's schedule has to pass.
_GATES = (
    gates.lead_may_be_written_to,
    gates.under_the_limits,
    gates.under_its_providers_limits,
    gates.mailbox_is_open,
    gates.mailbox_is_free,
    gates.host_has_room,
)
_AT_HAND_OVER = (gates.lead_may_be_written_to, gates.mailbox_is_open)


class TestMailRefused(Exception):
    """The test mail may not be sent now."""


@dataclass(frozen=True)
class Order:
    """A test mail that may be sent, once."""

    id: int
    message_id: str


def begin(campaign_id: int | None, mailbox_id: int, recipient: str, by: str) -> Order:
    """Count a test mail and occupy its mailbox. recipient: a normalised address. Raises TestMailRefused.

    campaign_id: None: of none, like a calibration mail.
    """
    with database.atomic():
        mailbox = _locked(mailbox_id)
        if campaign_id is not None and not CampaignMailbox.select().where(
            CampaignMailbox.campaign == campaign_id, CampaignMailbox.mailbox == mailbox_id
        ):
            template = gettext_noop("%(mailbox)s is none of the campaign's mailboxes")
            raise TestMailRefused(Message(template, mailbox=mailbox.address))
        _check(mailbox, recipient, _GATES)
        _end_those_of_dead_processes(mailbox_id)
        now, rules = clock(), config.settings()
        lease = rules.smtp.conversation_timeout_seconds + rules.sending.answer_lease_seconds
        test = {
            "mailbox": mailbox_id,
            "campaign": campaign_id,
            "recipient": recipient,
            "by": by,
            "message_id": f"<{uuid4()}@{mailbox.address.rpartition('@')[2]}>",
            "started_at": now,
            "lease_ends_at": now + timedelta(seconds=lease),
        }
        test_id = int(TestMail.insert(test).execute())
        Mailbox.update(last_start_at=now).where(Mailbox.id == mailbox_id).execute()
    return Order(test_id, str(test["message_id"]))


def hand_over(test_id: int) -> Why | None:
    """Record that the final dot may be sent. Returns why it must not be sent, or None."""
    with database.atomic():
        test = TestMail.get_by_id(test_id)
        try:
            _check(_locked(test.mailbox_id), test.recipient, _AT_HAND_OVER)
        except TestMailRefused as refusal:
            return str(refusal)
        handed = TestMail.update(handed_over_at=CLOCK).where(
            TestMail.id == test_id, TestMail.handed_over_at.is_null(), TestMail.ended_at.is_null()
        )
        return None if handed.execute() else Reason(Code.CLAIM_LOST)


def end(test_id: int, told: Conversation) -> None:
    """Record what became of the test mail."""
    answer = told.answer or (str(told.instead) if told.instead else None)
    ended = TestMail.update(ended_at=CLOCK, outcome=told.result, answer=recordable(answer))
    ended.where(TestMail.id == test_id, TestMail.ended_at.is_null()).execute()


def abandon(test_id: int) -> None:
    """End a test mail whose process stops: its outcome is unknown if it was handed over, else nothing was sent."""
    open_ones = TestMail.id == test_id, TestMail.ended_at.is_null()
    for outcome, which in (
        (Result.WITHDRAWN, TestMail.handed_over_at.is_null()),
        (Result.UNANSWERED, TestMail.handed_over_at.is_null(False)),
    ):
        TestMail.update(ended_at=CLOCK, outcome=outcome).where(*open_ones, which).execute()


@dataclass(frozen=True)
class Ended:
    """What became of a test mail."""

    recipient: str
    mailbox: str
    outcome: Result | None  # None: it is still being sent
    answer: str | None


ENDED = """
SELECT t.recipient, m.address AS mailbox, t.outcome, t.answer FROM test_mail t JOIN mailbox m ON m.id = t.mailbox_id
WHERE t.id = %s AND t.campaign_id = %s
"""


def of_campaign(campaign_id: int, test_id: int) -> Ended | None:
    return row(Ended, ENDED, (test_id, campaign_id))


@dataclass(frozen=True)
class Sent:
    """A test mail to a person."""

    started_at: datetime
    campaign: str | None
    mailbox: str
    message_id: str
    outcome: Result | None  # None: it is still being sent
    answer: str | None


TO = """
SELECT t.started_at, c.name AS campaign, m.address AS mailbox, t.message_id, t.outcome, t.answer FROM test_mail t
JOIN mailbox m ON m.id = t.mailbox_id LEFT JOIN campaign c ON c.id = t.campaign_id
WHERE t.recipient = %s ORDER BY t.id DESC
"""


def to(address: str) -> list[Sent]:
    """The test mails to this normalised address, the latest first."""
    return rows(Sent, TO, (address,))


def _end_those_of_dead_processes(mailbox_id: int) -> None:
    """End test mails whose process died. They may have arrived, so they still count."""
    dead = TestMail.update(ended_at=CLOCK, outcome=Result.UNANSWERED)
    dead.where(TestMail.mailbox == mailbox_id, TestMail.ended_at.is_null(), TestMail.lease_ends_at <= CLOCK).execute()


def _locked(mailbox_id: int) -> Mailbox:
    for mailbox in locks.lock_mailboxes([mailbox_id]):
        return mailbox
    raise mailboxes.NoSuchMailbox(f"there is no mailbox {mailbox_id}")


@dataclass(frozen=True)
class _Around:
    mailbox_busy: bool
    host_sending: int
    suppressed_by: str | None
    reason: str | None
    reason_code: str | None
    reason_values: dict[str, Any] | None
    provider: str | None
    ceiling_most: int | None
    ceiling_seconds: int | None
    ceiling_until: datetime | None


AROUND = f"""
SELECT EXISTS (SELECT FROM campaign_email_queue b WHERE b.mailbox_id = %(mailbox)s AND b.status = 'sending')
           OR EXISTS (SELECT FROM test_mail t WHERE t.mailbox_id = %(mailbox)s AND {counting.TEST_IS_UNDER_WAY})
           AS mailbox_busy,
       {limits.SENDING_AT_HOST} AS host_sending,
       s.address AS suppressed_by, s.reason, s.reason_code, s.reason_values,
       m.provider, ceiling.ceiling_most, ceiling.ceiling_seconds, ceiling.ceiling_until
FROM mailbox m
LEFT JOIN LATERAL {ENTRY.format(address="%(recipient)s")} s ON true
LEFT JOIN LATERAL ({limits.ceiling_query(besides="0")}) ceiling ON true
WHERE m.id = %(mailbox)s
"""  # noqa: S608  # only our own words


def _check(mailbox: Mailbox, recipient: str, asked: tuple[gates.Gate, ...]) -> None:
    """Ask the gates that the worker asks, with nothing of a campaign in their way."""
    if disarmed := installation.disarmed_reason():
        raise TestMailRefused(Message(gettext_noop("nothing is being sent: %(because)s"), because=disarmed))
    around = row(_Around, AROUND, {"mailbox": mailbox.id, "recipient": recipient})
    assert around is not None
    now = clock()
    of_day = limits.mailboxes_on([mailbox.id], warsaw_day(now))[mailbox.id]
    seen = Facts(
        now=now,
        clock_off=timedelta(0),
        email_id=0,
        campaign_id=0,
        mailbox_id=mailbox.id,
        status=Status.PENDING,
        scheduled_at=now,
        handed_over_at=None,
        campaign_status=CampaignStatus.ACTIVE,
        window=_ANY_TIME,
        delay=timedelta(0),
        campaign_limit=1,
        campaign_used=0,
        campaign_last_start=None,
        mailbox_status=mailbox.status,
        mailbox_closed_until=mailbox.closed_until,
        mailbox_closed_reason=mailboxes.why_closed(mailbox),
        mailbox_paused_reason=mailboxes.why_paused(mailbox),
        mailbox_limit=of_day.limit,
        mailbox_used=limits.mailboxes_used([mailbox.id], warsaw_day(now)).get(mailbox.id, 0),
        mailbox_gap=interval(mailbox.gap_seconds, "gap"),
        mailbox_last_start=mailbox.last_start_at,
        mailbox_busy=around.mailbox_busy,
        host_sending=around.host_sending,
        suppressed_by=around.suppressed_by,
        suppressed=reason_columns.current(around.reason, around.reason_code, around.reason_values),
        legal_basis="a test",
        requires_legal_basis=False,
        hold=None,
        mailbox_frozen_to=of_day.frozen_to,
        ceiling=facts.reached(around.provider, around.ceiling_most, around.ceiling_seconds, around.ceiling_until),
    )
    if closed := gates.first_closed(asked, seen, config.settings().sending):
        raise TestMailRefused(_told(mailbox, closed))


def _told(mailbox: Mailbox, closed: gates.Closed) -> Message:
    if closed.gate == "lead":
        return Message(gettext_noop("nothing may be sent to this address: %(because)s"), because=closed.reason)
    values = {"mailbox": mailbox.address, "because": closed.reason}
    if closed.until is None:
        return Message(gettext_noop("%(mailbox)s cannot send it now: %(because)s"), **values)
    template = gettext_noop("%(mailbox)s cannot send it now: %(because)s; try again from %(at)s")
    return Message(template, **values, at=warsaw(closed.until))
