"""`python -m tests.faked "2026-10-25 02:30" COMMAND`: as if it were that time in Warsaw, for it and all that it starts.

Of a time that comes twice the first is meant; `"2026-10-25 02:30+01:00"` names the second. The clock goes on from
there, and those that count from the machine's start are as they are. What is linked statically, as Prometheus is, and
the times of files stay behind.

Not by libfaketime: while a process waits it shows the handlers of signals the true time, so that no timeout of Postgres
ever comes; Python's own sleep fails below it.
"""

import os
import subprocess
import sys
import tempfile
from datetime import datetime
from hashlib import sha256
from pathlib import Path

import clock
from scheduling.window import WARSAW
from tests.faked import SHIFT

_SOURCE = Path(__file__).parent / "clock.c"


def shift(at: str) -> int:
    """Seconds from the machine's time to that one. Raises ValueError where it is none."""
    asked = datetime.fromisoformat(at)
    asked = asked if asked.tzinfo else asked.replace(tzinfo=WARSAW)
    # This process may run at another time already.
    return round((asked - clock.now()).total_seconds()) + int(os.environ.get(SHIFT, "0"))


def library() -> Path:
    """Compile once per version of the source. Renamed into place when complete: other processes load it meanwhile."""
    made = Path(sys.prefix) / f"faked-clock-{sha256(_SOURCE.read_bytes()).hexdigest()[:12]}.so"
    if not made.exists():
        flags = ["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror"]
        with tempfile.TemporaryDirectory(dir=sys.prefix) as folder:
            whole = Path(folder) / made.name
            subprocess.run(["gcc", *flags, "-o", whole, _SOURCE, "-ldl"], check=True)
            whole.replace(made)
    return made


def main() -> None:
    at, *command = sys.argv[1:]
    try:
        seconds = shift(at)
    except ValueError as error:
        sys.exit(f"AT: {error}; it is like 2026-11-26 23:58, in Warsaw")
    faked = {"LD_PRELOAD": str(library()), SHIFT: str(seconds)}
    os.execvpe(command[0], command, os.environ | faked)


if __name__ == "__main__":
    main()
