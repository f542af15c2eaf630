"""What comes back is read from a real IMAP server, kept once, and does what follows from it."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from itertools import count
from typing import Any
from uuid import UUID

import pytest
from dramatiq import Message, get_broker
from prometheus_client import REGISTRY

from actors import deliver, inbox, reconcile
from actors.plan import plan_follow_ups, plan_new, replan
from mail import unsubscribe
from mail.message import own_id
from models.email import moves
from models.email.claims import Claim
from models.email.gates import Closed
from models.health import invariants
from models.inbox import holding, incoming, looks, matching, reply_stops
from models.owner import mailboxes, notices, protection
from models.owner.mailboxes import SentMail
from models.people import forgetting, lead_import, suppressions
from models.planning import plans
from models.states import Status
from models.store import database, vault
from models.store.tables import Campaign, CampaignEmailQueue, CampaignLead, Hold, InboxCursor, Lead
from models.store.tables import Inbox as InboxRow
from models.store.tables import Incoming as Row
from models.views import conversation_lines, conversations, history, responses
from models.views import incoming as views
from reasons import Code, Reason
from scheduling.window import warsaw_day
from tests import factories as make
from tests.conftest import Override
from tests.dovecot import Dovecot

pytestmark = pytest.mark.usefixtures("db", "broker")
Q = CampaignEmailQueue
_numbers = count(1)
LEAD = "anna@klient.example"


@pytest.fixture(autouse=True)
def nothing_published() -> Iterator[None]:
    yield
    get_broker().flush_all()


@pytest.fixture
def user() -> str:
    return f"inbox{next(_numbers)}"


def a_mailbox(dovecot: Dovecot, user: str, **changes: Any) -> int:
    return make.a_mailbox(
        username=user,
        password_encrypted=vault.encrypt(dovecot.password),
        sent_mail=SentMail(dovecot.host, dovecot.port, "none", None),
        **changes,
    )


def sent(mailbox_id: int, *leads: str, status: Status = Status.SENT) -> list[int]:
    """An e-mail to each lead, of one campaign, handed over an hour ago."""
    campaign_id = make.a_campaign([mailbox_id], leads=leads, delay=0.001)
    ids = []
    for _ in leads:
        [email_id] = make.planned(campaign_id, mailbox_id, make.now())
        make.rested(campaign_id)
        claim = make.claimed(email_id)
        content = deliver.compose(claim)
        assert isinstance(content, bytes)
        assert moves.hand_over(claim.held, content) is None
        assert moves.accept(claim.held, make.YES) if status is Status.SENT else moves.doubt(claim.held, "silence")
        make.age(email_id, timedelta(hours=1))
        ids.append(email_id)
    return ids


def pending(mailbox_id: int, lead: str = LEAD) -> int:
    """An e-mail to this lead of another campaign, planned for tomorrow."""
    campaign_id = make.a_campaign([mailbox_id], leads=[lead])
    return make.planned(campaign_id, mailbox_id, make.now() + timedelta(days=1))[0]


def a_reply(email_id: int, text: str, sender: str = LEAD, headers: str = "") -> bytes:
    number = next(_numbers)
    return (
        f"From: <{sender}>\r\nTo: ola@sender.example\r\nSubject: Re: hello\r\nMessage-ID: <{number}@klient.example>\r\n"
        f"In-Reply-To: {make.row(email_id).message_id}\r\n{headers}"
        f"Content-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n"
    ).encode()


def a_bounce(email_id: int, status: str = "5.1.1", words: str = "550 5.1.1 User unknown", to: str = LEAD) -> bytes:
    return (
        f"Return-Path: <>\r\nFrom: MAILER-DAEMON@mx.example\r\nSubject: Undelivered Mail\r\n"
        f"Message-ID: <{next(_numbers)}@mx.example>\r\n"
        "Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"
        "--b\r\nContent-Type: text/plain\r\n\r\nIt failed.\r\n"
        f"--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\n"
        f"Final-Recipient: rfc822; {to}\r\nAction: failed\r\nStatus: {status}\r\nDiagnostic-Code: smtp; {words}\r\n"
        f"--b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: {make.row(email_id).message_id}\r\n--b--\r\n"
    ).encode()


def a_complaint(email_id: int, to: str = LEAD) -> bytes:
    return (
        "From: feedback@isp.example\r\nContent-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n"
        "--b\r\nContent-Type: text/plain\r\n\r\nA report.\r\n--b\r\nContent-Type: message/feedback-report\r\n\r\n"
        f"Feedback-Type: abuse\r\nOriginal-Rcpt-To: {to}\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n"
        f"Message-ID: {make.row(email_id).message_id}\r\n\r\nhello\r\n--b--\r\n"
    ).encode()


def read(again: bool = True) -> list[Row]:
    """Read every inbox; what has been kept so far, in order."""
    if again:
        InboxRow.update(started_at=None, asked_at=None).execute()
    inbox.read_inboxes()
    return list(Row.select().order_by(Row.id))


def claim(email_id: int) -> Claim | Closed:
    """Whether it could be claimed if it were due."""
    Q.update(scheduled_at=make.now()).where(Q.id == email_id).execute()
    make.rested(make.row(email_id).campaign_id)
    return moves.claim(email_id, make.row(email_id).scheduled_at, make.WORKER)


class TestAReply:
    def test_of_a_person_stops_the_leads_further_mails_in_the_campaign(self, dovecot: Dovecot, user: str) -> None:
        mailbox_id = a_mailbox(dovecot, user)
        [email_id] = sent(mailbox_id, LEAD)
        elsewhere = pending(mailbox_id)
        dovecot.receive(user, a_reply(email_id, "Proszę o ofertę."))

        [row] = read()

        assert (row.class_, row.email_id, row.matched_by) == ("human", email_id, "In-Reply-To")
        assert (row.folder, row.uid, row.excerpt) == ("INBOX", 1, "Proszę o ofertę.")
        [hold] = Hold.select()
        assert (hold.campaign_id, hold.stops) == (make.row(email_id).campaign_id, True)
        assert make.row(email_id).status == Status.SENT
        assert isinstance(claim(elsewhere), Claim)

    def test_stops_its_mails_in_all_campaigns_where_the_campaign_says_so(self, dovecot: Dovecot, user: str) -> None:
        mailbox_id = a_mailbox(dovecot, user)
        [email_id] = sent(mailbox_id, LEAD)
        elsewhere, another = pending(mailbox_id), pending(mailbox_id, "jan@inny.example")
        reply_stops.change(make.row(email_id).campaign_id, "ola", in_all_campaigns=True)
        dovecot.receive(user, a_reply(email_id, "Proszę o ofertę."))

        read()

        assert (make.row(elsewhere).status, make.row(another).status) == (Status.CANCELLED, Status.PENDING)
        assert make.row(elsewhere).error == "not written to any more: the lead replied"

    @pytest.mark.parametrize(("domain", "stopped"), [("klient.example", True), ("gmail.com", False)])
    def test_stops_colleagues_where_the_campaign_says_so_but_not_at_a_public_domain(
        self, dovecot: Dovecot, user: str, domain: str, stopped: bool
    ) -> None:
        mailbox_id = a_mailbox(dovecot, user)
        [email_id] = sent(mailbox_id, f"anna@{domain}")
        colleague, other = pending(mailbox_id, f"jan@{domain}"), pending(mailbox_id, "jan@inny.example")
        reply_stops.change(make.row(email_id).campaign_id, "ola", in_all_campaigns=True, colleagues=True)
        dovecot.receive(user, a_reply(email_id, "Proszę o ofertę.", sender=f"anna@{domain}"))

        read()

        assert (make.row(colleague).status == Status.CANCELLED) is stopped
        assert make.row(other).status == Status.PENDING

    @pytest.mark.parametrize(
        ("everywhere", "domain"), [(True, "klient.example"), (False, "klient.example"), (True, "wp.pl")]
    )
    def test_stops_colleagues_who_are_imported_later_too(
        self, dovecot: Dovecot, user: str, everywhere: bool, domain: str
    ) -> None:
        mailbox_id = a_mailbox(dovecot, user)
        [email_id] = sent(mailbox_id, f"anna@{domain}")
        answered = make.row(email_id).campaign_id
        reply_stops.change(answered, "ola", in_all_campaigns=everywhere, colleagues=True)
        dovecot.receive(user, a_reply(email_id, "Proszę o ofertę.", sender=f"anna@{domain}"))
        read()

        with lead_import.staging():
            people = [(1, make.a_lead(f"jan@{domain}")), (2, make.a_lead("jan@inny.example"))]
            lead_import.stage(people)
            told = lead_import.stopped(None), lead_import.stopped(answered)
        later = make.a_campaign([mailbox_id], leads=[f"jan@{domain}", "jan@inny.example"])
        plan_new()

        is_stopped = domain not in holding.PUBLIC_DOMAINS
        assert told == ([1] if is_stopped and everywhere else [], [1] if is_stopped else [])
        planned = {CampaignLead.get_by_id(it.campaign_lead_id).address for it in Q.select().where(Q.campaign == later)}
        assert ("jan@klient.example" in planned) is (is_stopped and not everywhere)
        assert "jan@inny.example" in planned

    def test_stops_a_colleague_whose_mail_was_planned_at_the_same_time(self, dovecot: Dovecot, user: str) -> None:
        mailbox_id = a_mailbox(dovecot, user)
        [email_id] = sent(mailbox_id, LEAD)
        reply_stops.change(make.row(email_id).campaign_id, "ola", in_all_campaigns=True, colleagues=True)
        dovecot.receive(user, a_reply(email_id, "Proszę o ofertę."))
        read()
        colleague = pending(mailbox_id, "jan@klient.example")

        closed = claim(colleague)

        assert isinstance(closed, Closed)
        assert (closed.gate, closed.action) == ("lead", "cancel")
        assert closed.reason == "not written to any more: anna@klient.example of the same company replied"

    def test_lets_colleagues_be_written_to_again_once_it_is_corrected(self, dovecot: Dovecot, user: str) -> None:
        mailbox_id = a_mailbox(dovecot, user)
        [email_id] = sent(mailbox_id, LEAD)
        colleague = pending(mailbox_id, "jan@klient.example")
        reply_stops.change(make.row(email_id).campaign_id, "ola", in_all_campaigns=True, colleagues=True)
        dovecot.receive(user, a_reply(email_id, "Proszę o ofertę."))
        [row] = read()
        assert make.row(colleague).status == Status.CANCELLED

        incoming.correct(row.id, "other", "ola", "a test")

        assert make.row(colleague).status == Status.PENDING

    def test_keeps_colleagues_stopped_although_its_sender_is_forgotten(self, dovecot: Dovecot, user: str) -> None:
        mailbox_id = a_mailbox(dovecot, user)
        [email_id] = sent(mailbox_id, LEAD)
        colleague = pending(mailbox_id, "jan@klient.example")
        reply_stops.change(make.row(email_id).campaign_id, "ola", in_all_campaigns=True, colleagues=True)
        dovecot.receive(user, a_reply(email_id, "Proszę o ofertę."))
        read()

        forgetting.forget(LEAD, "ola", lambda key: None)

        assert [it.domain for it in Hold.select()] == [None, None]
        assert "klient" not in str([it.reason for it in Hold.select()])
        later = make.a_campaign([mailbox_id], leads=["jan@klient.example"])
        plan_new()
        assert Q.select().where(Q.campaign == later).count() == 0
        assert make.row(colleague).status == Status.CANCELLED

    def test_without_our_ids_is_matched_by_its_sender(self, dovecot: Dovecot, user: str) -> None:
        [email_id] = sent(a_mailbox(dovecot, user), LEAD)
        dovecot.receive(user, b"From: Anna <ANNA@klient.example>\r\nSubject: hello\r\n\r\nyes please\r\n")

        [row] = read()

        assert (row.class_, row.email_id, row.matched_by) == ("human", email_id, "sender")

    def test_is_judged_by_our_letters_texts_and_subject(self, dovecot: Dovecot, user: str) -> None:
        [email_id] = sent(a_mailbox(dovecot, user), LEAD)
        [match] = matching.named([str(make.row(email_id).message_id)])

        ours = inbox.letter(match)

        assert (ours.recipient, ours.subject) == (LEAD, f"Hello Lead {LEAD}")
        assert "how are you?" in ours.texts[0]

    def test_before_anything_was_sent_to_its_sender_is_none(self, dovecot: Dovecot, user: str) -> None:
        sent(a_mailbox(dovecot, user), LEAD)
        yesterday = make.now() - timedelta(days=1)
        dovecot.receive(user, f"From: {LEAD}\r\n\r\nhello\r\n".encode(), at=yesterday)

        assert read() == []

    def test_with_the_token_of_its_list_unsubscribe_suppresses_the_lead_whoever_sent_it(
        self, dovecot: Dovecot, user: str
    ) -> None:
        mailbox_id = a_mailbox(dovecot, user)
        [email_id] = sent(mailbox_id, LEAD)
        elsewhere = pending(mailbox_id)
        token = unsubscribe.token(UUID(own_id(make.row(email_id).message_id)), vault.derived_keys(unsubscribe.PURPOSE))
        dovecot.receive(user, f"From: biuro@inny.example\r\nSubject: unsubscribe-{token}\r\n\r\n\r\n".encode())

        [row] = read()

        assert (row.class_, row.email_id, row.matched_by) == ("unsubscribe", email_id, "token")
        assert make.row(elsewhere).status == Status.CANCELLED
        assert suppressions.of([LEAD]).keys() == {LEAD}

    def test_with_a_token_that_nobody_signed_is_nothing_of_ours(self, dovecot: Dovecot, user: str) -> None:
        mailbox_id = a_mailbox(dovecot, user)
        sent(mailbox_id, LEAD)
        forged = f"{'A' * 22}.{'A' * 24}"
        dovecot.receive(user, f"From: biuro@inny.example\r\nSubject: unsubscribe-{forged}\r\n\r\n\r\n".encode())

        read()

        assert suppressions.of([LEAD]) == {}

    def test_by_our_own_header_is_matched_although_the_message_id_was_rewritten(
        self, dovecot: Dovecot, user: str
    ) -> None:
        mailbox_id = a_mailbox(dovecot, user)
        [email_id] = sent(mailbox_id, LEAD)
        unique = make.row(email_id).message_id.strip("<>").partition("@")[0]
        bounce = a_bounce(email_id).replace(
            f"Message-ID: {make.row(email_id).message_id}".encode(), f"X-Punktual-Id: {unique}".encode()
        )
        dovecot.receive(user, bounce)

        [row] = read()

        assert (row.email_id, row.matched_by) == (email_id, "X-Punktual-Id")

    @pytest.mark.parametrize(
        "content",
        [
            b"From: stranger@inny.example\r\nSubject: hello\r\n\r\nWho are you?\r\n",
            b"From: <{us}>\r\nIn-Reply-To: {id}\r\n\r\nour own\r\n",
            b"From: <anna@klient.example>\r\nList-Unsubscribe: <https://x.example>\r\n\r\na newsletter\r\n",
        ],
    )
    def test_is_none_of_a_strangers_mail_our_own_or_a_newsletter(
        self, dovecot: Dovecot, user: str, content: bytes
    ) -> None:
        mailbox_id = a_mailbox(dovecot, user)
        [email_id] = sent(mailbox_id, LEAD)
        us = mailboxes.get(mailbox_id).address.encode()
        dovecot.receive(user, content.replace(b"{us}", us).replace(b"{id}", make.row(email_id).message_id.encode()))

        assert read() == []
        assert InboxCursor.get().last_uid == 1


class TestAnAutomaticReply:
    def test_holds_the_lead_until_the_end_of_the_day_that_it_names(self, dovecot: Dovecot, user: str) -> None:
        mailbox_id = a_mailbox(dovecot, user)
        [email_id] = sent(mailbox_id, LEAD)
        elsewhere = pending(mailbox_id)
        day = warsaw_day(make.now()) + timedelta(days=20)
        text = f"Jestem na urlopie do {day:%d.%m.%Y}."
        dovecot.receive(user, a_reply(email_id, text, headers="Auto-Submitted: auto-replied\r\n"))

        [row] = read()

        later = make.row(elsewhere)
        assert (row.class_, row.returns_on) == ("automatic", day)
        assert later.status == Status.PENDING
        assert warsaw_day(later.scheduled_at) > day
        last = history.of_email(elsewhere)[-1]
        assert (last.move, last.by, last.reason) == (
            "replan",
            "inbox",
            f"held: an automatic reply says away until {day}",
        )

    def test_without_a_date_holds_it_for_seven_days(self, dovecot: Dovecot, user: str) -> None:
        mailbox_id = a_mailbox(dovecot, user)
        [email_id] = sent(mailbox_id, LEAD)
        elsewhere = pending(mailbox_id)
        dovecot.receive(user, a_reply(email_id, "Nie ma mnie.", headers="Auto-Submitted: auto-replied\r\n"))

        read()

        assert make.row(elsewhere).scheduled_at > make.now() + timedelta(days=6, hours=23)

    def test_that_the_mail_was_displayed_holds_nobody(self, dovecot: Dovecot, user: str) -> None:
        mailbox_id = a_mailbox(dovecot, user)
        [email_id] = sent(mailbox_id, LEAD)
        dovecot.receive(
            user,
            f"From: {LEAD}\r\nIn-Reply-To: {make.row(email_id).message_id}\r\n"
            "Content-Type: multipart/report; boundary=b\r\n\r\n"
            "--b\r\nContent-Type: message/disposition-notification\r\n\r\nDisposition: x\r\n--b--".encode(),
        )

        [row] = read()

        assert (row.class_, row.kind, Hold.select().count()) == ("automatic", "receipt", 0)


class TestAHeldLead:
    @pytest.fixture
    def email_id(self, dovecot: Dovecot, user: str) -> int:
        """Pending, to a lead whose unclear reply waits for a person."""
        mailbox_id = a_mailbox(dovecot, user)
        [answered] = sent(mailbox_id, LEAD)
        elsewhere = pending(mailbox_id)
        dovecot.receive(user, a_reply(answered, ""))
        assert [row.class_ for row in read()] == ["unclear"]
        return elsewhere

    def test_is_not_claimed(self, email_id: int) -> None:
        closed = claim(email_id)

        assert isinstance(closed, Closed)
        assert (closed.gate, closed.action, closed.reason) == (
            "held",
            "wait",
            "held: a reply waits for a person to judge it",
        )

    def test_that_was_claimed_before_gets_no_dot(self, dovecot: Dovecot, user: str) -> None:
        mailbox_id = a_mailbox(dovecot, user)
        [answered] = sent(mailbox_id, LEAD)
        elsewhere = pending(mailbox_id)
        claimed = claim(elsewhere)
        assert isinstance(claimed, Claim)
        dovecot.receive(user, a_reply(answered, ""))
        read()

        closed = moves.hand_over(claimed.held, b"content")

        assert closed is not None
        assert closed.gate == "held"

    def test_is_put_off_again_by_the_tick_while_nobody_decides(self, email_id: int) -> None:
        Q.update(scheduled_at=make.now(), not_before=make.now()).where(Q.id == email_id).execute()

        replan()

        assert make.row(email_id).scheduled_at > make.now() + timedelta(days=6)

    def test_keeps_its_time_when_its_campaign_is_planned_again(self, email_id: int) -> None:
        before = make.row(email_id).scheduled_at
        campaign_id = make.row(email_id).campaign_id
        Campaign.update(replan_reason="edited").where(Campaign.id == campaign_id).execute()

        replan()

        assert make.row(email_id).scheduled_at == before
        assert plans.to_replan() == {}

    def test_does_not_keep_its_campaigns_other_leads_waiting(self, dovecot: Dovecot, user: str) -> None:
        mailbox_id = a_mailbox(dovecot, user)
        [answered] = sent(mailbox_id, LEAD)
        campaign_id = make.a_campaign([mailbox_id], leads=[LEAD, "jan@inny.example"])
        [held] = make.planned(campaign_id, mailbox_id, make.now() + timedelta(hours=1))
        dovecot.receive(user, a_reply(answered, ""))
        read()

        plan_new()

        rows = {row.id: row for row in Q.select().where(Q.campaign == campaign_id)}
        assert rows.pop(held).scheduled_at > make.now() + timedelta(days=6)
        [other] = rows.values()
        assert other.scheduled_at < make.now() + timedelta(days=1)

    def test_without_an_email_yet_is_not_planned_but_its_campaign_goes_on(self, dovecot: Dovecot, user: str) -> None:
        mailbox_id = a_mailbox(dovecot, user)
        [answered] = sent(mailbox_id, LEAD)
        campaign_id = make.a_campaign([mailbox_id], leads=[LEAD])
        dovecot.receive(user, a_reply(answered, ""))
        read()

        plan_new()
        reconcile.complete()

        assert Q.select().where(Q.campaign == campaign_id).count() == 0
        assert Campaign.get_by_id(campaign_id).status == "active"


class TestABounce:
    def test_of_the_address_suppresses_it_and_leaves_the_mail_sent(self, dovecot: Dovecot, user: str) -> None:
        mailbox_id = a_mailbox(dovecot, user)
        [email_id] = sent(mailbox_id, LEAD)
        elsewhere = pending(mailbox_id)
        dovecot.receive(user, a_bounce(email_id))

        [row] = read()

        assert (row.class_, row.kind, row.status, row.suppressed) == ("bounce", "address", "5.1.1", LEAD)
        assert [it.address for it in suppressions.every()] == [LEAD]
        assert (make.row(email_id).status, make.row(elsewhere).status) == (Status.SENT, Status.CANCELLED)

    @pytest.mark.parametrize(
        ("status", "words", "kind"),
        [
            ("5.7.1", "550 5.7.1 Blocked by policy", "policy"),
            ("4.2.2", "452 4.2.2 Mailbox full", "temporary"),
            ("5.2.2", "552 5.2.2 Over quota", "temporary"),
        ],
    )
    def test_of_another_kind_suppresses_nobody(
        self, dovecot: Dovecot, user: str, status: str, words: str, kind: str
    ) -> None:
        [email_id] = sent(a_mailbox(dovecot, user), LEAD)
        dovecot.receive(user, a_bounce(email_id, status, words))

        [row] = read()

        assert (row.kind, suppressions.every(), Hold.select().count()) == (kind, [], 0)

    def test_of_another_address_than_the_leads_holds_it_for_a_person(self, dovecot: Dovecot, user: str) -> None:
        [email_id] = sent(a_mailbox(dovecot, user), LEAD)
        dovecot.receive(user, a_bounce(email_id, to="old@elsewhere.example"))

        [row] = read()

        assert (suppressions.every(), [it.id for it in views.needs_a_person()]) == ([], [row.id])

    def test_of_a_letter_that_is_not_ours_holds_the_lead_for_a_person(self, dovecot: Dovecot, user: str) -> None:
        """Anybody can send mail in our name, and reports about it."""
        [email_id] = sent(a_mailbox(dovecot, user), LEAD)
        ours = str(make.row(email_id).message_id).encode()
        dovecot.receive(user, a_bounce(email_id).replace(ours, b"<forged@elsewhere.example>"))

        [row] = read()

        assert (row.matched_by, suppressions.every()) == ("recipient", [])
        assert [it.id for it in views.needs_a_person()] == [row.id]

    def test_without_any_letter_suppresses_the_address_that_it_names(self, dovecot: Dovecot, user: str) -> None:
        [email_id] = sent(a_mailbox(dovecot, user), LEAD)
        dovecot.receive(
            user, a_bounce(email_id).partition(b"--b\r\nContent-Type: text/rfc822-headers")[0] + b"--b--\r\n"
        )

        read()

        assert [it.address for it in suppressions.every()] == [LEAD]

    def test_proves_that_an_unknown_mail_was_sent(self, dovecot: Dovecot, user: str) -> None:
        [email_id] = sent(a_mailbox(dovecot, user), LEAD, status=Status.UNKNOWN)
        dovecot.receive(user, a_bounce(email_id))

        read()

        assert make.row(email_id).status == Status.SENT
        last = history.of_email(email_id)[-1]
        assert (last.move, last.by, last.reason) == ("accept", "inbox", "a message in INBOX names it in its Message-ID")

    def test_read_before_its_mail_became_unknown_proves_it_too(self, dovecot: Dovecot, user: str) -> None:
        mailbox_id = a_mailbox(dovecot, user)
        [email_id] = sent(mailbox_id, LEAD)
        dovecot.receive(user, a_bounce(email_id))
        read()
        Q.update(status="unknown", sent_at=None).where(Q.id == email_id).execute()

        assert incoming.settle_cited() == 1
        assert make.row(email_id).status == Status.SENT

    def test_counts_in_its_campaigns_protection(self, dovecot: Dovecot, user: str, settings: Override) -> None:
        settings(SENDING_PAUSE_AFTER_RESULTS=4, SENDING_PAUSE_AT_FAILED_PERCENT=50)
        ids = sent(a_mailbox(dovecot, user), *(f"lead{n}@klient{n}.example" for n in range(4)))
        for number, email_id in enumerate(ids[:2]):
            dovecot.receive(user, a_bounce(email_id, to=f"lead{number}@klient{number}.example"))
        dovecot.receive(user, a_bounce(ids[2], "4.2.2", "452 4.2.2 Mailbox full"))
        read()
        Campaign.update(watched_from=None).execute()  # its mails were made older than its start

        [paused] = protection.protect()

        assert (paused.results.count, paused.results.refused, paused.results.bounced) == (4, 2, 2)
        assert str(paused.results.reason) == "2 of its last 4 mails were refused or bounced"


def test_a_complaint_suppresses_and_is_told_at_once(dovecot: Dovecot, user: str) -> None:
    [email_id] = sent(a_mailbox(dovecot, user), LEAD)
    dovecot.receive(user, a_complaint(email_id))

    read()
    notices.refresh()

    assert [it.address for it in suppressions.every()] == [LEAD]
    due = notices.claim_due(timedelta(minutes=1))
    assert due is not None
    assert (due.kind, due.count) == ("complaint", 1)


class TestAComplaint:
    def test_about_a_letter_that_is_not_ours_holds_the_lead_for_a_person(self, dovecot: Dovecot, user: str) -> None:
        [email_id] = sent(a_mailbox(dovecot, user), LEAD)
        ours = str(make.row(email_id).message_id).encode()
        dovecot.receive(user, a_complaint(email_id).replace(ours, b"<forged@elsewhere.example>"))

        [row] = read()

        assert (row.class_, row.matched_by, suppressions.every()) == ("complaint", "recipient", [])
        assert [it.id for it in views.needs_a_person()] == [row.id]

    def test_about_one_that_a_person_confirms_suppresses(self, dovecot: Dovecot, user: str) -> None:
        [email_id] = sent(a_mailbox(dovecot, user), LEAD)
        ours = str(make.row(email_id).message_id).encode()
        dovecot.receive(user, a_complaint(email_id).replace(ours, b"<forged@elsewhere.example>"))
        [row] = read()

        incoming.correct(row.id, "complaint", "ola", "she wrote to us")

        assert ([it.address for it in suppressions.every()], views.needs_a_person()) == ([LEAD], [])

    def test_without_a_letter_suppresses_the_address_that_it_names(self, dovecot: Dovecot, user: str) -> None:
        [email_id] = sent(a_mailbox(dovecot, user), LEAD)
        dovecot.receive(user, a_complaint(email_id).partition(b"--b\r\nContent-Type: message/rfc822")[0] + b"--b--\r\n")

        read()

        assert [it.address for it in suppressions.every()] == [LEAD]


def test_a_request_not_to_write_suppresses(dovecot: Dovecot, user: str) -> None:
    mailbox_id = a_mailbox(dovecot, user)
    [email_id] = sent(mailbox_id, LEAD)
    elsewhere = pending(mailbox_id)
    dovecot.receive(user, a_reply(email_id, "Proszę mnie wypisać."))

    read()

    assert [(it.address, it.reason) for it in suppressions.every()] == [(LEAD, "the lead asked not to be written to")]
    assert make.row(elsewhere).status == Status.CANCELLED


def test_a_request_by_somebody_else_at_the_same_public_domain_is_held(dovecot: Dovecot, user: str) -> None:
    [email_id] = sent(a_mailbox(dovecot, user), "anna@gmail.com")
    dovecot.receive(user, a_reply(email_id, "unsubscribe", sender="jan@gmail.com"))

    [row] = read()

    assert (row.class_, suppressions.every()) == ("unclear", [])


COLLEAGUE = "jan@klient.example"


def sent_and_pending(mailbox_id: int, *pending_to: str) -> list[int]:
    """An e-mail that was sent to the lead, and those to others that its campaign still has to send, in order."""
    campaign_id = make.a_campaign([mailbox_id], leads=[LEAD, *pending_to], delay=0.001)
    [email_id] = make.planned(campaign_id, mailbox_id, make.now())
    send(email_id)
    make.age(email_id, timedelta(hours=1))
    return [email_id, *make.planned(campaign_id, mailbox_id, *[make.now() + timedelta(days=1)] * len(pending_to))]


def statuses(*email_ids: int) -> list[str]:
    return [make.row(each).status for each in email_ids]


def lead_id(address: str) -> int:
    found: int = Lead.get(Lead.address == address).id
    return found


class TestSomebodyElseWhoAnswersALeadsLetter:
    """It was forwarded, or both read one inbox: whoever writes is meant too."""

    def test_and_asks_not_to_be_written_to_is_suppressed_like_the_lead(self, dovecot: Dovecot, user: str) -> None:
        mailbox_id = a_mailbox(dovecot, user)
        email_id, theirs, others = sent_and_pending(mailbox_id, COLLEAGUE, "ewa@klient.example")
        elsewhere = [pending(mailbox_id), pending(mailbox_id, COLLEAGUE)]
        dovecot.receive(user, a_reply(email_id, "Proszę mnie wypisać.", sender="Jan@Klient.example"))

        read()

        assert {it.address: (it.reason, it.by, it.email_id) for it in suppressions.every()} == {
            LEAD: ("another address asked not to be written to, in answer to a letter to this one", "inbox", email_id),
            COLLEAGUE: ("the lead asked not to be written to", "inbox", email_id),
        }
        assert [(it.suppressed, it.suppressed_sender) for it in views.page()] == [(LEAD, COLLEAGUE)]
        assert statuses(theirs, others, *elsewhere) == ["cancelled", "pending", "cancelled", "cancelled"]

    def test_and_asks_for_that_is_suppressed_also_if_it_is_no_lead_yet(self, dovecot: Dovecot, user: str) -> None:
        [email_id] = sent(a_mailbox(dovecot, user), LEAD)
        dovecot.receive(user, a_reply(email_id, "Proszę mnie wypisać.", sender=COLLEAGUE))

        read()

        assert [it.address for it in suppressions.every()] == [LEAD, COLLEAGUE]

    def test_and_asks_by_the_token_of_list_unsubscribe_is_suppressed_too(self, dovecot: Dovecot, user: str) -> None:
        [email_id] = sent(a_mailbox(dovecot, user), LEAD)
        token = unsubscribe.token(UUID(own_id(make.row(email_id).message_id)), vault.derived_keys(unsubscribe.PURPOSE))
        dovecot.receive(user, f"From: jan@inny.example\r\nSubject: unsubscribe-{token}\r\n\r\n\r\n".encode())

        read()

        assert [it.address for it in suppressions.every()] == [LEAD, "jan@inny.example"]

    def test_is_not_suppressed_if_it_is_one_of_our_mailboxes(self, dovecot: Dovecot, user: str) -> None:
        mailbox_id = a_mailbox(dovecot, user)
        [email_id] = sent(mailbox_id, LEAD)
        us = mailboxes.get(mailbox_id).address
        token = unsubscribe.token(UUID(own_id(make.row(email_id).message_id)), vault.derived_keys(unsubscribe.PURPOSE))
        dovecot.receive(user, f"From: {us}\r\nSubject: unsubscribe-{token}\r\n\r\n\r\n".encode())

        read()

        assert [it.address for it in suppressions.every()] == [LEAD]

    def test_at_another_domain_suppresses_nobody_and_both_wait_for_a_person(self, dovecot: Dovecot, user: str) -> None:
        mailbox_id = a_mailbox(dovecot, user)
        email_id, theirs = sent_and_pending(mailbox_id, "jan@inny.example")
        elsewhere = pending(mailbox_id)
        dovecot.receive(user, a_reply(email_id, "Proszę mnie wypisać.", sender="jan@inny.example"))

        [row] = read()

        assert (row.class_, suppressions.every()) == ("unclear", [])
        assert [(it.lead, str(it.why)) for it in views.holds()] == [
            ("jan@inny.example", "a reply waits for a person to judge it"),
            (LEAD, "a reply waits for a person to judge it"),
        ]
        assert min(make.row(each).scheduled_at for each in (theirs, elsewhere)) > make.now() + timedelta(days=6)
        incoming.correct(row.id, "unsubscribe", "ola", "they are one company")
        assert [it.address for it in suppressions.every()] == [LEAD, "jan@inny.example"]

    def test_and_is_suppressed_already_keeps_its_first_reason_also_after_a_correction(
        self, dovecot: Dovecot, user: str
    ) -> None:
        [email_id] = sent(a_mailbox(dovecot, user), LEAD)
        suppressions.add(COLLEAGUE, "he called", "ola")
        dovecot.receive(user, a_reply(email_id, "Proszę mnie wypisać.", sender=COLLEAGUE))
        [row] = read()

        incoming.correct(row.id, "other", "ola", "a test")

        assert [(it.address, it.reason) for it in suppressions.every()] == [(COLLEAGUE, "he called")]

    def test_and_asked_by_mistake_is_written_to_again_like_the_lead(self, dovecot: Dovecot, user: str) -> None:
        mailbox_id = a_mailbox(dovecot, user)
        email_id, theirs = sent_and_pending(mailbox_id, COLLEAGUE)
        elsewhere = pending(mailbox_id)
        dovecot.receive(user, a_reply(email_id, "Proszę mnie wypisać.", sender=COLLEAGUE))
        [row] = read()

        incoming.correct(row.id, "other", "ola", "a test")

        assert suppressions.every() == []
        assert "suppressed_sender" not in Row.get().evidence
        assert statuses(theirs, elsewhere) == ["pending", "pending"]

    def test_gets_no_further_mails_of_the_campaign_either(self, dovecot: Dovecot, user: str) -> None:
        mailbox_id = a_mailbox(dovecot, user)
        email_id, theirs, others = sent_and_pending(mailbox_id, COLLEAGUE, "ewa@klient.example")
        elsewhere = pending(mailbox_id, COLLEAGUE)
        dovecot.receive(user, a_reply(email_id, "Proszę o ofertę.", sender=COLLEAGUE))

        read()

        campaign_id = make.row(email_id).campaign_id
        assert {(it.lead_id, it.campaign_id, it.reason_code) for it in Hold.select()} == {
            (lead_id(LEAD), campaign_id, "replied"),
            (lead_id(COLLEAGUE), campaign_id, "replied"),
        }
        assert make.row(theirs).error == "not written to any more: the lead replied"
        assert statuses(theirs, others, elsewhere) == ["cancelled", "pending", "pending"]
        assert [it.rule for it in invariants.check() if not it.holds] == []

    def test_gets_none_of_any_campaign_where_the_campaign_says_so(self, dovecot: Dovecot, user: str) -> None:
        mailbox_id = a_mailbox(dovecot, user)
        email_id, theirs = sent_and_pending(mailbox_id, "jan@inny.example")
        elsewhere = pending(mailbox_id, "jan@inny.example")
        reply_stops.change(make.row(email_id).campaign_id, "ola", in_all_campaigns=True, colleagues=True)
        dovecot.receive(user, a_reply(email_id, "Proszę o ofertę.", sender="jan@inny.example"))

        read()

        assert statuses(theirs, elsewhere) == ["cancelled", "cancelled"]

    def test_is_stopped_once_however_often_the_answer_is_read(self, dovecot: Dovecot, user: str) -> None:
        email_id, _ = sent_and_pending(a_mailbox(dovecot, user), COLLEAGUE)
        reply = a_reply(email_id, "Proszę o ofertę.", sender=COLLEAGUE)
        dovecot.receive(user, reply)
        read()
        dovecot.renumber(user)
        dovecot.receive(user, reply, folder="Junk")

        read()

        assert (Row.select().count(), Hold.select().count()) == (1, 2)

    def test_is_written_to_again_once_the_answer_is_corrected(self, dovecot: Dovecot, user: str) -> None:
        email_id, theirs = sent_and_pending(a_mailbox(dovecot, user), COLLEAGUE)
        dovecot.receive(user, a_reply(email_id, "Proszę o ofertę.", sender=COLLEAGUE))
        [row] = read()
        assert statuses(theirs) == ["cancelled"]

        incoming.correct(row.id, "other", "ola", "a test")

        assert statuses(theirs) == ["pending"]

    @pytest.mark.parametrize("kind", ["automatic", "gone", "bounce"])
    def test_is_no_program_of_theirs(self, dovecot: Dovecot, user: str, kind: str) -> None:
        email_id, theirs = sent_and_pending(a_mailbox(dovecot, user), COLLEAGUE)
        text = "Jestem na urlopie." if kind == "automatic" else "Jan Nowak już u nas nie pracuje."
        automatic = a_reply(email_id, text, sender=COLLEAGUE, headers="Auto-Submitted: auto-replied\r\n")
        bounce = a_bounce(email_id).replace(b"MAILER-DAEMON@mx.example", COLLEAGUE.encode())
        dovecot.receive(user, bounce if kind == "bounce" else automatic)

        [row] = read()

        assert row.class_ == ("bounce" if kind == "bounce" else "automatic")
        assert lead_id(COLLEAGUE) not in [it.lead_id for it in Hold.select()]
        assert COLLEAGUE not in [it.address for it in suppressions.every()]
        assert make.row(theirs).scheduled_at < make.now() + timedelta(days=2)


def test_a_request_from_an_address_without_a_name_suppresses_no_domain(dovecot: Dovecot, user: str) -> None:
    a_mailbox(dovecot, user)
    dovecot.receive(user, b"From: @klient.example\r\nSubject: hello\r\n\r\nunsubscribe\r\n")

    read()

    assert suppressions.every() == []


class TestReading:
    def test_marks_moves_and_deletes_nothing(self, dovecot: Dovecot, user: str) -> None:
        [email_id] = sent(a_mailbox(dovecot, user), LEAD)
        dovecot.receive(user, a_reply(email_id, "tak"))
        dovecot.receive(user, a_reply(email_id, "tak"), folder="Spam")
        before = dovecot.state(user), dovecot.state(user, "Spam")

        read()

        assert (dovecot.state(user), dovecot.state(user, "Spam")) == before
        assert [flags for state in before for flags in state.values() if b"\\Seen" in flags] == []

    def test_covers_the_junk_folder(self, dovecot: Dovecot, user: str) -> None:
        [email_id] = sent(a_mailbox(dovecot, user), LEAD)
        dovecot.receive(user, a_reply(email_id, "tak"), folder="Niechciane")

        assert [(row.folder, row.class_) for row in read()] == [("Niechciane", "human")]

    def test_twice_keeps_once(self, dovecot: Dovecot, user: str) -> None:
        [email_id] = sent(a_mailbox(dovecot, user), LEAD)
        dovecot.receive(user, a_reply(email_id, "tak"))

        first, second = read(), read()

        assert [row.id for row in first] == [row.id for row in second]
        assert Hold.select().count() == 1

    def test_after_another_uidvalidity_reads_again_and_keeps_once(self, dovecot: Dovecot, user: str) -> None:
        [email_id] = sent(a_mailbox(dovecot, user), LEAD)
        dovecot.receive(user, a_reply(email_id, "tak"))
        read()
        dovecot.renumber(user)
        dovecot.receive(user, a_reply(email_id, "i jeszcze coś"))

        rows = read()

        assert [row.excerpt for row in rows] == ["tak", "i jeszcze coś"]
        assert InboxCursor.select().where(InboxCursor.folder == "INBOX").count() == 2
        assert Hold.select().count() == 2

    def test_what_was_moved_to_junk_meanwhile_keeps_it_once(self, dovecot: Dovecot, user: str) -> None:
        [email_id] = sent(a_mailbox(dovecot, user), LEAD)
        reply = a_reply(email_id, "tak")
        dovecot.receive(user, reply)
        read()
        dovecot.receive(user, reply, folder="Junk")

        assert [row.folder for row in read()] == ["INBOX"]

    def test_begins_thirty_days_back(self, dovecot: Dovecot, user: str) -> None:
        [email_id] = sent(a_mailbox(dovecot, user), LEAD)
        make.age(email_id, timedelta(days=50))
        for days in (40, 20):
            dovecot.receive(user, a_reply(email_id, f"{days} days"), at=make.now() - timedelta(days=days))

        assert [row.excerpt for row in read()] == ["20 days"]

    def test_goes_on_where_it_stopped_at_its_bounds(self, dovecot: Dovecot, user: str, settings: Override) -> None:
        settings(IMAP_INBOX_MESSAGES=2)
        mailbox_id = a_mailbox(dovecot, user)
        [email_id] = sent(mailbox_id, LEAD)
        for number in range(5):
            dovecot.receive(user, a_reply(email_id, f"answer {number}"))
        look = looks.claim_due()
        assert look is not None

        inbox.look_into(look)
        after_one = Row.select().count()
        is_read = InboxRow.get().read_at is not None
        read(again=False)

        assert (after_one, is_read) == (2, False)
        assert [row.excerpt for row in Row.select().order_by(Row.id)] == [f"answer {number}" for number in range(5)]
        assert InboxRow.get().read_at is not None

    def test_takes_only_the_first_bytes_of_a_huge_message(self, dovecot: Dovecot, user: str) -> None:
        [email_id] = sent(a_mailbox(dovecot, user), LEAD)
        dovecot.receive(user, a_reply(email_id, "tak, " + "x" * 3_000_000))
        dovecot.receive(user, a_reply(email_id, "następna"))

        assert [row.class_ for row in read()] == ["human", "human"]

    def test_is_not_stopped_by_a_hostile_message(self, dovecot: Dovecot, user: str) -> None:
        [email_id] = sent(a_mailbox(dovecot, user), LEAD)
        nul = f"From: {LEAD}\r\nSubject: a\0b\r\nContent-Type: text/plain; charset=x\r\n\r\n\0\xff\r\n".encode(
            "latin-1"
        )
        dovecot.receive(user, nul.replace(b"\0", b"=?utf-8?q?=00?="))
        dovecot.receive(user, a_reply(email_id, "następna"))

        assert len(read()) == 2

    @pytest.mark.slow
    def test_killed_before_each_of_its_statements_loses_nothing_and_does_nothing_twice(
        self, dovecot: Dovecot, user: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What a worker had not committed is rolled back; the next look meets what it had."""
        mailbox_id = a_mailbox(dovecot, user)
        [email_id] = sent(mailbox_id, LEAD)
        [unknown_id] = sent(mailbox_id, "jan@inny.example", status=Status.UNKNOWN)
        elsewhere = pending(mailbox_id, "jan@inny.example")
        dovecot.receive(user, a_reply(email_id, "Proszę o ofertę."))
        dovecot.receive(user, a_bounce(unknown_id, to="jan@inny.example"))

        deaths = 0
        while dies(monkeypatch, before_statement=deaths + 1):
            deaths += 1

        assert deaths > 20
        assert [(row.class_, row.uid) for row in Row.select().order_by(Row.id)] == [("human", 1), ("bounce", 2)]
        assert Hold.select().count() == 1
        assert [it.address for it in suppressions.every()] == ["jan@inny.example"]
        assert (make.row(unknown_id).status, make.row(elsewhere).status) == (Status.SENT, Status.CANCELLED)
        assert [it.move for it in history.of_email(unknown_id)].count("accept") == 1
        assert InboxCursor.get(InboxCursor.folder == "INBOX").last_uid == 2


class Killed(BaseException):
    """As SIGKILL: nothing of the process handles it."""


def dies(monkeypatch: pytest.MonkeyPatch, before_statement: int) -> bool:
    """Read the inboxes until that statement; whether there were as many."""
    InboxRow.update(started_at=None, asked_at=None).execute()
    numbers, run = count(1), database.database.execute_sql

    def counted(*arguments: Any, **named: Any) -> Any:
        if next(numbers) == before_statement:
            raise Killed
        return run(*arguments, **named)  # type: ignore[no-untyped-call]

    with monkeypatch.context() as patched, suppress(Killed):
        patched.setattr(database.database, "execute_sql", counted)
        inbox.read_inboxes()
        return False
    return True


class TestALookThatFails:
    def test_is_kept_in_its_row_and_tried_less_often(self, dovecot: Dovecot, user: str) -> None:
        mailbox_id = a_mailbox(dovecot, user)
        mailboxes.edit(mailbox_id, "tests", mailboxes.Edit(password_encrypted=vault.encrypt("wr0ng-one")))

        read()

        [reading] = views.readings().values()
        assert (reading.failures, reading.failed_step, reading.read_at) == (1, "login", None)
        assert reading.failed_reason is not None
        assert "wr0ng-one" not in reading.failed_reason
        assert not looks.any_due()
        database.execute("UPDATE inbox SET started_at = started_at - interval '6 minutes'")
        assert not looks.any_due()

    def test_does_not_keep_other_mailboxes_from_being_read(self, dovecot: Dovecot, user: str) -> None:
        a_mailbox(dovecot, "nobody", address="a@sender.example")
        database.execute("UPDATE mailbox SET imap_port = 1")
        [email_id] = sent(a_mailbox(dovecot, user), LEAD)
        dovecot.receive(user, a_reply(email_id, "tak"))

        assert len(read()) == 1

    def test_whose_worker_died_is_due_again(self, dovecot: Dovecot, user: str) -> None:
        a_mailbox(dovecot, user)
        assert looks.claim_due() is not None
        assert not looks.any_due()

        database.execute("UPDATE inbox SET started_at = started_at - interval '4 minutes'")

        assert looks.any_due()


def test_the_tick_asks_for_the_inboxes_that_are_due(dovecot: Dovecot, user: str) -> None:
    mailbox_id = a_mailbox(dovecot, user)
    inbox.ask_for_inboxes()
    read()
    inbox.ask_for_inboxes()
    looks.ask(mailbox_id)
    inbox.ask_for_inboxes()

    queue = get_broker().queues["inbox"]
    assert [Message.decode(queue.get_nowait()).actor_name for _ in range(queue.qsize())] == ["read_inboxes"] * 2


class TestACorrection:
    @pytest.fixture
    def row(self, dovecot: Dovecot, user: str) -> Row:
        """A request not to write, which cancelled an e-mail of another campaign."""
        mailbox_id = a_mailbox(dovecot, user)
        [email_id] = sent(mailbox_id, LEAD)
        pending(mailbox_id)
        dovecot.receive(user, a_reply(email_id, "Proszę mnie wypisać."))
        return read()[0]

    def elsewhere(self, row: Row) -> CampaignEmailQueue:
        found: CampaignEmailQueue = Q.get(Q.campaign != row.campaign_id)
        return found

    def test_takes_back_what_followed_and_plans_the_mails_again(self, row: Row) -> None:
        incoming.correct(row.id, "human", "ola", "she meant another list")

        assert suppressions.every() == []
        again = self.elsewhere(row)
        assert again.status == Status.PENDING
        last = history.of_email(again.id)[-1]
        assert (last.move, last.by) == ("reopen", "ola")
        assert last.reason == "a message was taken for unsubscribe and is human: she meant another list"
        [hold] = Hold.select()
        assert (hold.stops, hold.campaign_id) == (True, row.campaign_id)
        assert (Row.get().class_, Row.get().read_as, Row.get().corrected_by) == ("human", "unsubscribe", "ola")

    def test_leaves_a_suppression_that_was_there_before(self, dovecot: Dovecot, user: str) -> None:
        [email_id] = sent(a_mailbox(dovecot, user), LEAD)
        suppressions.add(LEAD, "she called", "ola")
        dovecot.receive(user, a_reply(email_id, "Proszę mnie wypisać."))
        [row] = read()

        incoming.correct(row.id, "other", "ola", "a test")

        assert [it.reason for it in suppressions.every()] == ["she called"]

    def test_of_an_unclear_reply_frees_the_lead(self, dovecot: Dovecot, user: str) -> None:
        mailbox_id = a_mailbox(dovecot, user)
        [email_id] = sent(mailbox_id, LEAD)
        elsewhere = pending(mailbox_id)
        dovecot.receive(user, a_reply(email_id, ""))
        [row] = read()

        incoming.correct(row.id, "other", "ola", "sent by mistake")

        assert make.row(elsewhere).scheduled_at < make.now() + timedelta(days=1)
        assert make.row(elsewhere).not_before is None
        assert isinstance(claim(elsewhere), Claim)
        assert views.needs_a_person() == []

    @pytest.mark.parametrize(
        ("class_", "kind", "reason"),
        [
            ("unsubscribe", None, "same"),
            ("bounce", None, "no kind"),
            ("human", "address", "a kind"),
            ("human", None, " "),
        ],
    )
    def test_that_says_nothing_new_or_nonsense_changes_nothing(
        self, row: Row, class_: str, kind: str | None, reason: str
    ) -> None:
        with pytest.raises(incoming.CorrectionRefused):
            incoming.correct(row.id, class_, "ola", reason, kind)

        assert Row.get().corrected_at is None
        assert len(suppressions.every()) == 1


def test_views_tell_what_came_back(dovecot: Dovecot, user: str) -> None:
    mailbox_id = a_mailbox(dovecot, user)
    first, second = sent(mailbox_id, LEAD, "jan@inny.example")
    dovecot.receive(user, a_reply(first, "tak"))
    dovecot.receive(user, a_bounce(second, to="jan@inny.example"))
    read()
    campaign_id = make.row(first).campaign_id

    lines = views.page(campaign_id=campaign_id)

    assert [(it.class_name, it.lead, it.is_held) for it in lines] == [
        ("bounce", "jan@inny.example", False),
        ("human", LEAD, True),
    ]
    counts = responses.of_campaigns([campaign_id])[campaign_id]
    assert (counts.replied, counts.bounced_address, counts.unclear, counts.stopped) == (1, 1, 0, 1)
    assert responses.of_mailboxes([mailbox_id])[mailbox_id] == counts
    assert views.one(lines[0].id) == lines[0]
    assert views.of_email(first) == [lines[1]]
    assert [(it.lead, str(it.why)) for it in views.holds(lead=LEAD)] == [(LEAD, "the lead replied")]
    assert CampaignLead.select().count() == 2


class TestAnAnswerThatIsReadTooLate:
    """It came before its lead's follow-up was handed over, and after the look that allowed that."""

    @pytest.mark.parametrize(("minutes", "late"), [(6, 1), (4, 0)], ids=["before the hand-over", "after it"])
    def test_is_counted_shown_and_told(self, dovecot: Dovecot, user: str, minutes: int, late: int) -> None:
        mailbox_id = a_mailbox(dovecot, user)
        campaign_id = make.a_campaign([mailbox_id], leads=[LEAD], delay=0.001, follow_ups=["1 day", "1 day"])
        [first] = make.planned(campaign_id, mailbox_id, make.now())
        send(first)
        make.everything_older(timedelta(days=2))
        plan_follow_ups()
        second = Q.get(Q.predecessor == first).id
        read()
        Q.update(scheduled_at=make.now()).where(Q.id == second).execute()
        make.rested(campaign_id)
        send(second)
        make.everything_older(timedelta(minutes=5))
        before = REGISTRY.get_sample_value(LATE) or 0.0

        dovecot.receive(user, a_reply(first, "tak"), at=make.now() - timedelta(minutes=minutes))
        read()

        assert (REGISTRY.get_sample_value(LATE) or 0.0) - before == late
        told = conversations.of_email(first)
        assert told is not None
        assert told.ended == Reason(Code.STOPPED, because=Reason(Code.REPLIED))
        assert conversation_lines.line(told).count(", after letter 2 had left ") == late
        plan_follow_ups()
        assert Q.select().count() == 2


LATE = "punktual_answers_read_late_total"


def send(email_id: int) -> None:
    claim = make.claimed(email_id)
    content = deliver.compose(claim)
    assert isinstance(content, bytes)
    assert moves.hand_over(claim.held, content) is None
    assert moves.accept(claim.held, make.YES)
