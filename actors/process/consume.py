"""`python -m actors.process.consume ROLE THREADS`: consumes the queues of a role until it is stopped.

Uses Dramatiq's Worker without its command line, whose master stops all processes when one dies; ops/run/keeper.py
restarts them one by one. SIGTERM finishes running messages; a second one does not cut them off.
"""

import gc
import signal
import sys
import threading
from types import FrameType

from dramatiq import Worker

import config
from actors.process.broker import ACTORS, Role, build_broker
from ops.run import keeper

_LOOK_SECONDS = 0.5


class StopSignal:
    """Signal handler that remembers whether this process was told to end."""

    def __init__(self) -> None:
        self.received = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.received = True


def main() -> None:
    role, threads = Role(sys.argv[1]), int(sys.argv[2])
    stop = StopSignal()
    signal.signal(signal.SIGTERM, stop)
    keeper.leave_signals_to_keeper()
    consume(role, threads, stop)


def consume(role: Role, threads: int, stop: StopSignal) -> None:
    settings, broker = config.settings(), build_broker(role)
    broker.emit_after("process_boot")
    # Named, because Dramatiq would also consume every queue that it publishes to.
    queues = {each.queue for each in ACTORS[role]}
    # Every thread is woken by its messages, the delayed ones too, and looks up by itself only to stop.
    worker = Worker(broker, queues=queues, worker_threads=threads, worker_timeout=round(_LOOK_SECONDS * 1000))
    # Not more than there are threads, so that hints do not get stuck in a stalled process.
    worker.queue_prefetch = threads
    # What is imported lives as long as the process. Looking at all of it again stops every thread for 20 ms and more.
    gc.freeze()
    worker.start()
    while not (stop.received or keeper.is_gone()):
        threading.Event().wait(_LOOK_SECONDS)
    worker.stop(round(settings.stop_grace_seconds * 1000))
    broker.close()


if __name__ == "__main__":
    main()
