"""Workers that are frozen at the worst moments and come back: nothing they do then is done twice, or over another."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import psutil
import pytest

import clock
from models.states import Move, Status
from models.views import history
from tests import factories as make
from tests.pipeline.conftest import Punktual
from tests.waiting import until

ADDRESS = "held@leads.example"
CLAIM_LEASE, ANSWER_LEASE = timedelta(seconds=301), timedelta(seconds=901)
ACCEPTED, RELEASED = '"move": "accept"', '"move": "release"'


class Scene:
    """One mail that a worker has claimed, and what may happen while that worker is frozen."""

    def __init__(self, punktual: Punktual) -> None:
        self.punktual = punktual
        mailbox_id = punktual.mailbox()
        self.campaign_id = make.a_campaign([mailbox_id], leads=[ADDRESS])
        [self.email_id] = make.planned(self.campaign_id, mailbox_id, make.now())

    @property
    def status(self) -> str:
        return make.row(self.email_id).status

    def moves(self) -> list[str]:
        return [line.move for line in history.of_email(self.email_id) if line.move != Move.REPLAN]

    @contextmanager
    def frozen_at(self, point: str) -> Iterator[int]:
        """Its worker, frozen while the mail server lets it wait at this point; the server goes on at once."""
        with self.punktual.smtp.holding(point, ADDRESS) as held:
            self.punktual.run("worker")
            self.punktual.listening()
            self.hint()
            held.wait()
            pid = self.claimant()
            os.kill(pid, signal.SIGSTOP)
            until_frozen(pid)
        with going_on_afterwards(pid):
            yield pid

    def claimant(self) -> int:
        pid = make.row(self.email_id).worker_pid
        assert pid is not None
        return int(pid)

    def leases_end(self, after: timedelta, status: Status) -> None:
        make.age(self.email_id, after)
        self.punktual.run("timekeeper")
        self.punktual.tick()
        until(lambda: self.status == status, f"the mail to be {status}")

    def another_worker_sends_it(self) -> None:
        make.rested(self.campaign_id)
        self.punktual.run("worker")
        self.punktual.tick()
        until(self.is_sent_when_hinted, "another worker to send it")

    def is_sent_when_hinted(self) -> bool:
        """A frozen worker is still given hints, as many as it may hold, and keeps them to itself."""
        self.hint()
        return self.status == Status.SENT

    def hint(self) -> None:
        self.punktual.hint(make.Hint(self.email_id, make.row(self.email_id).scheduled_at))

    def goes_on(self, pid: int, saying: str) -> None:
        os.kill(pid, signal.SIGCONT)
        until(lambda: saying in self.punktual.log.read_text(), saying)
        until(lambda: sum(self.punktual.messages().values()) == 0, "all hints to be worked off")


@contextmanager
def going_on_afterwards(pid: int) -> Iterator[None]:
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def until_frozen(pid: int) -> None:
    until(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED, "the worker to be frozen")


@pytest.fixture
def scene(punktual: Punktual) -> Scene:
    return Scene(punktual)


class TestFrozenBeforeTheHandOver:
    def test_it_writes_no_dot_and_overwrites_nothing_after_another_worker_sent_the_mail(self, scene: Scene) -> None:
        with scene.frozen_at("data") as pid:
            scene.leases_end(CLAIM_LEASE, Status.PENDING)
            scene.another_worker_sends_it()
            before = make.row(scene.email_id).__data__

            scene.goes_on(pid, saying="attempt_superseded")

        assert len(scene.punktual.smtp.accepted) == 1
        assert make.row(scene.email_id).__data__ == before
        assert before["worker_pid"] != pid
        assert scene.moves() == ["plan", "claim", "release", "claim", "hand_over", "accept"]


class TestFrozenAfterTheDot:
    def test_its_silence_makes_the_mail_unknown_until_its_late_250_makes_it_sent(self, scene: Scene) -> None:
        with scene.frozen_at("dot") as pid:
            scene.leases_end(ANSWER_LEASE, Status.UNKNOWN)

            scene.goes_on(pid, saying=ACCEPTED)

        assert scene.status == Status.SENT
        assert len(scene.punktual.smtp.accepted) == 1
        assert scene.moves() == ["plan", "claim", "hand_over", "doubt", "accept"]

    def test_a_person_who_has_it_sent_again_makes_one_more_copy_and_its_late_250_changes_nothing(
        self, scene: Scene
    ) -> None:
        with scene.frozen_at("dot") as pid:
            scene.leases_end(ANSWER_LEASE, Status.UNKNOWN)
            scene.punktual.admin("email", "settle", str(scene.email_id), "--again", "--reason", "not in Sent")
            scene.another_worker_sends_it()
            before = make.row(scene.email_id).__data__

            scene.goes_on(pid, saying="attempt_superseded")

        assert len(scene.punktual.smtp.accepted) == 2
        assert make.row(scene.email_id).__data__ == before
        assert scene.moves() == ["plan", "claim", "hand_over", "doubt", "settle", "claim", "hand_over", "accept"]


class TestFrozenBetweenTheHandOverAndTheDot:
    LONGEST = 0.5

    def test_for_too_long_it_writes_no_dot_and_gives_the_mail_back(self, scene: Scene) -> None:
        worker = self.started(scene)
        with going_on_afterwards(scene.claimant()):
            self.too_long()

            scene.goes_on(scene.claimant(), saying=RELEASED)

        assert scene.punktual.smtp.accepted == []
        assert scene.moves() == ["plan", "claim", "hand_over", "release"]
        self.check_that_it_is_sent_once(scene, worker)

    def test_its_proof_that_nothing_was_sent_ends_the_doubt_that_arose_meanwhile(self, scene: Scene) -> None:
        worker = self.started(scene)
        with going_on_afterwards(scene.claimant()):
            self.too_long()
            scene.leases_end(ANSWER_LEASE, Status.UNKNOWN)

            scene.goes_on(scene.claimant(), saying=RELEASED)

        assert scene.punktual.smtp.accepted == []
        assert scene.moves() == ["plan", "claim", "hand_over", "doubt", "release"]
        self.check_that_it_is_sent_once(scene, worker)

    def started(self, scene: Scene) -> subprocess.Popen[bytes]:
        worker = scene.punktual.altered_worker(
            "freezes_after_hand_over", PUNKTUAL_SMTP_HAND_OVER_TO_DOT_SECONDS=str(self.LONGEST)
        )
        scene.punktual.listening()
        scene.hint()
        until(lambda: make.row(scene.email_id).handed_over_at, "the hand-over")
        until_frozen(scene.claimant())
        return worker

    def too_long(self) -> None:
        began = clock.boottime()
        until(lambda: clock.boottime() - began > self.LONGEST, "the time in which the dot may follow")

    def check_that_it_is_sent_once(self, scene: Scene, worker: subprocess.Popen[bytes]) -> None:
        scene.punktual.kill(worker)
        if not scene.punktual.consumers("tick"):
            scene.punktual.run("timekeeper")
        scene.another_worker_sends_it()
        assert len(scene.punktual.smtp.accepted) == 1


class TestFrozenInsideATransaction:
    """The others go on once Postgres has ended its session, and what it does when it wakes up changes nothing."""

    SETTINGS = {"PUNKTUAL_DATABASE_IDLE_IN_TRANSACTION_SECONDS": "1"}

    @pytest.mark.parametrize(
        ("name", "saying"),
        [("freezes_in_claim", "claim_postponed"), ("freezes_in_hand_over", "attempt_superseded")],
    )
    def test_its_mail_is_sent_once_by_another_worker(self, scene: Scene, name: str, saying: str) -> None:
        scene.punktual.altered_worker(name, **self.SETTINGS)
        scene.punktual.listening()
        scene.hint()
        pid = self.frozen(scene)
        with going_on_afterwards(pid):
            if scene.status == Status.SENDING:
                scene.leases_end(CLAIM_LEASE, Status.PENDING)
            else:
                scene.punktual.run("timekeeper")
            scene.another_worker_sends_it()
            before = make.row(scene.email_id).__data__

            scene.goes_on(pid, saying)

        assert len(scene.punktual.smtp.accepted) == 1
        assert make.row(scene.email_id).__data__ == before
        assert before["worker_pid"] != pid
        assert scene.moves()[-3:] == ["claim", "hand_over", "accept"]

    def frozen(self, scene: Scene) -> int:
        def stopped() -> list[int]:
            return [each.pid for each in scene.punktual.family() if each.status() == psutil.STATUS_STOPPED]

        until(stopped, "the worker to be frozen")
        return stopped()[0]
