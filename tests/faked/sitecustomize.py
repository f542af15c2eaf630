"""What a Python process needs under a faked time: see tests/faked/__main__.py."""

import select
import time


def _sleep(seconds: float, /) -> None:
    select.select([], [], [], seconds)


# libfaketime 0.9.10 makes a negative time of the deadline by the monotonic clock that Python 3.11 and later ask for:
# "Invalid argument". https://github.com/wolfcw/libfaketime/issues/426
time.sleep = _sleep
