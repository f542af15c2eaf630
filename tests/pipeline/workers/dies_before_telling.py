"""A worker that dies right before it tells a place what it has claimed."""

import os
import signal

from ops.notifiers import Place


def die(place: Place, title: str, body: str) -> str | None:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


Place.tell = die  # type: ignore[assignment, method-assign]

import actors.notices  # noqa: E402, F401  # the actor, which finds what was changed above
