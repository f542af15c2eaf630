"""Hears who asks for a tick, and has one worked off at once.

In the process that works off the ticks, and nowhere else. Nothing depends on it: see models/store/tick_request.py.
"""

import threading

from dramatiq import Broker
from dramatiq.middleware import Middleware

from actors import queues
from actors.queues import FAILURES
from models.store import database, tick_request
from ops.watch import logs

log = logs.get()

# The minute's tick comes anyway: no need to hammer at a database that is away.
_PAUSE_SECONDS = 5.0


class TickRequests(Middleware):
    """Listens beside the worker, for as long as its process lives."""

    def after_process_boot(self, broker: Broker) -> None:
        threading.Thread(target=_listen, name="tick requests", daemon=True).start()


def _listen() -> None:
    while True:
        try:
            for _ in tick_request.heard():
                _send_tick()
        except database.FAILURES as failure:
            log.warning("tick_requests_not_heard", error=str(failure))
            database.close()
        threading.Event().wait(_PAUSE_SECONDS)


def _send_tick() -> None:
    try:
        queues.ask(queues.TICK, "tick")
    except FAILURES as failure:
        log.warning("tick_request_left_to_the_minute", error=str(failure))
