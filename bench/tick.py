"""How long a tick takes in a steady state, by history."""

import argparse
from contextlib import closing
from datetime import timedelta

import clock
from bench import rows
from bench.processes import until
from bench.product import Ticking
from bench.results import Recorder
from bench.services import Services

# What is planned moves beyond the buffer horizon, so that nothing becomes due while ticks are measured.
POSTPONE = """
UPDATE campaign_email_queue SET scheduled_at = scheduled_at + interval '6 hours', hinted_for = NULL
WHERE status = 'pending'
"""


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--campaigns", type=int, default=1000)
    parser.add_argument("--leads", type=int, default=1000, help="of a campaign, on average")
    parser.add_argument("--delay", type=float, default=150.0, help="seconds between two e-mails of a campaign")
    parser.add_argument("--history", nargs="*", type=int, default=[10_000, 1_000_000], metavar="ROWS")
    parser.add_argument("--ten-million", action="store_true", help="also 10,000,000 rows of history")
    parser.add_argument("--ticks", type=int, default=5)


TINY = {"campaigns": 4, "leads": 20, "history": [40, 400], "ten_million": False, "ticks": 2}


def measure(services: Services, record: Recorder, it: argparse.Namespace) -> None:
    sizes = [*it.history, *([10_000_000] if it.ten_million else [])]
    for history in sizes:
        _ticks(services, record, it, history)


def _ticks(services: Services, record: Recorder, it: argparse.Namespace, history: int) -> None:
    case = f"tick: {it.campaigns:,} campaigns, {history:,} rows of history"
    broker_url = services.virtual_host()
    with closing(services.database()) as database:
        rows.to_plan(database, campaigns=it.campaigns, leads=it.leads, delay_seconds=it.delay)
        past = history // rows.MOVES_OF_A_SENT_EMAIL
        rows.sent_before(database, past, clock.now() - timedelta(days=2))
        database.ask("VACUUM ANALYZE")
        # A statement that takes long is to be measured, not ended.
        environment = services.environment(database.url, broker_url, DATABASE_STATEMENT_TIMEOUT_SECONDS=600)
        with Ticking(services, database, environment) as ticking:
            first = ticking.settle() | {"planned": ticking.planned() - past}
            record.add(f"first plan, beside {history:,} rows of history", first)
            # Ticks also make the new leads searchable, some thousands each.
            until(lambda: not database.one("SELECT count(*) FROM lead_search_backlog"), "searchable leads", 600)
            database.ask(POSTPONE)
            database.ask("VACUUM ANALYZE")
            for number in range(it.ticks):
                planned = ticking.planned()
                with services.cpu_beside(ticking.timekeeper) as cpu:
                    steps = ticking.tick()
                # Around midnight a day more comes within the horizon.
                more = ticking.planned() - planned
                problems = [f"{more} e-mails were planned: not a steady state"] if more else []
                values = {
                    "seconds": sum(steps.values()),
                    **cpu,
                    **steps,
                    "peak_mb": ticking.timekeeper.peak_megabytes(),
                }
                record.add(case, {**values, "problems": problems}, number)
    services.end_virtual_host(broker_url)
