"""Which process this is, and whether another of this machine is still alive."""

import os
import socket
from functools import cache

import psutil

from models.email.claims import Worker


def this_worker() -> Worker:
    return _worker(os.getpid())


@cache
def _worker(pid: int) -> Worker:
    """Asked once a process: a fork has another pid."""
    return Worker(socket.gethostname(), pid, _started_at(pid))


def is_alive(worker: Worker) -> bool:
    """Whether the process runs. Asked only of processes of this host; a later one with the same pid is another."""
    try:
        return abs(_started_at(worker.pid) - worker.started_at) < 1
    except psutil.NoSuchProcess:
        return False


def _started_at(pid: int) -> float:
    process = psutil.Process(pid)
    if process.status() == psutil.STATUS_ZOMBIE:
        raise psutil.NoSuchProcess(pid)
    return process.create_time()
