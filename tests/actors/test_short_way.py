"""What one mail costs, from the arrival of its message to the acknowledge: counted where Postgres answers."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from queue import Queue

import pytest
from dramatiq import Broker, Message, MessageProxy, Middleware, Worker, get_broker

from actors.hint import hint
from models.states import Status
from models.store import database
from models.store.tables import CampaignEmailQueue
from tests import factories as make
from tests.round_trips import Asked, CountingProxy
from tests.smtp_server import SmtpServer
from tests.waiting import BOUND, until

Q = CampaignEmailQueue
MAILS = 5
# A claim and a hand-over are three round trips each: the locks and what is true under them, the move, the COMMIT. A
# record is two: the locks and the move, the COMMIT. Before it a refusal is compared with the mailbox's others, and
# a mail that is put off gets its next time, which takes a read for each thing that it depends on.
MOST = {
    "that is sent": ("anna", Status.SENT, Asked(round_trips=8, transactions=3)),
    "that is unanswered": ("drop-after-dot", Status.UNKNOWN, Asked(round_trips=8, transactions=3)),
    "that is refused": ("550", Status.FAILED, Asked(round_trips=7, transactions=4)),
    "that is put off": ("dot-451", Status.PENDING, Asked(round_trips=20, transactions=15)),
    "whose mailbox is at fault": ("421", Status.PENDING, Asked(round_trips=8, transactions=2)),
}


class Done(Middleware):
    """Added before all others, and so told first that a message has come, and last that it has been worked off."""

    def __init__(self) -> None:
        self.asks = False
        self.sessions: list[int] = []
        self._done: Queue[str] = Queue()

    def after_process_message(self, broker: Broker, message: MessageProxy, **_: object) -> None:
        if self.asks:
            self.sessions.append(database.fetch("SELECT pg_backend_pid()")[0][0])
        self._done.put(message.message_id)

    def wait(self) -> None:
        self._done.get(timeout=BOUND)


@pytest.fixture
def done(db: None, broker: Broker) -> Iterator[Done]:
    """A worker with one thread, so that each message meets the session of the one before."""
    broker.flush_all()
    done = Done()
    broker.add_middleware(done, before=type(broker.middleware[0]))
    working = Worker(broker, worker_threads=1, worker_timeout=10)
    working.start()
    yield done
    working.stop()
    broker.middleware.remove(done)
    broker.flush_all()


def due(*addresses: str, port: int) -> list[int]:
    ids = []
    for address in addresses:
        mailbox_id = make.a_mailbox(smtp_port=port)
        ids += make.planned(make.a_campaign([mailbox_id], leads=[address]), mailbox_id, make.now())
    return ids


def a_mail_each(proxy: CountingProxy, done: Done, ids: list[int]) -> list[Asked]:
    """What each of them cost, one after the other."""
    hints = [(email_id, make.row(email_id).scheduled_at) for email_id in ids]
    costs = []
    for email_id, at in hints:
        before = proxy.asked
        hint(email_id, at, at)
        done.wait()
        costs.append(proxy.asked - before)
    return costs


@contextmanager
def a_table_away() -> Iterator[None]:
    """So that each claim raises what is no outage."""
    database.execute("ALTER TABLE suppression RENAME TO away")
    yield
    database.execute("ALTER TABLE away RENAME TO suppression")


class TestASession:
    def test_is_kept_from_message_to_message_and_given_back_after_one_that_failed(self, done: Done) -> None:
        """A server that has become read-only fails it, and is not the one that a new session would find."""
        done.asks = True
        for is_broken in (False, False, True, False):
            with a_table_away() if is_broken else nullcontext():
                get_broker().enqueue(Message("deliver", "deliver", (1, 0), {}, {}))
                done.wait()

        first, second, third, fourth = done.sessions
        assert first == second != third == fourth

    def test_that_ended_between_two_mails_is_replaced_and_the_next_mail_leaves_at_once(self, done: Done) -> None:
        with SmtpServer() as smtp:
            first, second = due("first@leads.example", "second@leads.example", port=smtp.port)
            hint_now(first)
            done.wait()
            end_all_other_sessions()
            hint_now(second)
            done.wait()

        assert get_broker().queues["deliver.DQ"].qsize() == 0
        assert make.row(second).status == Status.SENT


def hint_now(email_id: int) -> None:
    at = make.row(email_id).scheduled_at
    hint(email_id, at, at)


OTHERS = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


def end_all_other_sessions() -> None:
    assert database.fetch(f"SELECT pg_terminate_backend(pid) {OTHERS}")
    until(lambda: database.fetch(f"SELECT count(*) {OTHERS}") == [(0,)], "their end")


@pytest.mark.parametrize(("name", "status", "most"), MOST.values(), ids=MOST)
def test_a_mail(proxy: CountingProxy, done: Done, name: str, status: Status, most: Asked) -> None:
    """The first one prepares the statements, and is not counted."""
    with SmtpServer() as smtp:
        ids = due(*[f"{name}+{number}@leads.example" for number in range(MAILS + 1)], port=smtp.port)

        _, *costs = a_mail_each(proxy, done, ids)

    assert {make.row(email_id).status for email_id in ids} == {status}
    assert all(cost <= most for cost in costs), costs
