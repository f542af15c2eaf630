"""Processes that a measurement starts and ends by their ids; the CPU time and memory that they take; waiting."""

import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import psutil

import clock
import config

T = TypeVar("T")
_END_SECONDS = 20.0


class NotReached(Exception):
    """What a measurement waited for did not come in time."""


def until(condition: Callable[[], T | None], what: str, seconds: float, every: float = 0.05) -> T:
    """Wait for a condition and return its value. Raises NotReached."""
    deadline = clock.boottime() + seconds
    while not (found := condition()):
        if clock.boottime() > deadline:
            raise NotReached(f"waited {seconds:g} s for {what}")
        pause(every)
    return found


def pause(seconds: float) -> None:
    threading.Event().wait(seconds)


class Started:
    """A process with everything that it starts."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._psutil = psutil.Process(process.pid)

    @property
    def pid(self) -> int:
        return self._process.pid

    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def tree(self) -> list[psutil.Process]:
        return tree_of(self.pid)

    def cpu_seconds(self) -> float:
        return cpu_seconds(self.pid)

    def peak_megabytes(self) -> float:
        """The largest peak of one process of the tree."""
        return max((peak_megabytes(each.pid) for each in self.tree()), default=0.0)

    def kill(self) -> None:
        """SIGKILL to all at once."""
        _kill(self.tree())
        self._process.wait()

    def end(self) -> None:
        """SIGTERM; then SIGKILL for what is left."""
        tree = self.tree()
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_SECONDS)
        _kill(tree)
        self._process.wait()


def start(command: Sequence[str], environment: Mapping[str, str], log: Path, folder: Path = config.ROOT) -> Started:
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # a Ctrl-C is for the benchmark, which ends them in order
        )
    return Started(process)


@contextmanager
def started(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Iterator[Started]:
    process = start(command, environment, log)
    try:
        yield process
    finally:
        process.end()


class Failed(Exception):
    """A command that had to succeed failed."""


def run(command: Sequence[str], environment: Mapping[str, str], folder: Path = config.ROOT) -> str:
    """Run a command to its end and return its output. Raises Failed."""
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise Failed(f"`{' '.join(command)}` ended with {done.returncode}: {(done.stderr or done.stdout)[-2000:]}")
    return done.stdout


def measured(command: Sequence[str], environment: Mapping[str, str], log: Path) -> dict[str, float]:
    """Run a command to its end. Returns its wall and CPU seconds and its peak of memory. Raises Failed."""
    began = clock.boottime()
    process = start(command, environment, log)
    peak, ended = 0.0, 0
    while not ended:
        pause(0.01)
        # Not the peak of wait4(), which begins with that of the process that started it.
        peak = max(peak, peak_megabytes(process.pid))
        ended, status, used = os.wait4(process.pid, os.WNOHANG)
    if status:
        raise Failed(f"`{' '.join(command)}` ended with {os.waitstatus_to_exitcode(status)}; see {log}")
    return {"seconds": clock.boottime() - began, "cpu": used.ru_utime + used.ru_stime, "peak_mb": peak}


def cpu_seconds(pid: int) -> float:
    """CPU seconds of a process, of those below it, and of those that have ended below it."""
    total = 0.0
    for each in tree_of(pid):
        with suppress(psutil.Error):
            times = each.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def tree_of(pid: int) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    return []


def _kill(processes: Sequence[psutil.Process]) -> None:
    for each in processes:
        with suppress(psutil.NoSuchProcess):
            each.kill()  # refused by psutil if another process has its pid by now


def peak_megabytes(pid: int) -> float:
    """The most memory that a process has used so far; 0: it has ended, or this is not Linux."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1000
    return 0.0
