"""Runs periodiq's scheduler, which sends the messages of scheduling/timetable.py over RabbitMQ.

If RabbitMQ is away the process ends with one log line, and its supervisor restarts it.
"""

import signal
import sys

import dramatiq
from periodiq import Scheduler

from actors.process.broker import Role, build_broker
from actors.queues import FAILURES
from ops.watch import logs

log = logs.get()


def run() -> None:
    try:
        loop(of(build_broker(Role.PERIODIQ)))
    except FAILURES as failure:
        log.error("tick_not_published", error=type(failure).__name__)
        sys.exit(1)


def of(broker: dramatiq.Broker) -> Scheduler:
    """A scheduler for the broker's periodic actors."""
    return Scheduler([each for each in broker.actors.values() if "periodic" in each.options])


def loop(scheduler: Scheduler) -> None:
    """Send messages until an exception ends it. In the main thread only."""
    # periodiq sets its alarm before its handler, and lets it stand at the end: an alarm that rings before the one, or
    # while Python ends, would kill the process.
    signal.signal(signal.SIGALRM, scheduler.signal_handler)
    try:
        scheduler.schedule()
        scheduler.loop()
    finally:
        signal.alarm(0)
