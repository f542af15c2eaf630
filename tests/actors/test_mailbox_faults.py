"""A mailbox's trouble is the mailbox's: it closes for a growing pause, and no lead is failed for it."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from dramatiq import get_broker

from actors import deliver as pipeline
from actors import plan
from models.email import moves
from models.owner import mailboxes
from models.states import Move, Status
from models.store import vault
from models.store.tables import Campaign, CampaignEmailQueue, EmailHistory, Mailbox
from models.views import history
from tests import factories as make
from tests.conftest import Override
from tests.smtp_server import SmtpServer

Q = CampaignEmailQueue
BUSY, READY = "421 4.7.0 too many connections", "220 ready"


@pytest.fixture
def smtp(db: None) -> Iterator[SmtpServer]:
    with SmtpServer() as running:
        yield running
    get_broker().flush_all()


def deliver(email_id: int) -> CampaignEmailQueue:
    """What a worker does with the hint for the mail's time, at that time."""
    make.rested(make.row(email_id).campaign_id)
    Q.update(scheduled_at=make.now()).where(Q.id == email_id).execute()
    pipeline.deliver(email_id, round(make.row(email_id).scheduled_at.timestamp() * 1000))
    return make.row(email_id)


def pause_is_over(mailbox_id: int) -> None:
    Mailbox.update(closed_until=make.now() - timedelta(seconds=1)).where(Mailbox.id == mailbox_id).execute()


def pause_of(mailbox_id: int) -> timedelta:
    until = Mailbox.get_by_id(mailbox_id).closed_until
    assert until is not None
    left: timedelta = until - make.now()
    return left


def campaign_of(*mailbox_ids: int, leads: int | list[str] = 3) -> tuple[int, list[int]]:
    """A campaign whose mails are all planned on its first mailbox, one a minute from now on."""
    campaign_id = make.a_campaign(mailbox_ids, leads=leads)
    count = leads if isinstance(leads, int) else len(leads)
    times = [make.now() + timedelta(minutes=number) for number in range(count)]
    return campaign_id, make.planned(campaign_id, mailbox_ids[0], *times)


class TestEachFault:
    """Of the login, the provider, the connection, the encryption."""

    @pytest.mark.parametrize(
        ("server", "mailbox", "lead", "words"),
        [
            ({"credentials": ("ola", "s3cret")}, {"username": "ola"}, "anna", "535 5.7.8 wrong username"),
            ({"greeting": BUSY}, {}, "anna", BUSY),
            ({"greeting": "554 5.7.1 go away"}, {}, "anna", "554 5.7.1 go away"),
            ({}, {}, "421", "421 4.0.0 as the address asked"),
            ({}, {}, "454", "454 4.0.0 as the address asked"),
            ({}, {}, "550-5.4.5", "550 5.4.5 daily sending quota exceeded"),
            ({}, {}, "dot-421", "421 4.0.0 as the address asked"),
            ({}, {"smtp_security": "starttls"}, "anna", "STARTTLS"),
            ({"security": "starttls"}, {"smtp_security": "starttls"}, "anna", "certificate"),
            ({"security": "tls"}, {"smtp_security": "tls"}, "anna", "certificate"),
            (None, {}, "anna", "Connection refused"),
        ],
    )
    def test_closes_the_mailbox_and_costs_the_mail_nothing(
        self, db: None, server: dict[str, Any] | None, mailbox: dict[str, Any], lead: str, words: str
    ) -> None:
        with ExitStack() as stack:
            port = stack.enter_context(SmtpServer(**server)).port if server is not None else nobody_listens()
            password = vault.encrypt("never-right") if "username" in mailbox else None
            mailbox_id = make.a_mailbox(smtp_port=port, password_encrypted=password, **mailbox)
            _, [email_id] = campaign_of(mailbox_id, leads=[f"{lead}@leads.example"])

            row = deliver(email_id)

        closed = Mailbox.get_by_id(mailbox_id)
        assert (row.status, row.attempts, row.error, row.handed_over_at) == (Status.PENDING, 0, None, None)
        assert (closed.faults, closed.status) == (1, "active")
        assert words in str(closed.closed_reason)
        assert history.of_email(email_id)[-1].reason == f"mailbox: {closed.closed_reason}"


class TestWhileItIsClosed:
    def test_a_hint_opens_no_connection(self, smtp: SmtpServer) -> None:
        smtp.greeting = BUSY
        _, ids = campaign_of(make.a_mailbox(smtp_port=smtp.port))
        deliver(ids[0])

        deliver(ids[1])

        assert smtp.connections == 1
        assert make.row(ids[1]).status == Status.PENDING

    def test_its_mails_move_to_the_campaigns_other_mailbox_with_the_reason_and_are_sent(self, smtp: SmtpServer) -> None:
        with SmtpServer(greeting=BUSY) as busy:
            mailbox_id, other = make.a_mailbox(smtp_port=busy.port), make.a_mailbox(smtp_port=smtp.port)
            Mailbox.update(faults=3).where(Mailbox.id == mailbox_id).execute()
            _, ids = campaign_of(mailbox_id, other, leads=6)
            deliver(ids[0])

            plan.replan()

        assert {make.row(id).mailbox_id for id in ids} == {other}
        assert {history.of_email(id)[-1].reason for id in ids} == {"mailbox"}
        assert {deliver(id).status for id in ids} == {Status.SENT}

    def test_mails_without_another_mailbox_wait_until_the_pause_is_over(self, smtp: SmtpServer) -> None:
        smtp.greeting = BUSY
        mailbox_id = make.a_mailbox(smtp_port=smtp.port)
        _, ids = campaign_of(mailbox_id)
        deliver(ids[0])

        plan.replan()

        closed_until = Mailbox.get_by_id(mailbox_id).closed_until
        assert all(make.row(id).scheduled_at >= closed_until for id in ids)
        assert history.of_email(ids[0])[-1].reason == "mailbox"
        assert Q.select().where(Q.status != Status.PENDING).count() == 0

    def test_another_mailbox_without_room_is_no_way_out(self, smtp: SmtpServer) -> None:
        smtp.greeting = BUSY
        mailbox_id, full = make.a_mailbox(smtp_port=smtp.port), make.a_mailbox(daily_limit=0)
        _, ids = campaign_of(mailbox_id, full)
        deliver(ids[0])

        plan.replan()

        assert {make.row(id).mailbox_id for id in ids} == {mailbox_id}


class TestTheFirstMailAfterThePause:
    """It is the probe: what becomes of it rules on the rest."""

    def test_that_fails_closes_it_longer(self, smtp: SmtpServer) -> None:
        smtp.greeting = BUSY
        mailbox_id = make.a_mailbox(smtp_port=smtp.port)
        _, ids = campaign_of(mailbox_id, leads=4)
        pauses = []
        for email_id in ids:
            deliver(email_id)
            pauses.append(pause_of(mailbox_id))
            pause_is_over(mailbox_id)

        assert all(later > earlier * 2 for earlier, later in pairwise(pauses))
        assert smtp.connections == 4
        assert {row.attempts for row in Q.select()} == {0}

    def test_never_closes_it_for_longer_than_the_cap(self, smtp: SmtpServer, settings: Override) -> None:
        settings(SENDING_RETRY_CAP_SECONDS=100)
        smtp.greeting = BUSY
        mailbox_id = make.a_mailbox(smtp_port=smtp.port)
        Mailbox.update(faults=1000).execute()
        _, [email_id] = campaign_of(mailbox_id, leads=1)

        deliver(email_id)

        assert pause_of(mailbox_id) <= timedelta(seconds=120)

    def test_that_arrives_opens_it_for_the_rest(self, smtp: SmtpServer) -> None:
        smtp.greeting = BUSY
        mailbox_id = make.a_mailbox(smtp_port=smtp.port)
        _, ids = campaign_of(mailbox_id)
        deliver(ids[0])
        pause_is_over(mailbox_id)
        smtp.greeting = READY

        statuses = [deliver(email_id).status for email_id in ids]

        row = Mailbox.get_by_id(mailbox_id)
        assert statuses == [Status.SENT] * 3
        assert (row.faults, row.closed_until, row.closed_reason) == (0, None, None)

    @pytest.mark.parametrize(("lead", "faults"), [("dot-554", 0), ("dot-451", 0), ("550", 1), ("451", 1)])
    def test_that_is_refused_for_itself_shows_that_the_mailbox_works_if_its_dot_was_answered(
        self, smtp: SmtpServer, lead: str, faults: int
    ) -> None:
        smtp.greeting = BUSY
        mailbox_id = make.a_mailbox(smtp_port=smtp.port)
        _, [email_id] = campaign_of(mailbox_id, leads=[f"{lead}@leads.example"])
        deliver(email_id)
        pause_is_over(mailbox_id)
        smtp.greeting = READY

        row = deliver(email_id)

        assert row.attempts == 1
        assert Mailbox.get_by_id(mailbox_id).faults == faults

    def test_comes_also_after_all_planned_mails_have_moved_away(self, smtp: SmtpServer) -> None:
        mailbox_id, other = make.a_mailbox(smtp_port=smtp.port), make.a_mailbox(smtp_port=smtp.port)
        campaign_id = make.a_campaign([mailbox_id, other], leads=4)
        make.planned(campaign_id, other, make.now(), make.now() + timedelta(minutes=1))
        Mailbox.update(faults=3).where(Mailbox.id == mailbox_id).execute()
        pause_is_over(mailbox_id)

        plan.plan_new()

        assert Q.select().where(Q.mailbox == mailbox_id).count() > 0


class TestAnOwnerWhoCorrectsTheLogin:
    def test_opens_the_mailbox_at_once(self, smtp: SmtpServer) -> None:
        mailbox_id = make.a_mailbox()
        Mailbox.update(faults=3, closed_until=make.now() + timedelta(hours=1), closed_reason="535").execute()

        mailboxes.edit(mailbox_id, "tests", mailboxes.Edit(daily_limit=5))
        assert Mailbox.get().closed_until is not None
        mailboxes.edit(mailbox_id, "tests", mailboxes.Edit(password_encrypted=vault.encrypt("right")))

        assert (Mailbox.get().faults, Mailbox.get().closed_until) == (0, None)

    @pytest.mark.parametrize("hours", [-1, 1])
    def test_has_what_waits_for_the_end_of_the_pause_planned_again_from_now(self, db: None, hours: int) -> None:
        mailbox_id = make.a_mailbox()
        Mailbox.update(faults=3, closed_until=make.now() + timedelta(hours=hours), closed_reason="535").execute()
        campaign_id = make.a_campaign([mailbox_id])
        [waiting] = make.planned(campaign_id, mailbox_id, at := make.now() + timedelta(hours=1, minutes=1))

        mailboxes.edit(mailbox_id, "tests", mailboxes.Edit(password_encrypted=vault.encrypt("right")))
        plan.replan()

        was_closed = hours > 0
        assert (make.row(waiting).scheduled_at < at) == was_closed
        assert bool(EmailHistory.select().where(EmailHistory.reason == "resumed")) == was_closed


class TestAMailThatIsTheFaultItself:
    """Its server hangs up at this lead alone, and calls it a lack of room."""

    def test_does_not_hold_back_those_behind_it_for_ever(self, smtp: SmtpServer) -> None:
        mailbox_id = make.a_mailbox(smtp_port=smtp.port)
        campaign_id, ids = campaign_of(mailbox_id, leads=["421@leads.example", "anna@leads.example", "jan@x.example"])
        for _ in range(2):
            deliver(ids[0])
            pause_is_over(mailbox_id)
        Campaign.update(replan_reason="edited").where(Campaign.id == campaign_id).execute()

        plan.replan()

        in_order = [row.id for row in Q.select().order_by(Q.scheduled_at)]
        assert in_order == [ids[1], ids[2], ids[0]]
        assert deliver(ids[1]).status == Status.SENT
        assert make.row(ids[0]).status == Status.PENDING

    def test_keeps_its_turn_where_no_lead_was_named_yet(self, smtp: SmtpServer) -> None:
        smtp.greeting = BUSY
        mailbox_id = make.a_mailbox(smtp_port=smtp.port)
        campaign_id, ids = campaign_of(mailbox_id)
        for _ in range(3):
            deliver(ids[0])
            pause_is_over(mailbox_id)
        Campaign.update(replan_reason="edited").where(Campaign.id == campaign_id).execute()

        plan.replan()

        assert [row.id for row in Q.select().order_by(Q.scheduled_at)] == ids


class TestAFaultThatIsReportedTwice:
    def test_counts_once(self, db: None) -> None:
        claim = make.claimed(make.an_email())
        told = [
            mailboxes.close_after(claim.held, make.later(421, scope="mailbox"), lambda faults: timedelta(1))
            for _ in range(2)
        ]

        assert told[0] is not None
        assert told[1] is None
        assert Mailbox.get_by_id(claim.mailbox_id).faults == 1
        assert EmailHistory.select().where(EmailHistory.move == Move.RELEASE).count() == 1

    def test_late_for_a_mail_in_doubt_proves_that_it_was_not_sent(self, db: None) -> None:
        claim = make.handed_over(make.an_email())
        moves.doubt(claim.held, "silence")

        mailboxes.close_after(claim.held, make.later(421, scope="mailbox"), lambda faults: timedelta(1))

        assert make.row(claim.held.email_id).status == Status.PENDING


def nobody_listens() -> int:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        return int(closed.getsockname()[1])
