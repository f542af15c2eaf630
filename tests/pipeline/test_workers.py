"""What a worker process looks at before it claims anything: its clock, and what its machine left behind."""

import re
import signal
import socket
import subprocess
import sys

import pytest

from actors.disk.identity import this_worker
from models.email.claims import Worker
from models.states import Status
from tests import factories as make
from tests.pipeline.conftest import Punktual, runs
from tests.waiting import BOUND, until


class TestAClockTenSecondsOff:
    def test_claims_nothing_and_says_so_while_another_worker_sends(self, punktual: Punktual) -> None:
        mailbox_id = punktual.mailbox()
        [email_id] = make.planned(make.a_campaign([mailbox_id]), mailbox_id, make.now())
        hint = make.Hint(email_id, make.row(email_id).scheduled_at)
        wrong = punktual.altered_worker("ten_seconds_fast")
        punktual.listening()

        punktual.hint(hint)

        # It measures the least difference, so a slow answer of the database hides a part of the ten seconds.
        said = re.compile(r"this worker's clock is [\d.]+ s off the database's")
        until(lambda: said.search(punktual.log.read_text()), "the refusal")
        assert make.row(email_id).status == Status.PENDING
        assert punktual.smtp.connections == 0

        punktual.kill(wrong)
        punktual.run("worker")
        punktual.hint(hint)
        punktual.smtp.arrived(1)


def test_one_process_that_is_killed_comes_back_alone_while_another_awaits_an_answer(punktual: Punktual) -> None:
    slow, other = punktual.mailbox(), punktual.mailbox()
    [awaited] = make.planned(make.a_campaign([slow], leads=["held@leads.example"]), slow, make.now())
    [following] = make.planned(make.a_campaign([other], leads=["next@leads.example"]), other, make.now())
    worker = punktual.run("worker", PUNKTUAL_WORKER_PROCESSES="2", PUNKTUAL_WORKER_THREADS="1")
    until(lambda: punktual.consumers("deliver") == 2, "both processes to listen")
    with punktual.smtp.holding("dot", "held@leads.example") as held:
        punktual.hint(make.Hint(awaited, make.row(awaited).scheduled_at))
        held.wait()
        holder = make.row(awaited).worker_pid
        consuming = [each for each in punktual.family() if "actors.process.consume" in each.cmdline()]
        [victim] = [each for each in consuming if each.pid != holder]

        victim.kill()

        until(lambda: not runs(victim) and punktual.consumers("deliver") == 2, "another in its place")
        punktual.hint(make.Hint(following, make.row(following).scheduled_at))
        until(lambda: make.row(following).status == Status.SENT, "the other mailbox's mail")
        assert make.row(awaited).status == Status.SENDING
    until(lambda: make.row(awaited).status == Status.SENT, "the slow answer")
    assert worker.poll() is None


class TestAMachineThatRestarts:
    def test_settles_at_once_what_its_dead_process_held_and_leaves_another_machines_alone(
        self, punktual: Punktual
    ) -> None:
        dead = Worker(socket.gethostname(), pid_of_the_dead(), 1.0)
        claimed, handed_over = make.claimed(make.an_email(), dead), make.handed_over(make.an_email(), dead)
        elsewhere = make.claimed(make.an_email(), make.ANOTHER_WORKER)
        of_the_living = make.claimed(make.an_email(), this_worker())

        punktual.run("worker")

        until(lambda: "worker_booted" in punktual.log.read_text(), "the boot")
        statuses = [make.row(each.held.email_id).status for each in (claimed, handed_over, elsewhere, of_the_living)]
        assert statuses == [Status.PENDING, Status.UNKNOWN, Status.SENDING, Status.SENDING]


def pid_of_the_dead() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.parametrize("name", ["worker", "embedded"])
def test_told_to_end_several_times_it_waits_for_the_answer_to_what_it_handed_over(
    punktual: Punktual, name: str
) -> None:
    mailbox_id = punktual.mailbox()
    [awaited] = make.planned(make.a_campaign([mailbox_id], leads=["held@leads.example"]), mailbox_id, make.now())
    punktual.environment["PUNKTUAL_BROKER_URL"] = punktual.broker_url if name == "worker" else "embedded"
    with punktual.smtp.holding("dot", "held@leads.example") as held:
        process = punktual.run(name)
        if name == "worker":
            punktual.hint(make.Hint(awaited, make.row(awaited).scheduled_at))
        held.wait()

        process.send_signal(signal.SIGTERM)
        if name == "embedded":
            until(lambda: "waiting for the answer to 1 e-mail\n" in punktual.log.read_text(), "its word about it")
        for _ in range(3):
            process.send_signal(signal.SIGTERM)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.5)  # longer than the keeper takes to pass it on
    assert process.wait(BOUND) == 0
    assert make.row(awaited).status == Status.SENT
    assert "Traceback" not in punktual.log.read_text()
