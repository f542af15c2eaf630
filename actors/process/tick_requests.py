"""Listens for tick requests and sends a tick at once.

Runs only in the process that handles ticks. Nothing depends on it: see models/store/tick_request.py.
"""

import threading

from dramatiq import Broker
from dramatiq.middleware import Middleware

from actors import queues
from actors.queues import FAILURES
from models.store import database, tick_request
from ops.watch import logs

log = logs.get()

# The regular tick comes anyway, so a database that is away need not be retried faster.
_PAUSE_SECONDS = 5.0


class TickRequests(Middleware):
    """Starts the listening thread, which lives as long as the process."""

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
