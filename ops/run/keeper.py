"""Runs commands in parallel: restarts each one that ends, and stops all on a signal.

Dramatiq's master, in contrast, stops all its processes when one is killed, and then waits for the slowest.
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
# Between restarts of a command that does not stay up: the first pause, and the maximum after doubling.
_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.5, 30.0
# A command that ran for this long counts as up.
_STAYS_UP_SECONDS = 30.0
_KEEPER = "KEPT_BY"


def is_gone() -> bool:
    """Whether the keeper that started this process is dead: then nobody would tell this process to end."""
    keeper = os.environ.get(_KEEPER)
    return keeper is not None and int(keeper) != os.getppid()


def leave_signals_to_keeper() -> None:
    """Ignore the signals that a terminal sends to all processes: the keeper passes them on as it decides."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


class _Supervised:
    """A command and its current process."""

    def __init__(self, name: str, command: Sequence[str]) -> None:
        self.name, self._command = name, command
        self.pause = _PAUSE_SECONDS
        self.start()

    def start(self) -> None:
        # close_fds: child processes inherit the lock on the metrics folder.
        environment = {**os.environ, _KEEPER: str(os.getpid())}
        self.process = subprocess.Popen(self._command, cwd=config.ROOT, env=environment, close_fds=False)  # noqa: S603
        self._started_at = clock.boottime()

    def ended(self) -> bool:
        return self.process.poll() is not None

    def start_if_ended(self) -> int | None:
        """Restart the command if it ended and its pause is over. Returns the pid of the ended process."""
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
        self._is_told = False

    def run(self) -> None:
        """Run until SIGTERM, Ctrl-C or SIGHUP, then wait for the last process to end."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # ignored under nohup
                signal.signal(number, self._end)
        kept = [_Supervised(name, command) for name, command in self._commands.items()]
        passed_on = False
        while not (passed_on and all(each.ended() for each in kept)):
            threading.Event().wait(_LOOK_SECONDS)
            if self._is_told and not passed_on:
                passed_on = True
                for each in kept:
                    each.process.terminate()
            elif not passed_on:
                for each in kept:
                    if pid := each.start_if_ended():
                        self._forget(pid)

    def _end(self, number: int, frame: FrameType | None) -> None:
        """Only note the signal; run() passes it on, also to a process that is just being started."""
        self._is_told = True
