"""periodiq's alarm, which ends the process where nothing handles it."""

import subprocess
import sys

import config

# In a process of its own: a test's timeout uses the same alarm.
INTERRUPTED = """
import signal
from actors.process import periodiq

class Scheduler:
    def schedule(self):
        print(signal.getsignal(signal.SIGALRM) == self.signal_handler)
        signal.alarm(3600)

    def loop(self):
        raise KeyboardInterrupt

    def signal_handler(self, *_):
        pass

try:
    periodiq.loop(Scheduler())
except KeyboardInterrupt:
    print(signal.alarm(0))
"""


def test_is_handled_before_it_is_set_and_taken_back_when_the_process_ends() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], cwd=config.ROOT, capture_output=True, text=True, check=True
    )

    assert done.stdout.split() == ["True", "0"]
