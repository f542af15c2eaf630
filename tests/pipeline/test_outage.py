"""Database and broker go away at the worst moments."""

import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from actors import tick
from models.email import locks
from models.health import heartbeats
from models.owner import campaigns
from models.states import Status
from models.store import database, embedded
from models.store.tables import CampaignEmailQueue
from models.views import history
from tests import factories as make
from tests.pipeline.conftest import Punktual
from tests.scraping import free_port, scrape
from tests.waiting import until

Q = CampaignEmailQueue
PUBLISHED = "punktual_hints_published_total"
NOT_PUBLISHED = "punktual_hint_failures_total"
SOON_FAILED, DUE_FAILED = (f'punktual_tick_step_failures_total{{step="{step}"}}' for step in ("hint_soon", "hint_due"))
LAST_STEP = f'punktual_tick_step_seconds_count{{step="{tick.STEPS[-1].__name__}"}}'


@pytest.mark.own_servers
def test_an_answer_read_while_the_database_is_away_survives_the_workers_death(punktual: Punktual, home: Path) -> None:
    journal = home / "journal" / "outcomes.jsonl"
    mailbox_id = punktual.mailbox()
    campaign_id = make.a_campaign([mailbox_id], leads=["held@leads.example"])
    [email_id] = make.planned(campaign_id, mailbox_id, make.now())
    hint = make.Hint(email_id, make.row(email_id).scheduled_at)
    worker = punktual.run("worker")
    punktual.listening()
    with punktual.smtp.holding("dot", "held@leads.example") as held:
        punktual.hint(hint)
        held.wait()
        database.close()
        embedded.stop(home / "postgres", "immediate")
    try:
        until(lambda: journal.exists() and journal.stat().st_size, "the outcome on the disk")
        punktual.kill(worker)
    finally:
        embedded.start(home / "postgres")

    punktual.run("worker")

    until(lambda: make.row(email_id).status == Status.SENT, "its record")
    punktual.hint(hint)
    until(lambda: sum(punktual.messages().values()) == 0, "the hint to be worked off")
    assert len(punktual.smtp.accepted) == 1
    assert (history.of_email(email_id)[-1].detail or {})["code"] == 250
    assert journal.stat().st_size == 0


class TestAWorkersConnectionToTheDatabaseDies:
    """In the middle of a message, with one thread, so that the next message meets the same thread."""

    def test_during_the_hand_over_no_dot_follows_and_the_next_mail_leaves_without_a_restart(
        self, punktual: Punktual
    ) -> None:
        [email_id] = self.planned(punktual, "held@leads.example")
        [following] = self.planned(punktual, "next@leads.example")
        worker = punktual.run("worker", PUNKTUAL_WORKER_THREADS="1")
        punktual.listening()
        with punktual.smtp.holding("data", "held@leads.example") as held:
            self.hint(punktual, email_id)
            held.wait()
            with database.database.atomic():
                locks.lock_campaigns([make.row(email_id).campaign_id])
                held.released.set()
                until(lambda: self.sessions("wait_event_type = 'Lock'"), "the hand-over's wait for the lock")
                self.end_the_workers_sessions()

        self.hint(punktual, following)

        until(lambda: make.row(following).status == Status.SENT, "the next mail")
        assert worker.poll() is None
        assert [mail.recipient for mail in punktual.smtp.accepted] == ["next@leads.example"]
        assert make.row(email_id).handed_over_at is None

    @pytest.mark.parametrize("point", ["data", "dot"])
    def test_while_the_mail_server_is_waited_for_the_mail_is_sent_and_recorded_by_another(
        self, punktual: Punktual, point: str
    ) -> None:
        [email_id] = self.planned(punktual, "held@leads.example")
        punktual.run("worker", PUNKTUAL_WORKER_THREADS="1")
        punktual.listening()
        with punktual.smtp.holding(point, "held@leads.example") as held:
            self.hint(punktual, email_id)
            held.wait()
            self.end_the_workers_sessions()

        until(lambda: make.row(email_id).status == Status.SENT, "the record")
        assert len(punktual.smtp.accepted) == 1

    def planned(self, punktual: Punktual, address: str) -> list[int]:
        mailbox_id = punktual.mailbox()
        return make.planned(make.a_campaign([mailbox_id], leads=[address]), mailbox_id, make.now())

    def hint(self, punktual: Punktual, email_id: int) -> None:
        punktual.hint(make.Hint(email_id, make.row(email_id).scheduled_at))

    def sessions(self, which: str = "true") -> set[int]:
        """The worker's, by process id. which: a condition on pg_stat_activity."""
        database.fetch("SELECT pg_stat_clear_snapshot()")  # or a transaction would see what it saw before
        found = database.fetch(
            f"""
            SELECT pid FROM pg_stat_activity
            WHERE datname = current_database() AND starts_with(application_name, 'punktual') AND pid <> pg_backend_pid()
              AND {which}
            """
        )
        return {pid for (pid,) in found}

    def end_the_workers_sessions(self) -> None:
        ended = self.sessions()
        assert ended
        database.fetch("SELECT pg_terminate_backend(pid) FROM unnest(%s) AS pid", (list(ended),))
        until(lambda: not ended & self.sessions(), "their end")


@pytest.mark.own_servers
def test_a_mail_whose_hand_over_met_an_outage_is_given_back_without_waiting_for_a_lease(
    punktual: Punktual, home: Path
) -> None:
    journal = home / "journal" / "outcomes.jsonl"
    mailbox_id = punktual.mailbox()
    campaign_id = make.a_campaign([mailbox_id], leads=["held@leads.example"])
    [email_id] = make.planned(campaign_id, mailbox_id, make.now())
    hint = make.Hint(email_id, make.row(email_id).scheduled_at)
    punktual.run("worker")
    punktual.run("timekeeper")
    punktual.listening("deliver", "deliver.DQ", "tick")

    with punktual.smtp.holding("data", "held@leads.example") as held:
        punktual.hint(hint)
        held.wait()
        database.close()
        embedded.stop(home / "postgres", "immediate")
    try:
        until(lambda: journal.exists() and journal.stat().st_size, "the worker's word that it wrote no dot")
    finally:
        embedded.start(home / "postgres")
    punktual.tick()

    until(lambda: make.row(email_id).status == Status.PENDING, "its release")
    assert str(history.of_email(email_id)[-1].reason).startswith("the hand-over could not be recorded")
    assert punktual.smtp.accepted == []


@pytest.mark.own_servers
def test_a_hint_that_meets_a_database_that_is_away_comes_again_by_itself(punktual: Punktual, home: Path) -> None:
    """There is no timekeeper here that could hint again."""
    mailbox_id = punktual.mailbox()
    [email_id] = make.planned(make.a_campaign([mailbox_id]), mailbox_id, make.now())
    hint = make.Hint(email_id, make.row(email_id).scheduled_at)
    punktual.run("worker")
    punktual.listening()

    database.close()
    embedded.stop(home / "postgres", "immediate")
    try:
        punktual.hint(hint)
        until(lambda: "claim_postponed" in punktual.log.read_text(), "the hint to meet no database")
    finally:
        embedded.start(home / "postgres")

    until(lambda: make.row(email_id).status == Status.SENT, "the mail")
    assert len(punktual.smtp.accepted) == 1


@pytest.mark.own_servers
def test_a_broker_that_crashes_loses_nothing_and_needs_no_restart_of_ours(punktual: Punktual) -> None:
    campaign_id = make.a_campaign([punktual.mailbox()], leads=40, delay=0.5)
    processes = [punktual.run("worker"), punktual.run("timekeeper")]
    punktual.listening()
    punktual.tick()
    punktual.smtp.arrived(5)

    punktual.node.kill()
    punktual.node.start()
    punktual.listening()

    punktual.smtp.arrived(40)
    until(lambda: not pending(campaign_id), "the last answers to be recorded")
    punktual.tick()
    until(lambda: campaigns.every()[0].status == "completed", "a tick after the crash")
    assert [process.poll() for process in processes] == [None, None]
    assert sorted(Counter(punktual.smtp.message_ids).values()) == [1] * 40


def pending(campaign_id: int) -> bool:
    return Q.select().where(Q.campaign == campaign_id, Q.status != Status.SENT).exists()


@pytest.mark.own_servers
def test_processes_that_start_before_the_broker_wait_for_it(punktual: Punktual) -> None:
    campaign_id = make.a_campaign([punktual.mailbox()])
    punktual.node.kill()
    processes = [punktual.run("worker"), punktual.run("timekeeper")]
    until(lambda: punktual.log.read_text().count("connection error") >= 3, "both to miss it")

    punktual.node.start()
    punktual.listening()
    punktual.tick()

    punktual.smtp.arrived(1)
    until(lambda: not pending(campaign_id), "its record")
    assert [process.poll() for process in processes] == [None, None]


@pytest.mark.own_servers
class TestPublishingATick:
    """Many mails are due, and the broker stops taking hints."""

    def test_that_a_crash_interrupts_is_told_and_caught_up_with(self, punktual: Punktual) -> None:
        port = free_port()
        self.many_mails(punktual, 3000, minutes=8)
        timekeeper = punktual.run("timekeeper", PUNKTUAL_METRICS_TIMEKEEPER_PORT=str(port))
        punktual.listening("tick")
        until(lambda: PUBLISHED in scrape(port), "its metrics")
        assert scrape(port)[DUE_FAILED] == 0
        punktual.tick()
        until(lambda: scrape(port)[PUBLISHED] > 50, "the first hints")

        punktual.node.kill()

        until(lambda: scrape(port)[DUE_FAILED] == 1, "the step's failure")
        assert 50 < scrape(port)[PUBLISHED] == hinted() < 3000
        assert scrape(port)[NOT_PUBLISHED] == 1
        assert heartbeats.last("tick") is None
        assert "tick_step_failed" in punktual.log.read_text()
        punktual.node.start()
        punktual.listening("tick")
        punktual.tick()
        until(lambda: hinted() == 3000, "the rest to be hinted")
        until(lambda: heartbeats.last("tick"), "the end of that tick")
        assert punktual.messages()["deliver.DQ"] >= 3000
        assert timekeeper.poll() is None

    def test_that_an_alarm_blocks_fails_within_the_blocked_timeout(self, punktual: Punktual) -> None:
        port = free_port()
        self.many_mails(punktual, 10, minutes=1)
        timekeeper = punktual.run(
            "timekeeper", PUNKTUAL_METRICS_TIMEKEEPER_PORT=str(port), PUNKTUAL_BROKER_BLOCKED_TIMEOUT_SECONDS="12"
        )
        punktual.listening("tick")
        until(lambda: PUBLISHED in scrape(port), "its metrics")

        with frozen(punktual):
            punktual.tick()
            punktual.node.ctl("set_vm_memory_high_watermark", "0.00001")

        try:
            until(lambda: scrape(port)[SOON_FAILED] == 1, "the step's failure")
            until(lambda: scrape(port)[LAST_STEP] == 1, "the end of the tick")
            assert scrape(port)[DUE_FAILED] == 0
            assert hinted() == 0
        finally:
            punktual.node.ctl("set_vm_memory_high_watermark", "0.6")
        punktual.tick()
        until(lambda: hinted() == 10, "all to be hinted")
        until(lambda: heartbeats.last("tick"), "the end of that tick")
        assert timekeeper.poll() is None

    def many_mails(self, punktual: Punktual, count: int, minutes: int) -> None:
        mailbox_id = punktual.mailbox()
        campaign_id = make.a_campaign([mailbox_id], leads=count, delay=0.001, limit=10_000)
        soon = make.now() + timedelta(minutes=minutes)
        make.planned(campaign_id, mailbox_id, *[soon + timedelta(milliseconds=n) for n in range(count)])


@pytest.mark.own_servers
def test_a_worker_that_cannot_hint_again_records_its_outcome_and_leaves_the_rest_to_the_tick(
    punktual: Punktual,
) -> None:
    port = free_port()
    mailbox_id = punktual.mailbox()
    campaign_id = make.a_campaign([mailbox_id], leads=["dot-451@leads.example"])
    [email_id] = make.planned(campaign_id, mailbox_id, make.now())
    worker = punktual.run("worker", PUNKTUAL_METRICS_WORKER_PORT=str(port))
    punktual.listening()
    with punktual.smtp.holding("dot", "dot-451@leads.example") as held:
        punktual.hint(make.Hint(email_id, make.row(email_id).scheduled_at))
        held.wait()
        punktual.node.kill()

    until(lambda: "hint_left_to_the_tick" in punktual.log.read_text(), "its word about the hint")
    row = make.row(email_id)
    assert (row.status, row.attempts, row.hinted_for) == (Status.PENDING, 1, None)
    until(lambda: scrape(port).get(NOT_PUBLISHED) == 1, "its page to tell of it")
    punktual.node.start()
    punktual.run("timekeeper")
    punktual.tick()
    until(lambda: hinted() == 1, "the tick's hint")
    assert worker.poll() is None


def hinted() -> int:
    return Q.select().where(Q.hinted_for == Q.scheduled_at).count()


@contextmanager
def frozen(punktual: Punktual) -> Iterator[None]:
    family = punktual.family()
    for each in family:
        each.send_signal(signal.SIGSTOP)
    yield
    for each in family:
        each.send_signal(signal.SIGCONT)
