"""What one mail costs, from the arrival of its message to the acknowledge: counted where Postgres answers."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from queue import Queue

import pytest
from dramatiq import Broker, Message, MessageProxy, Middleware, Worker, get_broker

from actors.hint import hint
from models.email import moves
from models.states import Move, Status
from models.store import database
from models.store.tables import CampaignEmailQueue, CampaignMailbox, Mailbox
from models.views import history
from tests import factories as make
from tests.round_trips import Asked, CountingProxy
from tests.smtp_server import SmtpServer
from tests.waiting import BOUND, until

Q = CampaignEmailQueue
MAILS = 5
# A claim and a hand-over are two round trips and one transaction each: what is read under the locks, and the move with
# its COMMIT. A record is one, with the locks, or three if something is read under them.
MOST = Asked(round_trips=7, transactions=3)


def nothing(email_id: int) -> None:
    """Before the attempt."""


def others_were_refused(email_id: int) -> None:
    """Two other leads of its mailbox got the same answer."""
    mailbox_id = make.row(email_id).mailbox_id
    campaign_id = make.a_campaign([mailbox_id], leads=2, delay=0.001)
    for other in make.planned(campaign_id, mailbox_id, *[make.now()] * 2):
        told = make.no(550, enhanced="5.7.1", scope="unclear", phase="dot")
        moves.reject(make.claimed(other).held, told)
        make.rested(campaign_id)


def put_off_for_days(email_id: int) -> None:
    since = make.now() - timedelta(days=6)
    Q.update(attempts=5, deferred_since=since).where(Q.id == email_id).execute()


def its_time_has_passed(email_id: int) -> None:
    make.age(email_id, timedelta(days=1))


def it_has_another_mailbox(email_id: int) -> None:
    CampaignMailbox.insert(campaign=make.row(email_id).campaign_id, mailbox=make.a_mailbox()).execute()


def it_will_be_withdrawn(email_id: int) -> None:
    """Its campaign is paused between its claim and its hand-over."""
    database.execute(
        f"""
        CREATE OR REPLACE FUNCTION pause_{email_id}() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN UPDATE campaign SET status = 'paused' WHERE id = NEW.campaign_id; RETURN NULL; END $$;
        CREATE TRIGGER pause_{email_id} AFTER UPDATE ON campaign_email_queue FOR EACH ROW
        WHEN (NEW.id = {email_id} AND NEW.status = 'sending') EXECUTE FUNCTION pause_{email_id}();
        """
    )


@dataclass(frozen=True)
class Situation:
    """name: of the lead's address, which asks the server for its answer. move: the last one; None: no claim."""

    name: str
    status: Status
    move: Move | None
    most: Asked = field(default_factory=lambda: MOST)
    before: Callable[[int], None] = nothing


SENT = Asked(round_trips=5, transactions=3)
RCPT, UNHANDED = Asked(round_trips=5, transactions=2), Asked(round_trips=5, transactions=3)
SITUATIONS = {
    "that is sent": Situation("anna", Status.SENT, Move.ACCEPT, SENT),
    "that is unanswered": Situation("drop-after-dot", Status.UNKNOWN, Move.DOUBT, SENT),
    "whose address is refused": Situation("550", Status.FAILED, Move.REJECT, RCPT),
    "whose letter is refused": Situation("dot-554", Status.FAILED, Move.REJECT),
    "that a policy refuses": Situation("dot-550-5.7.1", Status.PENDING, Move.RETRY),
    "whose address is put off": Situation("451", Status.PENDING, Move.RETRY, RCPT),
    "whose address is put off unclearly": Situation("451-4.3.0", Status.PENDING, Move.RETRY, RCPT),
    "whose letter is put off": Situation("dot-451", Status.PENDING, Move.RETRY),
    "that is given up": Situation("dot-451", Status.FAILED, Move.REJECT, before=put_off_for_days),
    "whose mailbox is at fault": Situation("421", Status.PENDING, Move.RELEASE, RCPT),
    "whose mailbox is at fault at the dot": Situation("dot-421", Status.PENDING, Move.RELEASE),
    "whose mailbox is blamed for all": Situation(
        "dot-550-5.7.1", Status.PENDING, Move.RELEASE, before=others_were_refused
    ),
    "whose letter is too large": Situation("dot-552-5.3.4", Status.PENDING, Move.RELEASE),
    "whose letter is too large for one mailbox": Situation(
        "dot-552-5.3.4", Status.PENDING, Move.RELEASE, before=it_has_another_mailbox
    ),
    "that is withdrawn": Situation("anna", Status.PENDING, Move.RELEASE, UNHANDED, it_will_be_withdrawn),
    "that is late": Situation(
        "anna", Status.PENDING, None, Asked(round_trips=1, transactions=1), before=its_time_has_passed
    ),
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
    """A worker with one thread."""
    with a_worker(broker, threads=1) as done:
        yield done


@contextmanager
def a_worker(broker: Broker, threads: int) -> Iterator[Done]:
    broker.flush_all()
    done = Done()
    broker.add_middleware(done, before=type(broker.middleware[0]))
    working = Worker(broker, worker_threads=threads, worker_timeout=10)
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

    @pytest.mark.parametrize("point", ["data", "dot"])
    def test_serves_other_mails_while_a_mail_server_is_waited_for(self, db: None, broker: Broker, point: str) -> None:
        """As many threads as wait would otherwise keep as many sessions, and plan each statement as often."""
        with a_worker(broker, threads=3) as done, SmtpServer() as smtp:
            slow, *others = due("slow@leads.example", "anna@leads.example", "eva@leads.example", port=smtp.port)
            end_all_other_sessions()
            with smtp.holding(point, "slow@leads.example") as held:
                hint_now(slow)
                held.wait()
                for email_id in others:
                    hint_now(email_id)
                    done.wait()
                in_all = database.fetch(f"SELECT count(*) {OTHERS}")
            done.wait()

        assert in_all == [(1,)]
        assert [make.row(email_id).status for email_id in (slow, *others)] == [Status.SENT] * 3

    def test_that_ended_between_two_mails_is_replaced_and_the_next_mail_leaves_at_once(self, done: Done) -> None:
        with SmtpServer() as smtp:
            first, second = due("first@leads.example", "second@leads.example", port=smtp.port)
            hint_now(first)
            done.wait()
            assert end_all_other_sessions() > 0
            hint_now(second)
            done.wait()

        assert get_broker().queues["deliver.DQ"].qsize() == 0
        assert make.row(second).status == Status.SENT


def hint_now(email_id: int) -> None:
    at = make.row(email_id).scheduled_at
    hint(email_id, at, at)


OTHERS = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


def end_all_other_sessions() -> int:
    """How many there were."""
    ended = len(database.fetch(f"SELECT pg_terminate_backend(pid) {OTHERS}"))
    until(lambda: database.fetch(f"SELECT count(*) {OTHERS}") == [(0,)], "their end")
    return ended


@pytest.fixture
def triggers_are_dropped(db: None) -> Iterator[None]:
    yield
    for (name,) in database.fetch("SELECT tgname FROM pg_trigger WHERE starts_with(tgname, 'pause_')"):
        database.execute(f"DROP TRIGGER {name} ON campaign_email_queue; DROP FUNCTION {name}()")


@pytest.mark.usefixtures("triggers_are_dropped")
@pytest.mark.parametrize("it", SITUATIONS.values(), ids=SITUATIONS)
def test_a_mail_takes_no_more_round_trips_than_it_may(proxy: CountingProxy, done: Done, it: Situation) -> None:
    """The first one prepares the statements, and is not counted."""
    with SmtpServer() as smtp:
        ids = due(*[f"{it.name}+{number}@leads.example" for number in range(MAILS + 1)], port=smtp.port)
        for email_id in ids:
            it.before(email_id)

        _, *costs = a_mail_each(proxy, done, ids)

    assert {make.row(email_id).status for email_id in ids} == {it.status}
    assert {last_move(email_id) for email_id in ids} == {it.move or Move.PLAN}
    assert all(cost <= it.most <= MOST for cost in costs), costs


def test_a_mail_of_a_mailbox_with_oauth2(proxy: CountingProxy, done: Done) -> None:
    """Its access token comes with the claim."""
    with SmtpServer(is_token_of=lambda _, token: token == "an-access-token", mechanisms="XOAUTH2") as smtp:
        ids = due(*[f"anna+{number}@leads.example" for number in range(MAILS + 1)], port=smtp.port)
        for mailbox in Mailbox.select():
            make.authorize(mailbox.id)

        _, *costs = a_mail_each(proxy, done, ids)

    assert {make.row(email_id).status for email_id in ids} == {Status.SENT}
    assert all(cost <= SITUATIONS["that is sent"].most for cost in costs), costs


def last_move(email_id: int) -> str:
    return str(history.of_email(email_id)[-1].move)
