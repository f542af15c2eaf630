"""How late each e-mail's final dot reaches the receiver after its planned time, at several rates.

All are told beforehand: hints, Celery ETAs, BullMQ delays. Early, missing or doubled e-mails are problems.
"""

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from datetime import datetime, timedelta
from typing import Any

import clock
from bench import product, rows
from bench.figures import quantile
from bench.processes import NotReached, pause, until
from bench.receiver import OwnReceiver
from bench.results import Recorder
from bench.rivals import running as rivals
from bench.rivals.running import Rival
from bench.services import Database, Services
from bench.throughput import SETTINGS

RIVALS = {"celery-eta": Rival("celery", "short"), "bullmq-delay": Rival("bullmq", "short")}
TICKING = "product-ticking"  # with timekeeper and periodiq beside the worker
CASES = ("product", TICKING, *RIVALS)
_PROCESSES, _THREADS = 2, 8
# E-mails of the first seconds do not count: every thread opens its session, and compiles what it needs.
_WARM_UP = timedelta(seconds=5)
# They must have come so long after it, or the first that count were late for the start of a process.
_READY = timedelta(seconds=1)
_MOST_SECONDS = 300.0


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rates", nargs="*", type=float, default=[1, 20, 100], metavar="A_SECOND")
    parser.add_argument("--seconds", type=float, default=60, help="of each rate")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=CASES, choices=CASES, metavar="CASE", help=", ".join(CASES))


TINY = {"rates": [1, 10], "seconds": 5, "rounds": 1}


def measure(services: Services, record: Recorder, it: argparse.Namespace) -> None:
    for number in range(it.rounds):
        for rate in it.rates:
            for case in it.only:
                name = f"{case} at {rate:g} a second"
                if case not in RIVALS:
                    record.add(name, of_product(services, rate, it.seconds, ticking=case == TICKING), number)
                elif why := rivals.why_not(RIVALS[case]):
                    record.skip(name, why)
                else:
                    record.add(name, of_rival(services, RIVALS[case], rate, it.seconds), number)


def of_product(services: Services, rate: float, seconds: float, *, ticking: bool = False) -> dict[str, Any]:
    emails = _count(rate, seconds)
    broker_url = services.virtual_host()
    with closing(services.database()) as database, OwnReceiver(services) as receiving:
        environment = services.environment(
            database.url, broker_url, **SETTINGS, WORKER_PROCESSES=_PROCESSES, WORKER_THREADS=_THREADS
        )
        begin = _soon(emails, seconds=45)
        apart = timedelta(seconds=1 / rate)
        rows.due(database, emails=emails, campaigns=100, mailboxes=2000, port=receiving.port, begin=begin, apart=apart)
        with ExitStack() as stack:
            stack.enter_context(product.running(services, product.WORKER, environment))
            product.hint_all(services, database, environment)
            if ticking:
                for name in (product.TIMEKEEPER, product.PERIODIQ):
                    stack.enter_context(product.running(services, name, environment))
            problems = _finish(database, "campaign_email_queue")
        query = "SELECT l.address, q.scheduled_at FROM campaign_email_queue q JOIN campaign_lead l"
        due = dict(database.ask(f"{query} ON l.id = q.campaign_lead_id"))
        found = lateness(due, receiving.dots(), begin + _WARM_UP, problems)
    services.end_virtual_host(broker_url)
    return found


def of_rival(services: Services, rival: Rival, rate: float, seconds: float) -> dict[str, Any]:
    emails = _count(rate, seconds)
    with OwnReceiver(services) as receiving, ExitStack() as stack:
        begin, apart = _soon(emails, seconds=30), timedelta(seconds=1 / rate)
        database = rivals.fill(rival, services, emails=emails, port=receiving.port, begin=begin, apart=apart)
        stack.enter_context(closing(database))
        with rivals.working(rival, services, database, receiving.port, _PROCESSES, _THREADS, eta=True):
            problems = _finish(database, rival.table)
        due = dict(database.ask(f"SELECT recipient, scheduled_at FROM {rival.table}"))
        return lateness(due, receiving.dots(), begin + _WARM_UP, problems)


def _count(rate: float, seconds: float) -> int:
    return round(rate * (seconds + _WARM_UP.total_seconds()))


def _soon(emails: int, seconds: float) -> datetime:
    """When the first is due: rows and messages of all have to be written before. In whole seconds, as rows keep it."""
    return clock.now().replace(microsecond=0) + timedelta(seconds=round(seconds + emails / 400))


def _finish(database: Database, table: str) -> list[str]:
    """Wait until all are sent. Returns what went wrong."""
    last = database.one(f"SELECT max(scheduled_at) FROM {table}")
    while clock.now() < last:
        pause(0.5)
    try:
        left = f"SELECT count(*) FROM {table} WHERE status <> 'sent'"
        until(lambda: database.one(left) == 0, "the last e-mail", _MOST_SECONDS, every=0.5)
    except NotReached as failure:
        return [str(failure)]
    return []


def lateness(
    due: Mapping[str, datetime], dots: Sequence[tuple[str, float]], counted_from: datetime, problems: Sequence[str] = ()
) -> dict[str, Any]:
    """Milliseconds from planned time to dot.

    due: recipient -> planned time. dots: recipient and time. counted_from: of e-mails due before, only whether they
    came matters. problems: those found so far.
    """
    late = {to: (at - due[to].timestamp()) * 1000 for to, at in dots}
    counts = Counter(to for to, _ in dots)
    words = {
        "missing": len(due) - len(counts),
        "early": sum(it < 0 for it in late.values()),
        "twice": sum(count > 1 for count in counts.values()),
    }
    found = [*problems, *(f"{count} {word}" for word, count in words.items() if count)]
    ready = (counted_from + _READY).timestamp()
    if any(due[to] < counted_from and at > ready for to, at in dots):
        found.append("e-mails of the warm-up came after it: the processes had not started in time, or fall behind")
    counted = [it for to, it in late.items() if due[to] >= counted_from]
    parts = {"p50_ms": 0.5, "p90_ms": 0.9, "p99_ms": 0.99, "max_ms": 1.0}
    values = {name: quantile(counted, part) for name, part in parts.items()} if counted else {}
    return {"emails": len(counted), **values, "problems": found}
