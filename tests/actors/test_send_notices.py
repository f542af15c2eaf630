"""Telling people, by real webhooks and real mail: what is said, to whom, and how often."""

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from dramatiq import Message, get_broker

from actors import attention, send_notices
from models.email import moves
from models.owner import arming, campaigns, mailboxes, notices, protection
from models.store import database
from models.store.tables import Campaign, Notice
from tests import factories as make
from tests.conftest import Override
from tests.smtp_server import SmtpServer
from tests.waiting import BOUND
from tests.webhook import Webhook


@pytest.fixture
def webhook(db: None, settings: Override) -> Iterator[Webhook]:
    with Webhook() as running:
        settings(NOTICES_URLS=running.url, NOTICES_ANSWER_TIMEOUT_SECONDS=2)
        yield running


def a_closed_mailbox(reason: str = "535 5.7.8 wrong password", address: str | None = None) -> int:
    mailbox_id = make.a_mailbox(address)
    mailboxes.close(mailbox_id, reason, lambda faults: timedelta(minutes=1))
    return mailbox_id


def the_time_has_come() -> None:
    Notice.update(due_at=make.now()).where(Notice.due_at.is_null(False)).execute()


def pause(since: datetime | None = None) -> timedelta:
    """From a moment to when it is told again; by default from now on."""
    due_at = Notice.get().due_at
    assert due_at is not None
    left: timedelta = due_at - (since or make.now())
    return left


def tell_people_beside() -> None:
    """In a thread, with a connection of its own."""
    send_notices.tell_people()
    database.close()


def asked() -> list[str]:
    """The actors that wait in the queue for telling people."""
    queue = get_broker().queues["upkeep"]
    return [Message.decode(queue.get_nowait()).actor_name for _ in range(queue.qsize())]


class TestTheTick:
    def test_asks_while_something_is_to_be_told_and_no_more(self, webhook: Webhook) -> None:
        a_closed_mailbox()
        attention.ask_for_notices()
        assert asked() == ["tell_people"]
        assert webhook.calls == []

        send_notices.tell_people()

        attention.ask_for_notices()
        assert asked() == []

    def test_asks_for_nothing_where_nobody_is_to_be_told(self, db: None) -> None:
        a_closed_mailbox()

        attention.ask_for_notices()

        assert asked() == []

    def test_pauses_campaigns_and_has_it_told(self, webhook: Webhook, settings: Override) -> None:
        settings(SENDING_PAUSE_AFTER_RESULTS=1)
        email_id = make.an_email()
        moves.reject(make.claimed(email_id).held, make.no(550, "no such user"))

        attention.protect()
        attention.ask_for_notices()
        send_notices.tell_people()

        campaign = Campaign.get_by_id(make.row(email_id).campaign_id)
        assert (campaign.status, asked()) == ("paused", ["tell_people"])
        assert webhook.titles == [f"Punktual: the campaign {campaign.name} paused itself"]
        assert "1 of its last 1 e-mails were refused" in webhook.calls[0]["message"]


class TestANotice:
    def test_is_told_once(self, webhook: Webhook) -> None:
        mailbox_id = a_closed_mailbox(address="ola@sender.example")

        send_notices.tell_people()
        send_notices.tell_people()

        assert webhook.titles == ["Punktual: the mailbox ola@sender.example does not work"]
        row = Notice.get()
        assert (row.subject, row.error, row.reached) == (mailbox_id, None, [])
        assert row.told_at is not None

    def test_links_to_the_page_where_to_act(self, webhook: Webhook, settings: Override) -> None:
        settings(NOTICES_PAGES_URL="https://punktual.sender.example/")
        campaign_id = make.a_campaign([make.a_mailbox()])
        campaigns.pause(campaign_id, protection.BY, reason="3 of its last 50 e-mails were refused")

        send_notices.tell_people()

        link = webhook.calls[0]["message"].splitlines()[-1]
        assert link == f"https://punktual.sender.example/campaigns/{campaign_id}"

    def test_names_no_lead_and_calls_nobody_although_a_server_does(self, webhook: Webhook) -> None:
        a_closed_mailbox("421 4.7.0 <anna@leads.example> @everyone <!channel> \x1b[2J\ntry later " + "x" * 500)

        send_notices.tell_people()

        said = webhook.calls[0]["message"]
        assert "421 4.7.0 … … !channel \\u001b[2J\\u000atry later" in said
        assert not [word for word in ("anna", "@everyone", "<", "\x1b", "x" * 301) if word in said]

    def test_that_nothing_is_sent_says_why(self, webhook: Webhook) -> None:
        arming.disarm("the database knows less than this machine: run `python -m admin arm`", "tests")

        send_notices.tell_people()

        assert webhook.titles == ["Punktual: nothing is being sent"]
        assert "python -m admin arm" in webhook.calls[0]["message"]

    def test_goes_out_while_no_transaction_is_open(self, webhook: Webhook) -> None:
        """Its row can be written by another while the place takes its time."""
        webhook.answer = "stall"
        a_closed_mailbox()
        telling = threading.Thread(target=tell_people_beside)
        telling.start()
        assert webhook.reached.wait(BOUND)

        assert Notice.update(said="by another").execute() == 1

        webhook.released.set()
        telling.join()


class TestANotifierThatFails:
    @pytest.mark.parametrize("answer", [500, "hang up"])
    def test_is_told_again_after_growing_pauses_until_it_takes_it(self, webhook: Webhook, answer: int | str) -> None:
        webhook.answer = answer
        a_closed_mailbox()
        began = make.now()
        send_notices.tell_people()
        assert timedelta(seconds=45) < pause(since=began)
        assert pause() < timedelta(seconds=75)
        the_time_has_come()
        began = make.now()
        send_notices.tell_people()
        assert timedelta(seconds=75) < pause(since=began)
        assert pause() < timedelta(seconds=150)
        webhook.answer = 200

        the_time_has_come()
        send_notices.tell_people()
        send_notices.tell_people()

        assert len(webhook.calls) == 3
        assert Notice.get().error is None

    def test_is_left_in_peace_after_the_last_attempt_until_the_repetition(
        self, webhook: Webhook, settings: Override
    ) -> None:
        settings(NOTICES_MAX_ATTEMPTS=2)
        webhook.answer = 500
        a_closed_mailbox()

        send_notices.tell_people()
        the_time_has_come()
        send_notices.tell_people()

        row = Notice.get()
        assert timedelta(hours=23) < pause() <= timedelta(hours=24)
        assert (row.told_at, row.attempts) == (None, 0)
        assert "error=500" in str(row.error)

    def test_does_not_have_the_others_told_twice(self, webhook: Webhook, settings: Override) -> None:
        with Webhook(answer=500) as other:
            settings(NOTICES_URLS=f"{webhook.url} {other.url}")
            a_closed_mailbox()
            send_notices.tell_people()
            other.answer = 200

            the_time_has_come()
            send_notices.tell_people()

        assert (len(webhook.calls), len(other.calls)) == (1, 2)
        assert Notice.get().told_at is not None

    def test_by_its_silence_holds_a_worker_no_longer_than_its_timeout(
        self, webhook: Webhook, settings: Override
    ) -> None:
        settings(NOTICES_ANSWER_TIMEOUT_SECONDS=0.2)
        webhook.answer = "trickle"
        a_closed_mailbox()

        send_notices.tell_people()

        assert "no answer within 0.2 s" in str(Notice.get().error)

    def test_is_not_asked_again_for_what_is_over(self, webhook: Webhook) -> None:
        webhook.answer = 500
        mailbox_id = a_closed_mailbox()
        send_notices.tell_people()
        mailboxes.resume(mailbox_id, "ola")

        the_time_has_come()
        send_notices.tell_people()

        assert len(webhook.calls) == 1


class TestManyAtOnce:
    def test_are_told_by_a_bounded_number_in_one_message_and_the_rest_in_the_next(self, webhook: Webhook) -> None:
        for _ in range(12):
            a_closed_mailbox()

        send_notices.tell_people()
        assert len(webhook.calls) == 10
        assert notices.any_due()

        send_notices.tell_people()
        assert len(set(webhook.titles)) == 12

    def test_take_one_thread_of_a_process(self, webhook: Webhook) -> None:
        webhook.answer = "stall"
        a_closed_mailbox()
        a_closed_mailbox()
        telling = threading.Thread(target=tell_people_beside)
        telling.start()
        assert webhook.reached.wait(BOUND)

        send_notices.tell_people()

        assert len(webhook.calls) == 1
        webhook.released.set()
        telling.join()


def test_without_a_place_here_what_is_due_stays_due_for_a_worker_that_has_one(db: None) -> None:
    a_closed_mailbox()

    send_notices.tell_people()

    assert Notice.get().attempts == 0
    assert notices.any_due()


def test_a_mail_is_sent_from_and_to_the_addresses_of_the_url(db: None, settings: Override) -> None:
    with SmtpServer() as server:
        url = f"mailto://localhost:{server.port}/?from=punktual@sender.example&to=ola@owner.example"
        settings(NOTICES_URLS=url)
        a_closed_mailbox(address="box@sender.example")

        send_notices.tell_people()

    [mail] = server.accepted
    assert (mail.sender, mail.recipient) == ("punktual@sender.example", "ola@owner.example")
    assert b"Subject: Punktual: the mailbox box@sender.example does not work" in mail.content
