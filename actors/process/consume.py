"""`python -m actors.process.consume MODULE … --queues NAME … --threads N`: consumes queues until it is stopped.

Dramatiq's Worker without Dramatiq's command line, whose master process stops all when one process dies:
ops/run/keeper.py restarts them one by one. The first SIGTERM finishes what has begun, the second stops at once.
"""

import argparse
import importlib
import signal
import sys
import threading
from types import FrameType

from ops.run import keeper

_LOOK_SECONDS = 0.5


class Told:
    """Whether this process was told to end."""

    def __init__(self) -> None:
        self.once = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.once:
            sys.exit(f"punktual: ended by a second {signal.Signals(number).name}")
        self.once = True


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m actors.process.consume")
    parser.add_argument("modules", nargs="+", help="which declare what is done with a message")
    parser.add_argument("--queues", nargs="+", required=True)
    parser.add_argument("--threads", type=int, required=True)
    asked = parser.parse_args()
    told = Told()
    signal.signal(signal.SIGTERM, told)
    keeper.leave_signals_to_keeper()
    for module in asked.modules:
        importlib.import_module(module)
    consume(asked.queues, asked.threads, told)


def consume(queues: list[str], threads: int, told: Told) -> None:
    # Not before the modules, which may change what these find.
    from dramatiq import Worker

    import config
    from actors.process.broker import broker

    settings = config.settings()
    broker.emit_after("process_boot")
    worker = Worker(
        broker, queues=set(queues), worker_threads=threads, worker_timeout=settings.worker.wakeup_milliseconds
    )
    # Prefetching no more than there are threads keeps waiting hints from being stuck behind a stalled process.
    worker.queue_prefetch = threads
    worker.start()
    while not (told.once or keeper.is_gone()):
        threading.Event().wait(_LOOK_SECONDS)
    worker.stop(round(settings.stop_grace_seconds * 1000))
    broker.close()


if __name__ == "__main__":
    main()
