"""The broker of the embedded default: messages that this process keeps for itself."""

import threading

import dramatiq
import pytest
from dramatiq import Message, Worker

from actors.process.broker import InMemory
from tests.waiting import BOUND

TWENTY_MINUTES = 20 * 60 * 1000  # in milliseconds


class TestDelayedMessages:
    @pytest.mark.parametrize("waiting", [0, 500])
    def test_are_worked_off_when_they_are_due_however_many_wait_for_later(self, waiting: int) -> None:
        broker, done = InMemory(middleware=[]), threading.Event()

        @dramatiq.actor(broker=broker, queue_name="deliver")
        def deliver(number: int) -> None:
            if number == 0:
                done.set()

        worker = Worker(broker, worker_threads=1, worker_timeout=20)
        worker.start()
        try:
            for number in range(1, waiting + 1):
                broker.enqueue(message(number), delay=TWENTY_MINUTES)
            broker.enqueue(message(0), delay=1)

            assert done.wait(BOUND)
        finally:
            worker.stop()


def message(number: int) -> Message[None]:
    return Message("deliver", "deliver", (number,), {}, {})
