"""Publishes hints: messages that say "look at this e-mail, which you should find pending for this time".

A hint may be duplicated, late or lost without harm. It carries an id and a time, never an address.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

import clock
import config
from actors import queues
from actors.queues import FAILURES
from models.email import hints
from models.email.hints import Hint
from models.store import tick_request
from ops.watch import logs, metrics

log = logs.get()


def hint(email_id: int, scheduled_at: datetime, at: datetime) -> None:
    """Have a worker look at the e-mail at the time `at`."""
    with _left_to_the_tick(email_id):
        _enqueue(email_id, scheduled_at, at)


def _enqueue(email_id: int, scheduled_at: datetime, at: datetime) -> None:
    wait = at - clock.now()
    # Rounded up: a message that arrives early would only have to be delayed again.
    delay = int(wait.total_seconds() * 1000) + 1 if wait > timedelta(0) else None
    try:
        queues.ask(queues.DELIVER, "deliver", email_id, round(scheduled_at.timestamp() * 1000), delay=delay)
    except FAILURES:
        metrics.HINT_FAILURES.inc()
        raise
    metrics.HINTS_PUBLISHED.inc()


@contextmanager
def _left_to_the_tick(email_id: int) -> Iterator[None]:
    """Ignore that the broker is away: the worker's own task is done, and the tick hints at overdue e-mails."""
    try:
        yield
    except FAILURES as failure:
        log.warning("hint_left_to_the_tick", email_id=email_id, error=str(failure))


# A worker gets an e-mail's first hint so long before its time, and waits for the rest: what a message takes on its way
# through the broker makes no e-mail late.
AHEAD = timedelta(milliseconds=40)


def wait_for(scheduled_at: datetime) -> None:
    """Wait until that time if the hint came early."""
    left = scheduled_at - clock.now()
    if timedelta(0) < left <= AHEAD:
        threading.Event().wait(left.total_seconds())


def hint_marked(due: Hint) -> None:
    """Publish the hint of an e-mail that is marked as hinted already. The mark is dropped if the broker is away."""
    try:
        _enqueue(due.email_id, due.scheduled_at, at=due.scheduled_at - AHEAD)
    except FAILURES as failure:
        hints.unmark(due)
        log.warning("hint_left_to_the_tick", email_id=due.email_id, error=str(failure))


def is_soon(at: datetime) -> bool:
    """Whether the time is inside the buffer horizon: RabbitMQ limits how long a worker may hold a message."""
    return at < clock.now() + timedelta(minutes=config.settings().planning.buffer_minutes)


# A step publishes no more, so that the other steps need not wait for long. For the rest another tick is asked for.
_MOST_PORTIONS = 4


def hint_soon() -> None:
    """Publish a hint for each e-mail that is due within minutes, or overdue with a hint that may be lost."""
    # First those that are overdue, while most of the others have minutes left.
    _publish_all(hints.soon, count=_publish(hints.lost()))


def hint_due() -> None:
    """Publish a hint for each e-mail inside the buffer horizon that has none for its time."""
    _publish_all(hints.due)


def _publish_all(read: Callable[[], list[Hint]], count: int = 0) -> None:
    for _ in range(_MOST_PORTIONS):
        portion = read()
        count += _publish(portion)
        if len(portion) < hints.AT_ONCE:
            break
    else:
        tick_request.ask_for_tick()
    if count:
        log.info("emails_hinted", count=count)


def hint_planned(campaign_ids: Sequence[int]) -> bool:
    """Publish hints for newly planned e-mails that are due within minutes. Returns False if the broker is away."""
    try:
        _publish(hints.soon(campaign_ids))
    except FAILURES as failure:
        log.warning("hints_left_to_the_tick", campaigns=len(campaign_ids), error=str(failure))
        return False
    return True


def _publish(due: list[Hint]) -> int:
    published: list[Hint] = []
    try:
        for each in due:
            _enqueue(each.email_id, each.scheduled_at, at=each.scheduled_at - AHEAD)
            published.append(each)
    finally:
        # Only confirmed messages are marked: the rest is due again at the next tick.
        if published:
            hints.mark(published)
    return len(published)
