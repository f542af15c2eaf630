"""Commands that run side by side, as worker processes do."""

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import config
from tests.waiting import BOUND, until

SLEEPER = "import signal; signal.pause()"
# Ends in order once it is told, and says so.
ORDERLY = """
import pathlib, sys, signal, threading
from ops.run import keeper
keeper.leave_signals_to_keeper()
told = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: told.set())
while not (told.wait(0.1) or keeper.is_gone()): pass
pathlib.Path(sys.argv[1]).write_text("in order")
"""
PROGRAM = """
import pathlib, signal, sys
# Whatever those who run the tests do to theirs: a shell has what runs in its background ignore Ctrl-C.
for number in (signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
from ops.watch import logs
from ops.run.keeper import Keeper
logs.configure()
python, folder = sys.executable, pathlib.Path(sys.argv[1])
commands = {
    "sleeper": (python, "-c", sys.argv[2]),
    "orderly": (python, "-c", sys.argv[3], str(folder / "ended")),
}
Keeper(commands, lambda pid: (folder / "forgotten").write_text(str(pid))).run()
"""


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[psutil.Popen]:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path), SLEEPER, ORDERLY]
    process = psutil.Popen(command, cwd=config.ROOT, stderr=subprocess.DEVNULL)
    until(lambda: len(process.children()) == 2 and of(process, "leave_signals"), "both to run")
    below = process.children()
    yield process
    for each in {*below, *(process.children() if process.is_running() else ()), process}:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()
    process.wait(BOUND)


def of(keeper: psutil.Popen, words: str) -> psutil.Process | None:
    """The process below it whose program has these words, once it has come so far as to hear signals."""
    found = [each for each in keeper.children() if words in " ".join(each.cmdline())]
    return found[0] if found else None


def test_one_that_is_killed_is_started_again_and_the_other_goes_on(keeper: psutil.Popen, tmp_path: Path) -> None:
    victim, other = of(keeper, "signal.pause"), of(keeper, "leave_signals")
    assert victim
    assert other

    victim.kill()

    until(lambda: (tmp_path / "forgotten").exists() and of(keeper, "signal.pause") not in (None, victim), "another one")
    assert (tmp_path / "forgotten").read_text() == str(victim.pid)
    assert of(keeper, "leave_signals") == other


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_told_to_end_it_tells_all_of_them_and_waits(
    keeper: psutil.Popen, tmp_path: Path, number: signal.Signals
) -> None:
    below = keeper.children()

    keeper.send_signal(number)

    assert keeper.wait(BOUND) == 0
    assert not any(each.is_running() for each in below)


def test_killed_it_leaves_them_to_end_by_themselves(keeper: psutil.Popen, tmp_path: Path) -> None:
    keeper.kill()

    until(lambda: (tmp_path / "ended").exists(), "the one that looks to have ended")
    assert (tmp_path / "ended").read_text() == "in order"
