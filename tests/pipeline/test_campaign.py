"""Campaigns on RabbitMQ, Postgres and SMTP, with workers in processes of their own."""

import sys
from collections import Counter
from datetime import timedelta
from itertools import pairwise

import psutil

from models.health import heartbeats
from models.owner import campaigns, mailboxes
from models.states import Move, Status
from models.store.tables import CampaignEmailQueue, EmailHistory, Mailbox
from models.views import history
from scheduling.window import WARSAW, Window, warsaw_day
from tests import factories as make
from tests.forking import Forked
from tests.pipeline.conftest import Punktual, runs
from tests.smtp_server import SmtpServer
from tests.waiting import until

Q = CampaignEmailQueue


def all_sent(campaign_id: int) -> bool:
    return not Q.select().where(Q.campaign == campaign_id, Q.status != Status.SENT).exists()


def test_200_mails_on_two_workers_and_two_mailboxes_arrive_complete_and_once(punktual: Punktual) -> None:
    campaign_id = make.a_campaign([punktual.mailbox(), punktual.mailbox()], leads=200, delay=0.05)
    for name in ("worker", "worker", "timekeeper"):
        punktual.run(name)
    punktual.listening()

    punktual.tick()
    punktual.smtp.arrived(200)
    until(lambda: all_sent(campaign_id), "the last answers to be recorded")

    assert sorted(punktual.smtp.message_ids) == sorted(row.message_id for row in Q.select())
    assert len(set(punktual.smtp.message_ids)) == 200
    assert max(punktual.smtp.most_at_once.values()) == 1
    assert len({row.worker_pid for row in Q.select()}) == 2
    assert Counter(row.move for row in EmailHistory.select())[Move.REPLAN] == 0
    punktual.tick()
    until(lambda: campaigns.find(campaigns.every()[0].name).status == "completed", "its completion")
    until(lambda: sum(punktual.messages().values()) == 0, "empty queues")


def test_a_hint_that_comes_three_times_sends_once(punktual: Punktual) -> None:
    mailbox_id = punktual.mailbox()
    campaign_id = make.a_campaign([mailbox_id], leads=10, delay=0.01)
    due = [make.Hint(id, make.row(id).scheduled_at) for id in make.planned(campaign_id, mailbox_id, *[make.now()] * 10)]
    for _ in range(2):
        punktual.run("worker")
    punktual.listening()

    for hint in due * 3:
        punktual.hint(hint)
    until(lambda: all_sent(campaign_id), "all to be sent")
    until(lambda: sum(punktual.messages().values()) == 0, "the doubles to be worked off")

    assert sorted(Counter(punktual.smtp.message_ids).values()) == [1] * 10


def test_purged_queues_lose_nothing(punktual: Punktual) -> None:
    mailbox_id = punktual.mailbox()
    campaign_id = make.a_campaign([mailbox_id], leads=10, delay=1)
    start = make.now() + timedelta(minutes=5)
    ids = make.planned(campaign_id, mailbox_id, *[start + timedelta(seconds=number) for number in range(10)])
    timekeeper = punktual.run("timekeeper")
    punktual.tick()
    until(lambda: punktual.messages().get("deliver.DQ") == 10, "ten delayed messages")

    punktual.purge()
    assert punktual.messages()["deliver.DQ"] == 0
    for email_id in ids:
        make.age(email_id, timedelta(minutes=7))
    punktual.run("worker")
    punktual.listening()
    punktual.tick()
    punktual.smtp.arrived(10)
    until(lambda: all_sent(campaign_id), "all to be sent")

    assert timekeeper.poll() is None
    assert sorted(Counter(punktual.smtp.message_ids).values()) == [1] * 10


def test_limits_hold_exactly_over_two_campaigns_that_share_a_mailbox_with_warm_up(punktual: Punktual) -> None:
    mailbox_id = punktual.mailbox(daily_limit=12)
    first, second = (make.a_campaign([mailbox_id], leads=10, delay=0.01, limit=limit) for limit in (6, 10))
    mailboxes.record_warmup(mailbox_id, warsaw_day(make.now()), 3, "tests")
    # More is planned for today than the limits allow, as if they had been lowered since.
    due = [
        make.Hint(id, make.row(id).scheduled_at)
        for campaign in (first, second)
        for id in make.planned(campaign, mailbox_id, *[make.now()] * 10)
    ]
    for _ in range(2):
        punktual.run("worker")
    punktual.listening()

    for hint in due:
        punktual.hint(hint)
    punktual.smtp.arrived(9)
    until(lambda: sum(punktual.messages().values()) == 0, "all hints to be worked off")

    sent = Counter(row.campaign_id for row in Q.select().where(Q.status == Status.SENT))
    assert sum(sent.values()) == len(punktual.smtp.accepted) == 9
    assert sent[first] <= 6
    assert Q.select().where(Q.status == Status.PENDING).count() == 11


def test_two_campaigns_on_a_busy_mailbox_keep_their_times_without_a_storm_of_replans(punktual: Punktual) -> None:
    mailbox_id = punktual.mailbox(gap_seconds=0.1)
    ids = [make.a_campaign([mailbox_id], leads=40, delay=0.25) for _ in range(2)]
    for name in ("worker", "worker", "timekeeper"):
        punktual.run(name)
    punktual.listening()

    punktual.tick()
    punktual.smtp.arrived(80)
    until(lambda: all(all_sent(campaign_id) for campaign_id in ids), "all to be sent")
    punktual.tick()

    assert EmailHistory.select().where(EmailHistory.move == Move.REPLAN).count() == 0
    assert sorted(Counter(punktual.smtp.message_ids).values()) == [1] * 80


class TestWhileAMailIsBeingSent:
    def test_a_pause_keeps_its_dot_from_being_written(self, punktual: Punktual) -> None:
        campaign_id, email_id, address = self.one_mail(punktual)
        with punktual.smtp.holding("data", address) as held:
            self.send(punktual, email_id)
            held.wait()

            campaigns.pause(campaign_id, "tests")

        until(lambda: make.row(email_id).status == Status.PENDING, "the mail to be given back")
        assert punktual.smtp.accepted == []
        assert history.of_email(email_id)[-1].move == Move.RELEASE

    def test_a_cancel_ends_it_as_cancelled(self, punktual: Punktual) -> None:
        campaign_id, email_id, address = self.one_mail(punktual)
        with punktual.smtp.holding("data", address) as held:
            self.send(punktual, email_id)
            held.wait()

            campaigns.cancel(campaign_id, "tests")

        until(lambda: make.row(email_id).status == Status.CANCELLED, "the mail to be cancelled")
        assert punktual.smtp.accepted == []

    def test_a_resume_sends_what_the_pause_held_back(self, punktual: Punktual) -> None:
        campaign_id, email_id, _ = self.one_mail(punktual)
        campaigns.pause(campaign_id, "tests")
        punktual.run("worker")
        punktual.run("timekeeper")
        punktual.listening()
        punktual.hint(make.Hint(email_id, make.row(email_id).scheduled_at))
        until(lambda: sum(punktual.messages().values()) == 0, "the hint to be worked off")
        assert punktual.smtp.accepted == []

        campaigns.resume(campaign_id, "tests")
        punktual.tick()

        punktual.smtp.arrived(1)
        assert history.of_email(email_id)[1].reason == "resumed"

    def test_killed_before_the_hand_over_it_is_sent_after_the_restart(self, punktual: Punktual) -> None:
        _, email_id, address = self.one_mail(punktual)
        with punktual.smtp.holding("data", address) as held:
            worker = self.send(punktual, email_id)
            held.wait()
            punktual.kill(worker)
        make.rested(make.row(email_id).campaign_id)

        punktual.run("worker")
        until(lambda: make.row(email_id).status == Status.PENDING or punktual.smtp.accepted, "its release")
        punktual.hint(make.Hint(email_id, make.row(email_id).scheduled_at))

        punktual.smtp.arrived(1)
        until(lambda: make.row(email_id).status == Status.SENT, "its record")
        assert len(punktual.smtp.accepted) == 1

    def test_killed_after_the_dot_it_is_unknown_and_not_sent_again(self, punktual: Punktual) -> None:
        _, email_id, address = self.one_mail(punktual)
        with punktual.smtp.holding("dot", address) as held:
            worker = self.send(punktual, email_id)
            held.wait()
            punktual.kill(worker)
        hint = make.Hint(email_id, make.row(email_id).scheduled_at)

        punktual.run("worker")
        until(lambda: make.row(email_id).status == Status.UNKNOWN, "the doubt")
        punktual.hint(hint)
        until(lambda: sum(punktual.messages().values()) == 0, "the hint to be worked off")

        assert len(punktual.smtp.accepted) == 1
        assert make.row(email_id).status == Status.UNKNOWN

    def test_a_killed_keeper_leaves_its_worker_the_time_to_record_the_answer(self, punktual: Punktual) -> None:
        _, email_id, address = self.one_mail(punktual)
        with punktual.smtp.holding("dot", address) as held:
            keeper = self.send(punktual, email_id)
            held.wait()
            worker = psutil.Process(make.row(email_id).worker_pid)
            keeper.kill()
            keeper.wait()

        until(lambda: make.row(email_id).status != Status.SENDING, "the record")
        assert make.row(email_id).status == Status.SENT
        until(lambda: not runs(worker), "the worker's end")

    def one_mail(self, punktual: Punktual) -> tuple[int, int, str]:
        mailbox_id = punktual.mailbox()
        campaign_id = make.a_campaign([mailbox_id], leads=["held@leads.example"])
        [email_id] = make.planned(campaign_id, mailbox_id, make.now())
        return campaign_id, email_id, "held@leads.example"

    def send(self, punktual: Punktual, email_id: int) -> Forked:
        worker = punktual.run("worker")
        punktual.listening()
        punktual.hint(make.Hint(email_id, make.row(email_id).scheduled_at))
        return worker


def test_a_mailbox_whose_provider_is_full_hands_its_mails_over_and_comes_back_by_itself(punktual: Punktual) -> None:
    with SmtpServer(greeting="421 4.7.0 too many connections") as full:
        sick, well = make.a_mailbox(smtp_port=full.port), punktual.mailbox()
        campaign_id = make.a_campaign([sick, well], leads=40, delay=0.4)
        for name in ("worker", "timekeeper"):
            punktual.run(name, PUNKTUAL_SENDING_RETRY_FIRST_SECONDS="2", PUNKTUAL_SENDING_RETRY_FACTOR="1")
        punktual.listening()

        punktual.tick()
        # On a slow machine no tick may come while it is closed for the first time.
        moved = EmailHistory.select().where(EmailHistory.move == Move.REPLAN)
        until(
            lambda: ticked(punktual) and Mailbox.get_by_id(sick).faults >= 2 and moved.exists(),
            "a failed probe and a move",
        )
        full.greeting = "220 ready"
        until(lambda: ticked(punktual) and all_sent(campaign_id), "all to be sent")

        assert len(full.accepted) + len(punktual.smtp.accepted) == 40
        assert full.accepted
        assert {row.attempts for row in Q.select()} == {1}
        assert {row.reason for row in EmailHistory.select().where(EmailHistory.move == Move.REPLAN)} == {"mailbox"}
        row = Mailbox.get_by_id(sick)
        assert (row.faults, row.closed_until, row.closed_reason) == (0, None, None)


def ticked(punktual: Punktual) -> bool:
    """Asks for a tick, unless one is waiting."""
    if not punktual.messages()["tick"]:
        punktual.tick()
    return True


def test_periodiq_sends_the_tick_that_the_timekeeper_works_off(punktual: Punktual) -> None:
    punktual.run("timekeeper")
    punktual.run("periodiq")

    until(lambda: heartbeats.last("tick"), "a tick")


def test_make_up_sends_a_campaign_and_brings_back_what_dies(punktual: Punktual) -> None:
    campaign_id = make.a_campaign([punktual.mailbox()], leads=30, delay=0.5)
    punktual.start([sys.executable, "-m", "ops.supervise"])
    punktual.smtp.arrived(5)  # the others wait in the broker or in the workers
    [keeper] = [each for each in punktual.family() if each.cmdline()[1:] == ["-m", "actors", "worker"]]
    workers = keeper.children(recursive=True)

    keeper.kill()

    until(lambda: not any(runs(each) for each in workers), "its workers to go with it")
    punktual.smtp.arrived(30)
    until(lambda: all_sent(campaign_id), "the last answers to be recorded")
    assert sorted(Counter(punktual.smtp.message_ids).values()) == [1] * 30
    assert punktual.messages()["deliver.DQ"] == 0


def test_after_downtime_overdue_mails_leave_in_order_at_their_pace_and_do_not_burst(punktual: Punktual) -> None:
    delay = 0.5
    mailbox_id = punktual.mailbox()
    campaign_id = make.a_campaign([mailbox_id], leads=12, delay=delay)
    start = make.now() - timedelta(hours=2)
    make.planned(campaign_id, mailbox_id, *[start + timedelta(seconds=number) for number in range(12)])
    for name in ("worker", "worker", "timekeeper"):
        punktual.run(name)
    punktual.listening()

    punktual.tick()
    punktual.smtp.arrived(12)
    until(lambda: all_sent(campaign_id), "the last answers to be recorded")

    rows = list(Q.select().order_by(Q.campaign_lead))
    planned = [row.scheduled_at for row in rows]
    assert planned == sorted(planned)
    # Where one has to wait for its mailbox another may go before it, but never sooner after the last one.
    started = sorted(row.claimed_at for row in rows)
    assert all(later - earlier >= timedelta(seconds=0.8 * delay) for earlier, later in pairwise(started))
    moved = EmailHistory.select().where(EmailHistory.move == Move.REPLAN)
    assert [row.reason for row in moved] == ["downtime"] * 12


def test_a_closed_window_holds_mail_back(punktual: Punktual) -> None:
    in_three_days = (make.now().astimezone(WARSAW).weekday() + 3) % 7
    window = Window(0, 1440, frozenset({in_three_days}))
    mailbox_id = punktual.mailbox()
    campaign_id = make.a_campaign([mailbox_id], window=window)
    [email_id] = make.planned(campaign_id, mailbox_id, make.now())
    punktual.run("worker")
    punktual.run("timekeeper")
    punktual.listening()

    punktual.hint(make.Hint(email_id, make.row(email_id).scheduled_at))
    punktual.tick()

    until(lambda: window.is_open(make.row(email_id).scheduled_at), "its move to the next opening")
    assert history.of_email(email_id)[-1].reason == "window"
    assert punktual.smtp.connections == 0


def test_what_an_owner_says_takes_effect_without_waiting_for_the_minute(punktual: Punktual) -> None:
    """There is no periodiq here: only the owner's own commands can have caused the ticks."""
    campaign_id = make.a_campaign([punktual.mailbox()], leads=20, delay=0.5, active=False)
    name = campaigns.every()[0].name
    punktual.run("worker")
    punktual.run("timekeeper")
    punktual.listening("deliver", "deliver.DQ", "tick")

    punktual.admin("campaign", "start", name)
    punktual.smtp.arrived(3)
    punktual.admin("campaign", "pause", name)
    so_far = Q.select().where(Q.campaign == campaign_id, Q.status == Status.SENT).count()
    punktual.admin("campaign", "resume", name)

    punktual.smtp.arrived(20)
    until(lambda: all_sent(campaign_id), "the last answers to be recorded")
    assert so_far < 20
    assert {row.reason for row in EmailHistory.select().where(EmailHistory.move == Move.REPLAN)} <= {"resumed"}
    assert sorted(Counter(punktual.smtp.message_ids).values()) == [1] * 20
