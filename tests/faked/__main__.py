"""`python -m tests.faked "2026-10-25 02:30" COMMAND`: as if it were that time in Warsaw, for it and all that it starts.

Of a time that comes twice the first is meant; `"2026-10-25 02:30+01:00"` names the second. Clocks go on from there, and
those that count from the machine's start are as they are. Prometheus alone, which asks the kernel itself, stays behind.
"""

import os
import sys
from datetime import datetime
from pathlib import Path

import clock
from scheduling.window import WARSAW

_HERE = Path(__file__).parent


def environment(at: str) -> dict[str, str]:
    """What makes libfaketime of a process, and of all below it. Raises ValueError where it is no time."""
    asked = datetime.fromisoformat(at)
    asked = asked if asked.tzinfo else asked.replace(tzinfo=WARSAW)
    return {
        "LD_PRELOAD": str(library()),
        # As an offset: a time to begin at would begin again in each process.
        "FAKETIME": f"{(asked - clock.now()).total_seconds():+.0f}",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "PYTHONPATH": os.pathsep.join([str(_HERE), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }


def library() -> Path:
    """Where Debian has it for this machine's architecture."""
    return next(iter(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")))


def main() -> None:
    at, *command = sys.argv[1:]
    try:
        faked = environment(at)
    except ValueError as error:
        sys.exit(f"AT: {error}; it is like 2026-11-26 23:58, in Warsaw")
    except StopIteration:
        sys.exit("libfaketime is not installed: `python -m ops.local install`")
    os.execvpe(command[0], command, os.environ | faked)


if __name__ == "__main__":
    main()
