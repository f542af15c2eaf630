"""The database goes away at the worst moment: after the server's 250, before it is recorded."""

from pathlib import Path

from models import database, embedded, overview
from models.states import Status
from tests import factories as make
from tests.pipeline.conftest import Punktual
from tests.waiting import until


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
