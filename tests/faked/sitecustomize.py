"""Every Python process below a faked time begins with this."""

import select
import time


def _sleep(seconds: float, /) -> None:
    select.select([], [], [], seconds)


# Debian's libfaketime (0.9.10) fakes the deadline that Python's own sleep hands to the kernel, by a clock that is not
# faked: "Invalid argument". See https://github.com/wolfcw/libfaketime/issues/426.
time.sleep = _sleep
