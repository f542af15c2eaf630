"""What the doctor says of a broker, on a real one."""

from datetime import timedelta

from tests import factories as make
from tests.forking import admin
from tests.pipeline.conftest import Punktual
from tests.waiting import until

RULE = "the broker holds a message for each hinted e-mail"


def told(punktual: Punktual) -> str:
    """Its line about the broker."""
    done = admin("doctor", **punktual.environment)
    [line] = [line for line in done.stdout.splitlines() if RULE in line]
    assert done.returncode == line.startswith("FAIL"), done.stdout
    return line


def test_it_finds_hints_that_the_broker_lost_while_no_worker_holds_them(punktual: Punktual) -> None:
    mailbox_id = punktual.mailbox()
    campaign_id = make.a_campaign([mailbox_id], leads=3, delay=1)
    later = make.now() + timedelta(minutes=5)
    make.planned(campaign_id, mailbox_id, *[later + timedelta(seconds=number) for number in range(3)])
    punktual.run("timekeeper")
    punktual.tick()
    until(lambda: punktual.messages().get("deliver.DQ") == 3, "three delayed messages")

    assert told(punktual) == f"ok    {RULE}"
    punktual.purge()
    assert told(punktual).startswith(f"FAIL  {RULE}: 3 e-mails are hinted, but the broker holds 0 messages")

    punktual.run("worker")
    punktual.listening()
    assert told(punktual) == f"ok    {RULE}"
