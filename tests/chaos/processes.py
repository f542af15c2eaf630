"""Punktual's processes, restarted when they end, as by a supervisor; and faults for them."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

import psutil

import clock
import config

NAMES = ("worker-1", "worker-2", "timekeeper", "periodiq")
_NOT_SOONER_SECONDS = 1.0
_GRACE_SECONDS = 15.0


class Processes:
    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self.environment = {**os.environ, **environment}
        self.log = log
        self.starts = 0
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._started_at: dict[str, float] = {}
        # Everything that was ever seen running: a worker whose master was killed goes on until its mails are sent.
        self._seen: set[psutil.Process] = set()
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._watching = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        for name in NAMES:
            self._start(name)
        self._watching.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop them in order. Kill those that do not end in time."""
        self._ending.set()
        self._watching.join()
        self._look()
        for process in self._seen:
            _signalled(process, signal.SIGCONT)
            _signalled(process, signal.SIGTERM)
        for survivor in psutil.wait_procs(self._seen, _GRACE_SECONDS)[1]:
            _signalled(survivor, signal.SIGKILL)
        for started in self._running.values():
            started.wait(10)

    def workers(self) -> list[psutil.Process]:
        """The processes that send mail, without their masters."""
        return [worker for name in NAMES[:2] for worker in self._below(name)]

    def masters(self) -> list[psutil.Process]:
        return [master for name in NAMES[:2] for master in self._of(name)]

    def all_of(self, name: str) -> list[psutil.Process]:
        return [*self._of(name), *self._below(name)]

    def kill(self, processes: list[psutil.Process]) -> list[int]:
        """SIGKILL, to all at once. Returns which were struck."""
        self._look()
        struck = [process for process in processes if _signalled(process, signal.SIGSTOP)]
        return [process.pid for process in struck if _signalled(process, signal.SIGKILL)]

    def _of(self, name: str) -> list[psutil.Process]:
        with self._lock, contextlib.suppress(psutil.NoSuchProcess):
            return [psutil.Process(self._running[name].pid)]
        return []

    def _below(self, name: str) -> list[psutil.Process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            return [child for process in self._of(name) for child in process.children(recursive=True) if _works(child)]
        return []

    def _watch(self) -> None:
        while not self._ending.wait(0.2):
            self._look()
            for name, process in list(self._running.items()):
                if process.poll() is not None and clock.boottime() > self._started_at[name] + _NOT_SOONER_SECONDS:
                    self._start(name)

    def _look(self) -> None:
        self._seen.update(process for name in NAMES for process in self.all_of(name))

    def _start(self, name: str) -> None:
        with self.log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "actors", name.partition("-")[0]],
                cwd=config.ROOT,
                env=self.environment,
                stdout=output,
                stderr=output,
                start_new_session=True,  # a Ctrl-C is for the harness, which ends them in order
            )
        with self._lock:
            self._running[name] = process
            self._started_at[name] = clock.boottime()
            self.starts += 1


@contextlib.contextmanager
def frozen(processes: list[psutil.Process]) -> Iterator[list[int]]:
    struck = [process for process in processes if _signalled(process, signal.SIGSTOP)]
    try:
        yield [process.pid for process in struck]
    finally:
        for process in struck:
            _signalled(process, signal.SIGCONT)


def _works(process: psutil.Process) -> bool:
    """Neither a zombie nor Python's own helper process."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE and "resource_tracker" not in " ".join(process.cmdline())
    except psutil.Error:
        return False


def talks_to(process: psutil.Process, port: int) -> bool:
    try:
        return any(each.raddr and each.raddr.port == port for each in process.net_connections("tcp4"))
    except psutil.Error:
        return False


def _signalled(process: psutil.Process, number: signal.Signals) -> bool:
    """psutil refuses when the process is gone, also when another has its pid by now."""
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return False
    return True
