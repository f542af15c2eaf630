"""`make test AT=…`: the clock that a command and all below it see."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

import clock
import config

HERE = "import clock; print(clock.now().isoformat(), clock.boottime())"
BELOW = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {HERE!r}], check=True)"
# Each waits 0.1 s by a deadline: of the wall clock, of the machine's, and by a sleep.
WAITS = """
import ctypes, threading, time
threading.Event().wait(0.1)
time.sleep(0.1)
libc, until = ctypes.CDLL(None), (ctypes.c_long * 2)()
libc.clock_gettime(0, until)
until[0] += 1
semaphore = ctypes.create_string_buffer(32)
print(libc.sem_timedwait(semaphore, until))
"""


def faked(at: str, *command: str) -> "subprocess.CompletedProcess[str]":
    call = [sys.executable, "-m", "tests.faked", at, sys.executable, *command]
    return subprocess.run(call, cwd=config.ROOT, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("at", "instant"),
    [
        ("2026-11-26 23:58", datetime(2026, 11, 26, 22, 58, tzinfo=UTC)),
        ("2026-10-25 02:30", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        ("2026-10-25 02:30+01:00", datetime(2026, 10, 25, 1, 30, tzinfo=UTC)),
        ("2031-07-01 12:00", datetime(2031, 7, 1, 10, 0, tzinfo=UTC)),
    ],
)
def test_is_warsaws_and_goes_on_and_the_machines_own_is_left_alone(at: str, instant: datetime) -> None:
    before = clock.boottime()

    now, boottime = faked(at, "-c", BELOW).stdout.split()

    assert -timedelta(seconds=2) < datetime.fromisoformat(now) - instant
    assert datetime.fromisoformat(now) - instant < timedelta(seconds=clock.boottime() - before + 2)
    assert before < float(boottime) < clock.boottime()


@pytest.mark.parametrize("at", ["2026-01-01 12:00", "2031-07-01 12:00"])
def test_waits_end_however_far_away_it_is(at: str) -> None:
    done = faked(at, "-c", WAITS)

    assert (done.stdout, done.stderr) == ("-1\n", "")


def test_what_is_no_time_is_refused_in_one_sentence() -> None:
    done = faked("tomorrow", "-c", "")

    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line == "AT: Invalid isoformat string: 'tomorrow'; it is like 2026-11-26 23:58, in Warsaw"
