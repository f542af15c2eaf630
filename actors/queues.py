"""The queues, how a stage declares an actor, and how to send an actor a message.

Operators see the names on RabbitMQ's own pages. Dramatiq adds two queues to each: NAME.DQ for delayed messages, NAME.XQ
for rejected ones. Importing a stage needs no broker: see process/broker.py.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, ParamSpec

import dramatiq
from dramatiq.errors import BrokerError

from ops import broker_connection

P = ParamSpec("P")

DELIVER = "deliver"  # one message per e-mail that is due soon
EVIDENCE = "evidence"  # one message per mailbox whose Sent folder is to be searched
INBOX = "inbox"  # replies and bounces: one message, for all inboxes that are due
TICK = "tick"  # one message a minute; its own queue, so that it never waits behind e-mails
UPKEEP = "upkeep"  # slow work that nothing waits for: the check of all rows, and notices

# What publishing raises while the broker is away. Dramatiq does not wrap pika's errors for a name that does not resolve
# or a broker that accepts a connection and then stays silent.
FAILURES = (BrokerError, *broker_connection.AWAY)


@dataclass(frozen=True)
class Actor(Generic[P]):
    """A function that handles messages. Calling it runs it directly, without a message."""

    fn: Callable[P, None]
    queue: str
    cron: str | None  # when periodiq sends its message, from scheduling/timetable.py

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
    """Send an actor a message by its name, so that the caller need not import it. delay: in milliseconds.

    Returns once the broker has confirmed it.
    """
    message: dramatiq.Message[None] = dramatiq.Message(queue, actor_name, args, kwargs={}, options={})
    dramatiq.get_broker().enqueue(message, delay=delay)
