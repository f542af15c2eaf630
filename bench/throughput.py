"""How many e-mails a second, and at what cost: N are due now, and everything that is to send them is ready.

Measured from the first claim to the last `sent`. After each run rows, history and the receiver's count must agree.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from datetime import timedelta
from typing import Any

import clock
from bench import product, receiver, rows
from bench.processes import NotReached, Started, pause, run, until
from bench.results import Recorder
from bench.rivals import running as rivals
from bench.rivals.running import Rival
from bench.services import Database, Services
from tests.round_trips import CountingProxy

RIVALS = {
    "celery-gated": Rival("celery", "gated"),
    "bullmq-gated": Rival("bullmq", "gated"),
    "celery-short": Rival("celery", "short"),
    "bullmq-short": Rival("bullmq", "short"),
}
CASES = ("product", *RIVALS, "bare", "product-counted")
# The host's limit is no part of the question, and the rivals have the same.
SETTINGS = {"SENDING_SMTP_HOST_CONCURRENCY": 1000}
_MOST_SECONDS = 600.0
_APART = timedelta(milliseconds=1)


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--emails", type=int, default=2000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--only", nargs="*", default=CASES, choices=CASES, metavar="CASE", help=", ".join(CASES))


TINY = {"rounds": 1, "emails": 20}


def measure(services: Services, record: Recorder, it: argparse.Namespace) -> None:
    for number in range(it.rounds):
        # Forwards and backwards in turn: what one case leaves behind should not always meet the same next one.
        for case in it.only if number % 2 == 0 else reversed(it.only):
            if case == "product":
                record.add(case, of_product(services, it.emails, it.processes, it.threads), number)
            elif case == "product-counted":
                record.add(case, counted(services, min(it.emails, 200)), number)
            elif case == "bare":
                record.add(case, bare(services, it.emails, it.processes, it.threads), number)
            elif why := rivals.why_not(RIVALS[case]):
                record.skip(case, why)
            else:
                record.add(case, of_rival(services, RIVALS[case], it.emails, it.processes, it.threads), number)


def of_product(services: Services, emails: int, processes: int, threads: int) -> dict[str, Any]:
    broker_url = services.virtual_host()
    with closing(services.database()) as database, receiver.fastest(services) as receiving:
        begin = clock.now() - emails * _APART
        rows.due(
            database, emails=emails, campaigns=100, mailboxes=emails, port=receiving.port, begin=begin, apart=_APART
        )
        sizes = {"WORKER_PROCESSES": processes, "WORKER_THREADS": threads}
        environment = services.environment(database.url, broker_url, **SETTINGS, **sizes)
        product.hint_all(services, database, environment)
        messages, before = services.messages(), _statistics(database)
        with product.running(services, product.WORKER, environment) as worker:
            found = _race(services, database, "campaign_email_queue", emails, [worker])
        after = _statistics(database)
        found |= {name: (after[name] - before[name]) / emails for name in after}
        # Each mail's message and what the worker published in turn.
        found["messages"] = (services.messages() - messages) / emails + 1
        found["problems"] = problems(database, emails, receiving.finish(), "campaign_email_queue", "email_history")
    services.end_virtual_host(broker_url)
    return found


def counted(services: Services, emails: int) -> dict[str, Any]:
    """Round trips and transactions a mail, counted by a proxy before Postgres, one mail after the other."""
    broker_url = services.virtual_host()
    with closing(services.database()) as database, receiver.fastest(services) as receiving:
        begin = clock.now() - emails * _APART
        rows.due(
            database, emails=emails, campaigns=100, mailboxes=emails, port=receiving.port, begin=begin, apart=_APART
        )
        sizes = {"WORKER_PROCESSES": 1, "WORKER_THREADS": 1}
        product.hint_all(services, database, services.environment(database.url, broker_url, **SETTINGS))
        with CountingProxy(rivals.socket_of(database.url)) as proxy:
            through = f"postgresql://postgres@127.0.0.1:{proxy.port}/{rivals.name_of(database.url)}"
            through += "?sslmode=disable&gssencmode=disable"
            environment = services.environment(through, broker_url, **SETTINGS, **sizes)
            with product.running(services, product.WORKER, environment):
                first = _sent_so_far(database, 3)
                asked = proxy.asked
                last = _sent_so_far(database, emails)
                asked = proxy.asked - asked
    services.end_virtual_host(broker_url)
    return {name: asked[name] / (last - first) for name in ("round_trips", "transactions", "sessions")}


def _sent_so_far(database: Database, least: int) -> int:
    count = "SELECT count(*) FROM campaign_email_queue WHERE status = 'sent'"
    return until(lambda: sent if (sent := int(database.one(count))) >= least else 0, "e-mails", _MOST_SECONDS)


def of_rival(services: Services, rival: Rival, emails: int, processes: int, threads: int) -> dict[str, Any]:
    with ExitStack() as stack:
        receiving = stack.enter_context(receiver.fastest(services))
        begin = clock.now() - emails * _APART
        database = rivals.fill(rival, services, emails=emails, port=receiving.port, begin=begin, apart=_APART)
        stack.enter_context(closing(database))
        before = _statistics(database)
        with rivals.working(rival, services, database, receiving.port, processes, threads) as crew:
            found = _race(services, database, rival.table, emails, crew.workers, crew.broker)
        after = _statistics(database)
        found |= {name: (after[name] - before[name]) / emails for name in after}
        found["problems"] = problems(database, emails, receiving.finish(), rival.table, rival.history)
    return found


def bare(services: Services, emails: int, processes: int, threads: int) -> dict[str, Any]:
    with receiver.fastest(services) as receiving:
        sizes = map(str, (receiving.port, emails, processes, threads))
        said = json.loads(run([sys.executable, "-m", "bench.rivals.bare", *sizes], dict(os.environ)))
        pause(0.3)
        took = receiving.finish()
    missing = [] if took == emails else [f"the receiver accepted {took} of {emails}"]
    return {
        "rate": emails / said["seconds"],
        "cpu_worker": said["cpu"] / emails * 1000,
        "problems": missing,
    }


def _race(
    services: Services,
    database: Database,
    table: str,
    emails: int,
    workers: Sequence[Started],
    broker: Started | None = None,
) -> dict[str, Any]:
    """Mails a second, and CPU seconds for 1,000 of them."""

    def cpu() -> Mapping[str, float]:
        return {
            "cpu_worker": sum(each.cpu_seconds() for each in workers),
            "cpu_postgres": services.postgres_cpu(),
            "cpu_broker": broker.cpu_seconds() if broker else services.rabbitmq_cpu(),
        }

    until(lambda: database.one(f"SELECT max(claimed_at) FROM {table}"), "the first claim", 120, every=0.02)
    before, problem = cpu(), []
    try:
        left = f"SELECT count(*) FROM {table} WHERE status <> 'sent'"
        until(lambda: database.one(left) == 0, "the last mail", _MOST_SECONDS, every=0.1)
    except NotReached as failure:
        problem = [str(failure)]
    used = {name: value - before[name] for name, value in cpu().items()}
    times = "extract(epoch FROM max(sent_at) - min(claimed_at))::float, count(sent_at)"
    seconds, sent = database.ask(f"SELECT {times} FROM {table}")[0]
    if not sent:
        raise NotReached(f"nothing was sent: {problem}")
    each = f"SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM sent_at - claimed_at)) FROM {table}"
    return {
        "rate": sent / seconds,
        "seconds": seconds,
        **{name: value / sent * 1000 for name, value in used.items()},
        "cores": sum(used.values()) / seconds,
        "claim_to_sent_ms": float(database.one(each)) * 1000,
        "problems": problem,
    }


def _statistics(database: Database) -> dict[str, float]:
    """What Postgres has counted so far: transactions, rows written, bytes of its log."""
    database.ask("SELECT pg_stat_force_next_flush()")
    database.ask("SELECT pg_stat_clear_snapshot()")
    [(commits, written, wal)] = database.ask(
        "SELECT xact_commit, tup_inserted + tup_updated + tup_deleted, pg_current_wal_insert_lsn() - '0/0'::pg_lsn"
        " FROM pg_stat_database WHERE datname = current_database()"
    )
    return {"commits": float(commits) - database.asked, "rows": float(written), "wal_bytes": float(wal)}


def problems(database: Database, emails: int, accepted: int, table: str, history: str) -> list[str]:
    """Rows, history and the receiver's count, held against each other."""
    statuses = dict(database.ask(f"SELECT status, count(*) FROM {table} GROUP BY 1"))
    moves = dict(database.ask(f"SELECT move, count(*) FROM {history} GROUP BY 1"))
    found = [] if statuses == {"sent": emails} else [f"statuses {statuses}"]
    expected = ("claim", "hand_over", "accept")
    found += [f"{moves.get(move, 0)} × {move}" for move in expected if moves.get(move) != emails]
    return found + ([] if accepted == emails else [f"the receiver accepted {accepted} of {emails}"])
