"""Runs commands side by side: restarts one that ends, alone, and stops all in order on a signal.

Dramatiq's own master stops all its processes when one is killed, and waits for the slowest before it ends.
"""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from types import FrameType

import clock
import config
from ops.watch import logs

log = logs.get()

_LOOK_SECONDS = 0.2
# Between two starts of a command that does not stay up: the first, and what doubling leads to.
_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.5, 30.0
# A command that ran for so long stays up.
_STAYS_UP_SECONDS = 30.0
_KEEPER = "KEPT_BY"


def is_gone() -> bool:
    """Whether the keeper that started this process is: without it nobody would tell this one to end."""
    keeper = os.environ.get(_KEEPER)
    return keeper is not None and int(keeper) != os.getppid()


def leave_signals_to_keeper() -> None:
    """A terminal sends these to all processes at once: the keeper alone decides what they mean."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


class _Kept:
    """One command, and the process that it is at the moment."""

    def __init__(self, name: str, command: Sequence[str]) -> None:
        self.name, self._command = name, command
        self.pause = _PAUSE_SECONDS
        self.start()

    def start(self) -> None:
        # close_fds: what was made inheritable is for the processes below too, as the lock on the metrics' folder.
        environment = {**os.environ, _KEEPER: str(os.getpid())}
        self.process = subprocess.Popen(self._command, cwd=config.ROOT, env=environment, close_fds=False)  # noqa: S603
        self._started_at = clock.boottime()

    def ended(self) -> bool:
        return self.process.poll() is not None

    def start_if_ended(self) -> int | None:
        """The pid of the process that has ended, once its time to be replaced has come."""
        if not self.ended() or clock.boottime() < self._started_at + self.pause:
            return None
        before, ran = self.process, clock.boottime() - self._started_at
        log.warning("process_ended", process=self.name, pid=before.pid, status=before.returncode)
        self.pause = _PAUSE_SECONDS if ran > _STAYS_UP_SECONDS else min(self.pause * 2, _LONGEST_PAUSE_SECONDS)
        self.start()
        return before.pid


class Keeper:
    """commands: name -> what to run. forget: called with the pid of each process that has ended."""

    def __init__(self, commands: Mapping[str, Sequence[str]], forget: Callable[[int], object]) -> None:
        self._commands, self._forget = commands, forget
        self._told = 0

    def run(self) -> None:
        """Until SIGTERM, Ctrl-C or the end of the terminal; then until the last process has ended."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
                signal.signal(number, self._end)
        kept = [_Kept(name, command) for name, command in self._commands.items()]
        passed_on = 0
        while not (passed_on and all(each.ended() for each in kept)):
            threading.Event().wait(_LOOK_SECONDS)
            if self._told > passed_on:
                # Each time: a process that is told twice ends at once.
                passed_on = self._told
                for each in kept:
                    each.process.terminate()
            elif not passed_on:
                for each in kept:
                    if pid := each.start_if_ended():
                        self._forget(pid)

    def _end(self, number: int, frame: FrameType | None) -> None:
        """Told here and done in run(): a process that is being started at this moment is to hear of it too."""
        self._told += 1
