"""Database and broker go away at the worst moments."""

from collections import Counter
from pathlib import Path

from models import campaigns, database, embedded, overview
from models.states import Status
from models.tables import CampaignEmailQueue
from tests import factories as make
from tests.pipeline.conftest import Punktual
from tests.waiting import until

Q = CampaignEmailQueue


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
    assert overview.history(email_id)[-1].detail["code"] == 250
    assert journal.stat().st_size == 0


def test_a_broker_that_crashes_loses_nothing_and_needs_no_restart_of_ours(punktual: Punktual) -> None:
    campaign_id = make.a_campaign([punktual.mailbox()], leads=40, delay=0.5)
    processes = [punktual.run("worker"), punktual.run("timekeeper")]
    punktual.listening()
    punktual.tick()
    punktual.smtp.arrived(5)

    punktual.node.kill()
    punktual.node.start()
    punktual.listening()

    punktual.smtp.arrived(40, seconds=90)
    until(lambda: not pending(campaign_id), "the last answers to be recorded")
    punktual.tick()
    until(lambda: campaigns.every()[0].status == "completed", "a tick after the crash")
    assert [process.poll() for process in processes] == [None, None]
    assert sorted(Counter(punktual.smtp.message_ids).values()) == [1] * 40


def pending(campaign_id: int) -> bool:
    return Q.select().where(Q.campaign == campaign_id, Q.status != Status.SENT).exists()
