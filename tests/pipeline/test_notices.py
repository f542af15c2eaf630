"""People are told of what needs them, by workers and timekeepers in processes of their own and a real webhook."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta

import pytest

from models.health import heartbeats
from models.owner import campaigns, mailboxes
from models.states import Status
from models.store import vault
from models.store.tables import Campaign, CampaignEmailQueue, Mailbox, Notice
from models.views import overview
from tests import factories as make
from tests.pipeline.conftest import Punktual
from tests.smtp_server import SmtpServer
from tests.waiting import until
from tests.webhook import Webhook

Q = CampaignEmailQueue
# The shortest pauses: the mailbox is to close again and again.
QUICK = {
    "PUNKTUAL_SENDING_RETRY_FIRST_SECONDS": "0.1",
    "PUNKTUAL_SENDING_RETRY_CAP_SECONDS": "0.2",
    "PUNKTUAL_IMAP_FIRST_LOOK_SECONDS": "0.1",
    "PUNKTUAL_SENDING_PAUSE_AFTER_RESULTS": "3",
}


@pytest.fixture
def webhook(punktual: Punktual) -> Iterator[Webhook]:
    with Webhook() as running:
        punktual.environment |= {**QUICK, "PUNKTUAL_NOTICES_URLS": running.url}
        yield running


@pytest.fixture
def locked_out(punktual: Punktual) -> Iterator[int]:
    """A mailbox whose password its server refuses, with a mail that is due."""
    with SmtpServer(credentials=("ola", "s3cret")) as server:
        mailbox_id = make.a_mailbox(
            "ola@sender.example",
            smtp_port=server.port,
            username="ola",
            password_encrypted=vault.encrypt("wr0ng-one"),
        )
        make.planned(make.a_campaign([mailbox_id], delay=0.01), mailbox_id, make.now())
        yield mailbox_id


def a_mail_in_doubt(punktual: Punktual) -> str:
    mailbox_id = punktual.mailbox()
    campaign_id = make.a_campaign([mailbox_id], leads=["drop-after-dot@leads.example"])
    make.planned(campaign_id, mailbox_id, make.now())
    return str(Campaign.get_by_id(campaign_id).name)


def tick_until(punktual: Punktual, condition: object, what: str) -> None:
    """With a tick at each look, as if minutes passed."""

    def passed() -> bool:
        punktual.tick()
        return bool(condition())  # type: ignore[operator]

    until(passed, what)


def a_few_more_ticks(punktual: Punktual) -> None:
    for _ in range(3):
        before = make.now()
        punktual.tick()
        until(lambda before=before: (heartbeats.last("tick") or before) > before, "a tick to come to its end")  # type: ignore[misc]
    until(lambda: punktual.messages()["upkeep"] == 0, "everything to be told that is to be")


def test_each_is_told_once_by_two_timekeepers_and_two_workers_also_when_one_is_killed(
    punktual: Punktual, webhook: Webhook, locked_out: int
) -> None:
    name = a_mail_in_doubt(punktual)
    workers = [punktual.run("worker") for _ in range(2)]
    for _ in range(2):
        punktual.run("timekeeper")
    punktual.listening("deliver", "tick", "upkeep")

    tick_until(punktual, lambda: Notice.select().where(Notice.told_at.is_null(False)).count() == 2, "both to be told")
    punktual.kill(workers[0])
    punktual.run("worker")
    faults = Mailbox.get_by_id(locked_out).faults
    tick_until(punktual, lambda: Mailbox.get_by_id(locked_out).faults > faults, "the mailbox to close once more")
    a_few_more_ticks(punktual)

    assert sorted(webhook.titles) == sorted(
        [
            "Punktual: the mailbox ola@sender.example does not work",
            f"Punktual: {name}: e-mails with an unknown outcome: 1",
        ]
    )


def test_what_a_worker_was_killed_before_it_told_is_told_by_another_after_its_lease(
    punktual: Punktual, webhook: Webhook
) -> None:
    mailboxes.close(punktual.mailbox(), "535 wrong password", lambda faults: timedelta(hours=1))
    punktual.run("timekeeper")
    victim = punktual.altered_worker("dies_before_telling")
    punktual.listening("tick", "upkeep")
    punktual.tick()
    until(lambda: victim.poll() is not None, "the worker to die")
    assert webhook.calls == []
    punktual.run("worker")
    punktual.listening("upkeep")
    a_few_more_ticks(punktual)
    assert webhook.calls == [], "its lease holds"

    Notice.update(due_at=make.now()).execute()

    tick_until(punktual, lambda: webhook.calls, "the other to tell")
    a_few_more_ticks(punktual)
    assert len(webhook.calls) == 1


def test_what_a_worker_was_killed_while_it_told_is_told_again(punktual: Punktual, webhook: Webhook) -> None:
    webhook.answer = "stall"
    mailboxes.close(punktual.mailbox(), "535 wrong password", lambda faults: timedelta(hours=1))
    punktual.run("timekeeper")
    victim = punktual.run("worker")
    punktual.listening("tick", "upkeep")
    punktual.tick()
    until(webhook.reached.is_set, "the webhook to be called")
    punktual.kill(victim)
    webhook.answer = 200
    punktual.run("worker")
    punktual.listening("upkeep")

    Notice.update(due_at=make.now()).execute()

    tick_until(punktual, lambda: Notice.get().told_at, "it to be told")
    assert len(webhook.calls) == 2


def test_a_campaign_whose_leads_are_refused_pauses_itself_and_its_owner_is_told_once(
    punktual: Punktual, webhook: Webhook
) -> None:
    leads = [f"550+{number}@leads.example" for number in range(20)]
    campaign_id = make.a_campaign([punktual.mailbox()], leads=leads, delay=0.2)
    punktual.run("worker")
    punktual.run("timekeeper")
    punktual.listening("deliver", "tick", "upkeep")

    tick_until(punktual, lambda: Campaign.get_by_id(campaign_id).status == "paused", "it to pause itself")
    tick_until(punktual, lambda: webhook.calls, "its owner to be told")
    until(lambda: not Q.select().where(Q.status == Status.SENDING).exists(), "the last refusal")
    failed = Q.select().where(Q.status == Status.FAILED).count()
    a_few_more_ticks(punktual)

    row = Campaign.get_by_id(campaign_id)
    assert webhook.titles == [f"Punktual: the campaign {row.name} paused itself"]
    assert str(overview.standing(row)).startswith("the campaign paused itself: ")
    assert 3 <= failed < 20
    assert Q.select().where(Q.status == Status.FAILED).count() == failed
    campaigns.resume(campaign_id, "ola")
    tick_until(punktual, lambda: Q.select().where(Q.status == Status.FAILED).count() > failed, "it to go on")


def test_a_webhook_that_never_answers_holds_up_neither_the_tick_nor_the_mail(
    punktual: Punktual, webhook: Webhook
) -> None:
    webhook.answer = "stall"
    with ExitStack() as stack:
        stack.callback(webhook.released.set)
        for _ in range(4):  # as many as the worker has threads
            mailboxes.close(punktual.mailbox(), "535 wrong password", lambda faults: timedelta(hours=1))
        punktual.run("worker", PUNKTUAL_NOTICES_ANSWER_TIMEOUT_SECONDS="600")
        punktual.run("timekeeper")
        punktual.listening("deliver", "tick", "upkeep")
        punktual.tick()
        until(webhook.reached.is_set, "the webhook to be called")
        mailbox_id = punktual.mailbox()
        make.planned(make.a_campaign([mailbox_id]), mailbox_id, make.now())

        before = make.now()
        punktual.tick()

        punktual.smtp.arrived(1)
        until(lambda: (heartbeats.last("tick") or before) > before, "the tick to come to its end")
    assert len(webhook.calls) == 1
