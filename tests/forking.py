"""Real processes of the product, forked from one that has already imported it, which is faster.

`python -m MODULE ARGUMENT…` in all that a test can see but for its command line. What is to be altered before the
product is imported cannot be started so.
"""

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.waiting import BOUND

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["admin.__main__", "actors.process.consume", "web.__main__", "tests.pipeline.effects"])


class Forked:
    """A running process, with the part of subprocess.Popen that the tests use. out, err: files that it appends to."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], out: Path, err: Path) -> None:
        """command: a module's name and its arguments."""
        self._process = _CONTEXT.Process(target=_run, args=(command, dict(environment), out, err))
        self._process.start()
        assert self._process.pid
        self.pid: int = self._process.pid

    def poll(self) -> int | None:
        """The exit status; negative: the signal that ended it; None: still running."""
        return None if self._process.is_alive() else self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        status = self.poll()
        if status is None:
            raise subprocess.TimeoutExpired(str(self._process), timeout or 0)
        return status

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:  # its id may be another process's afterwards: the fork server reaps it at once
            os.kill(self.pid, number)


def admin(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run an admin command in a process of its own."""
    with TemporaryDirectory() as folder:
        out, err = Path(folder) / "out", Path(folder) / "err"
        command = ("admin", *arguments)
        status = Forked(command, {**os.environ, "COLUMNS": "200", **environment}, out, err).wait(BOUND)
        return subprocess.CompletedProcess(command, status, out.read_text(), err.read_text())


def _run(command: Sequence[str], environment: dict[str, str], out: Path, err: Path) -> None:
    os.environ.clear()
    os.environ.update(environment)
    for path, stream in ((out, sys.stdout), (err, sys.stderr)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, stream.fileno())
        os.close(file)
    sys.argv = list(command)
    # As itself it has been imported; now it is run.
    for name in (command[0], f"{command[0]}.__main__"):
        if not hasattr(sys.modules.get(name), "__path__"):
            sys.modules.pop(name, None)
    runpy.run_module(command[0], run_name="__main__", alter_sys=True)
