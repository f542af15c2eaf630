"""A database that is put back to an earlier state while its mails were sent: by files, as from a snapshot."""

import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from models.states import Status
from models.store import database, embedded
from models.store.tables import CampaignEmailQueue
from tests import factories as make
from tests.pipeline.conftest import Punktual
from tests.waiting import until

Q = CampaignEmailQueue


def copy(source: Path, target: Path) -> None:
    """With owners and rights, as Postgres wants them."""
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)


def with_the_database_stopped(home: Path, source: str, target: str) -> None:
    database.close()
    embedded.stop(home / "postgres")
    shutil.rmtree(home / target, ignore_errors=True)
    copy(home / source, home / target)
    embedded.start(home / "postgres")


def statuses() -> Counter[str]:
    return Counter(row.status for row in Q.select())


@pytest.mark.own_servers
def test_a_restored_backup_sends_nothing_twice_and_goes_on_once_its_owner_has_said_what_was_sent(
    punktual: Punktual, home: Path
) -> None:
    mailbox_id = punktual.mailbox()
    campaign_id = make.a_campaign([mailbox_id], leads=6, delay=0.01)
    ids = make.planned(campaign_id, mailbox_id, *[make.now()] * 6)
    hints = [make.Hint(email_id, make.row(email_id).scheduled_at) for email_id in ids]
    with_the_database_stopped(home, "postgres", "backup")
    worker = punktual.run("worker")
    punktual.listening()
    for hint in hints[:3]:
        punktual.hint(hint)
    until(lambda: statuses()[Status.SENT] == 3, "three mails")
    punktual.kill(worker)

    with_the_database_stopped(home, "backup", "postgres")
    assert statuses() == {Status.PENDING: 6}
    punktual.run("worker")
    punktual.listening()
    for hint in hints:
        punktual.hint(hint)
    until(lambda: sum(punktual.messages().values()) == 0, "all hints to be worked off")
    assert len(punktual.smtp.accepted) == 3
    assert "claiming_stopped" in punktual.log.read_text()

    punktual.admin("arm", "--forgotten-as", "sent", "--reason", "last night's backup")
    assert statuses() == {Status.SENT: 3, Status.PENDING: 3}
    for hint in hints:
        punktual.hint(hint)
    until(lambda: statuses()[Status.SENT] == 6, "the rest")
    assert sorted(Counter(punktual.smtp.message_ids).values()) == [1] * 6
    punktual.admin("doctor")
