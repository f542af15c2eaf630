"""Ends the processes below Dramatiq's master with it: an orphan would go on, with old code after the next deploy."""

import multiprocessing
import signal
import sys
from types import FrameType

from dramatiq import Broker, Worker
from dramatiq.middleware import Middleware

from ops.tied import signal_when_parent_dies

MASTER_DIED = signal.SIGUSR2


def end_with_master() -> None:
    """Stop in order when the master is killed."""
    if _has_master():
        signal.signal(MASTER_DIED, _stop_once)
        signal_when_parent_dies(MASTER_DIED)


class EndsWithMaster(Middleware):
    def after_process_boot(self, broker: Broker) -> None:
        end_with_master()

    def before_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        if _has_master():
            signal.signal(MASTER_DIED, signal.SIG_IGN)


def _has_master() -> bool:
    return sys.platform == "linux" and multiprocessing.parent_process() is not None


def _stop_once(number: int, frame: FrameType | None) -> None:
    """Linux tells of a master with two threads once or twice, by chance, and a second SIGTERM would end us at once."""
    signal.signal(number, signal.SIG_IGN)
    signal.raise_signal(signal.SIGTERM)
