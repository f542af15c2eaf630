"""Hears who asks for a tick, and has one worked off at once.

In the process that works off the ticks, and nowhere else. Nothing depends on it: see models/store/tick_request.py.
"""

import threading

from dramatiq import Broker
from dramatiq.middleware import Middleware

from actors import queues
from actors.process.broker import FAILURES, DatabaseConnections, ask, broker
from models.store import database, tick_request
from ops.watch import logs

log = logs.get()

# The minute's tick comes anyway: no need to hammer at a database that is away.
_PAUSE_SECONDS = 5.0


class Nudges(Middleware):
    """Listens beside the worker, for as long as its process lives."""

    def after_process_boot(self, broker: Broker) -> None:
        threading.Thread(target=_listen, name="nudges", daemon=True).start()


# What follows a boot runs from the last middleware to the first: the database is opened before this needs it.
broker.add_middleware(Nudges(), before=DatabaseConnections)


def _listen() -> None:
    while True:
        try:
            for _ in tick_request.heard():
                _send_tick()
        except database.FAILURES as failure:
            log.warning("nudges_not_heard", error=str(failure))
            database.close()
        threading.Event().wait(_PAUSE_SECONDS)


def _send_tick() -> None:
    try:
        ask(queues.TICK, "tick")
    except FAILURES as failure:
        log.warning("nudge_left_to_the_tick", error=str(failure))
