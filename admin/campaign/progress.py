"""Shows how far a long command is, on stderr: a bar on a terminal, plain lines elsewhere. Short ones show nothing."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

_EVERY = 10_000  # things for which a plain line is written

Show = Callable[[int, float], None]


@contextmanager
def progress(what: str) -> Iterator[Show]:
    """what: "rows of leads.csv". The result is called with how many are done, and which share of all that is."""
    if not sys.stderr.isatty():
        yield lambda done, share: _say(what, done, share)
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=1.0)
        yield lambda done, share: bar.update(task, completed=share, description=f"{done:,} {what}")


def _say(what: str, done: int, share: float) -> None:
    if done % _EVERY == 0:
        print(f"{done:,} {what} ({share:.0%})", file=sys.stderr, flush=True)
