"""Identifies this process, and tells whether another one on this machine is alive."""

import os
import socket
from functools import cache

import psutil

from models.email.claims import Worker


def this_worker() -> Worker:
    return _worker(os.getpid())


@cache
def _worker(pid: int) -> Worker:
    """This process as a Worker. Cached by pid, because a fork has another one."""
    return Worker(socket.gethostname(), pid, _started_at(pid))


def is_alive(worker: Worker) -> bool:
    """Whether the process runs, for processes of this host. A later process with the same pid does not count."""
    try:
        return abs(_started_at(worker.pid) - worker.started_at) < 1
    except psutil.NoSuchProcess:
        return False


def _started_at(pid: int) -> float:
    process = psutil.Process(pid)
    if process.status() == psutil.STATUS_ZOMBIE:
        raise psutil.NoSuchProcess(pid)
    return process.create_time()
