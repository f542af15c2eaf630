"""How a worker freezes itself at a chosen point."""

import signal
import threading
from collections.abc import Callable, Iterable

import config
from models.email import gates
from models.email.gates import Closed, Facts, Gate

first_closed = gates.first_closed


def freeze() -> None:
    """Stop this process until SIGCONT. Sent to this very thread: sent to the process, it would run on a little."""
    signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)


def freeze_when_asked_for(is_the_moment: Callable[[tuple[Gate, ...]], bool]) -> Callable[..., Closed | None]:
    """gates.first_closed, which is called under all locks of a claim's or a hand-over's transaction."""

    def asked(its: Iterable[Gate], facts: Facts, rules: config.Sending) -> Closed | None:
        if is_the_moment(tuple(its)):
            freeze()
        return first_closed(its, facts, rules)

    return asked
