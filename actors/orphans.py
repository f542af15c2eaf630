"""Keeps the processes below Dramatiq's master from outliving it."""

import ctypes
import multiprocessing
import signal
import sys

from dramatiq import Broker
from dramatiq.middleware import Middleware

_PR_SET_PDEATHSIG = 1  # prctl(2)


def end_with_master() -> None:
    """Stop in order when the master is killed: an orphan would go on, with old code after the next deploy."""
    if sys.platform == "linux" and multiprocessing.parent_process() is not None:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class EndsWithMaster(Middleware):
    def after_process_boot(self, broker: Broker) -> None:
        end_with_master()
