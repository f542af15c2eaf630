"""Asking for a tick: in the transaction of whatever the tick is wanted for."""

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from models.owner import arming, campaigns, mailboxes, settlement
from models.states import Status
from models.store import database, tick_request
from tests import factories as make
from tests.models.conftest import Beside
from tests.waiting import BOUND, until

pytestmark = pytest.mark.usefixtures("db")
# Seconds: less than the minute after which a listener looks again by itself.
WITHOUT_WAITING = 40
LISTENS = "SELECT FROM pg_stat_activity WHERE pid = %s AND query ILIKE 'LISTEN punktual_tick' AND state = 'idle'"


class Listener:
    """Another connection that listens, as the timekeeper does."""

    def __init__(self) -> None:
        self.heard = 0
        self.session = 0  # the process id of its server
        self.thread = threading.Thread(target=self._listen, daemon=True)

    def _listen(self) -> None:
        try:
            self.session = database.fetch("SELECT pg_backend_pid()")[0][0]
            for _ in tick_request.heard():
                self.heard += 1
        except database.FAILURES:
            database.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    running = Listener()
    running.thread.start()
    # Its own session: that of a timekeeper of another test may still be there.
    until(lambda: database.fetch(LISTENS, (running.session,)), "the listener")
    yield running
    database.execute("SELECT pg_terminate_backend(%s)", (running.session,))
    running.thread.join(BOUND)
    assert not running.thread.is_alive()


def a_draft() -> int:
    return make.a_campaign([make.a_mailbox()], active=False)


def an_active_one() -> int:
    return make.a_campaign([make.a_mailbox()])


def a_paused_one() -> int:
    campaign_id = an_active_one()
    campaigns.pause(campaign_id, "ola")
    return campaign_id


def an_unknown_mail() -> int:
    email_id, _ = make.in_status(Status.UNKNOWN)
    make.age(email_id, timedelta(hours=1))
    return email_id


ORDERS: dict[str, tuple[Callable[[], int], Callable[[int], object]]] = {
    "start": (a_draft, lambda id: campaigns.start(id, "ola")),
    "pause": (an_active_one, lambda id: campaigns.pause(id, "ola")),
    "resume": (a_paused_one, lambda id: campaigns.resume(id, "ola")),
    "edit": (an_active_one, lambda id: campaigns.edit(id, "ola", campaigns.Edit(daily_limit=7))),
    "cancel": (an_active_one, lambda id: campaigns.cancel(id, "ola")),
    "pause a mailbox": (make.a_mailbox, lambda id: mailboxes.pause(id, "ola")),
    "resume a mailbox": (make.a_mailbox, lambda id: mailboxes.resume(id, "ola")),
    "edit a mailbox": (make.a_mailbox, lambda id: mailboxes.edit(id, "ola", mailboxes.Edit(daily_limit=7))),
    "say where its copies are": (
        make.a_mailbox,
        lambda id: mailboxes.edit(id, "ola", mailboxes.Edit(sent_mail="nowhere")),
    ),
    "send an unknown mail again": (an_unknown_mail, lambda id: settlement.again(id, "she asked", "ola")),
    "arm": (make.a_mailbox, lambda id: arming.arm("tests")),
}


@pytest.mark.parametrize(("prepare", "order"), ORDERS.values(), ids=ORDERS)
def test_an_order_asks_for_one(
    prepare: Callable[[], int], order: Callable[[int], object], request: pytest.FixtureRequest
) -> None:
    id = prepare()
    listener: Listener = request.getfixturevalue("listener")

    order(id)

    until(lambda: listener.heard == 1, "the order to be heard")


def test_it_is_heard_when_the_order_is_committed_and_not_before(listener: Listener) -> None:
    with database.database.atomic():
        tick_request.ask_for_tick()
        with database.database.atomic() as inner:
            tick_request.ask_for_tick()
            inner.rollback()
        assert listener.heard == 0

    until(lambda: listener.heard == 1, "the order to be heard")


def test_an_order_that_is_taken_back_is_not_heard(listener: Listener) -> None:
    with database.database.atomic() as transaction:
        tick_request.ask_for_tick()
        transaction.rollback()
    before = listener.heard

    tick_request.ask_for_tick()

    until(lambda: listener.heard, "the order after it to be heard")
    assert (before, listener.heard) == (0, 1)


def test_several_in_one_transaction_count_as_one(listener: Listener) -> None:
    with database.database.atomic():
        for _ in range(20):
            tick_request.ask_for_tick()
    until(lambda: listener.heard, "them to be heard")

    tick_request.ask_for_tick()

    until(lambda: listener.heard == 2, "the next to be heard")


def test_one_that_came_before_it_waits_is_heard_and_not_waited_for(beside: Beside) -> None:
    """Postgres may send it in one packet with the answer to LISTEN: then nothing more comes that would wake it."""

    def asked_by_the_listener_itself() -> None:
        database.execute("LISTEN punktual_tick")
        tick_request.ask_for_tick()
        next(tick_request.heard())

    beside(asked_by_the_listener_itself).result(timeout=WITHOUT_WAITING)
