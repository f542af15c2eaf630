"""The queues, how a stage declares an actor on one, and how anybody asks for its work.

The names are what an operator meets in RabbitMQ's own pages. Each has two companions of Dramatiq's: NAME.DQ holds
delayed messages until their time, NAME.XQ rejected ones. Importing a stage needs no broker: see process/broker.py.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, ParamSpec

import dramatiq
from dramatiq.errors import BrokerError

from ops import broker_connection

P = ParamSpec("P")

DELIVER = "deliver"  # one message an e-mail that is due soon
EVIDENCE = "evidence"  # one message a mailbox whose Sent folder is to be looked into
TICK = "tick"  # one message a minute, on its own queue so that it never waits behind mail
UPKEEP = "upkeep"  # what takes its time and holds nobody up: the examination of all rows, and telling people

# What publishing raises while the broker is away. Dramatiq lets through what pika makes of a name that does not resolve
# and of a broker that takes a connection and then says nothing.
FAILURES = (BrokerError, *broker_connection.AWAY)


@dataclass(frozen=True)
class Actor(Generic[P]):
    """What is done with a message. Called, it is done here and now, without one."""

    fn: Callable[P, None]
    queue: str
    cron: str | None  # when periodiq sends its message: a line of scheduling/timetable.py

    @property
    def name(self) -> str:
        return self.fn.__name__

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> None:
        self.fn(*args, **kwargs)


def actor(queue: str, cron: str | None = None) -> Callable[[Callable[P, None]], Actor[P]]:
    def declare(fn: Callable[P, None]) -> Actor[P]:
        return Actor(fn, queue, cron)

    return declare


def ask(queue: str, actor_name: str, *args: int, delay: int | None = None) -> None:
    """Have it done by whoever works off the queue; the one who asks need not import it. delay: in milliseconds.

    Returns once the broker has confirmed the message, which is a hint: twice, late or never does no harm.
    """
    message: dramatiq.Message[None] = dramatiq.Message(queue, actor_name, args, kwargs={}, options={})
    dramatiq.get_broker().enqueue(message, delay=delay)
