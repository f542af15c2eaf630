"""`python -m ops.run.tied MODULE …`: runs a module, and ends it cleanly when its parent dies, even by SIGKILL."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # prctl(2); kept across exec


def signal_when_parent_dies(number: int) -> None:
    """Linux only; does nothing elsewhere."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "ops.run.tied", *arguments]


def main() -> None:
    signal_when_parent_dies(signal.SIGTERM)
    os.execv(sys.executable, [sys.executable, "-m", *sys.argv[1:]])  # noqa: S606  # our own processes


if __name__ == "__main__":
    main()
