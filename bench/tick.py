"""How long a tick takes in a steady state, by history; and the page Today on a full day, beside a tenth of the rows."""

import argparse
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from statistics import median
from typing import Any

import clock
from bench import rows
from bench.processes import Started, started, until
from bench.product import Ticking
from bench.results import Recorder
from bench.services import Database, Services
from scheduling.window import warsaw_day, warsaw_day_bounds

# What is planned moves beyond the buffer horizon, so that nothing becomes due while ticks are measured.
POSTPONE = """
UPDATE campaign_email_queue SET scheduled_at = scheduled_at + interval '6 hours', hinted_for = NULL
WHERE status = 'pending'
"""
TODAY = {"Today": "/", "Today, around now": "/?show=hour"}
_WEB = [sys.executable, "-m", "web"]
# A quarter of the day's e-mails are in the hour around now. Each campaign has those of the hour or those of the day.
_SHARE_OF_THE_HOUR, _CAMPAIGNS_OF_TODAY = 4, 5


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--campaigns", type=int, default=1000)
    parser.add_argument("--leads", type=int, default=1000, help="of a campaign, on average")
    parser.add_argument("--delay", type=float, default=150.0, help="seconds between two e-mails of a campaign")
    parser.add_argument("--history", nargs="*", type=int, default=[10_000, 1_000_000], metavar="ROWS")
    parser.add_argument("--ten-million", action="store_true", help="also 10,000,000 rows of history")
    parser.add_argument("--ticks", type=int, default=5)
    parser.add_argument("--today", type=int, default=120_000, help="e-mails of the full day")
    parser.add_argument("--past", type=int, default=1_000_000, help="e-mails before the full day")
    parser.add_argument("--requests", type=int, default=15)


TINY = {
    "campaigns": 4,
    "leads": 20,
    "history": [40, 400],
    "ten_million": False,
    "ticks": 2,
    "today": 200,
    "past": 400,
    "requests": 3,
}


def measure(services: Services, record: Recorder, it: argparse.Namespace) -> None:
    sizes = [*it.history, *([10_000_000] if it.ten_million else [])]
    for history in sizes:
        _ticks(services, record, it, history)
    for part, name in ((10, "a tenth of the rows"), (1, "a full day")):
        for page, values in pages(services, it.today // part, it.past // part, it.requests).items():
            record.add(f"{page}: {name}", values)


def _ticks(services: Services, record: Recorder, it: argparse.Namespace, history: int) -> None:
    case = f"tick: {it.campaigns:,} campaigns, {history:,} rows of history"
    broker_url = services.virtual_host()
    with closing(services.database()) as database:
        rows.to_plan(database, campaigns=it.campaigns, leads=it.leads, delay_seconds=it.delay)
        past = history // rows.MOVES_OF_A_SENT_EMAIL
        _sent_before(database, past, clock.now() - timedelta(days=2))
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
                with _cpu(services, ticking.timekeeper) as cpu:
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


@contextmanager
def _cpu(services: Services, process: Started, times: int = 1) -> Iterator[dict[str, float]]:
    """CPU seconds of the process and of Postgres, each time; to be read afterwards."""
    found: dict[str, float] = {}
    before = process.cpu_seconds(), services.postgres_cpu()
    yield found
    own, postgres = process.cpu_seconds() - before[0], services.postgres_cpu() - before[1]
    both = {"cpu": own, "postgres_cpu": postgres, "busy_s": own + postgres}
    found |= {name: seconds / times for name, seconds in both.items()}


def _sent_before(database: Database, emails: int, end: datetime) -> None:
    """During the sixty days before."""
    rows.timeline(database, emails=emails, end=end, apart=timedelta(days=60) / emails, status="completed")


def pages(services: Services, today: int, past: int, requests: int) -> dict[str, dict[str, Any]]:
    """Page -> seconds of an answer."""
    with closing(services.database()) as database:
        rows.to_plan(database, campaigns=20, leads=10)
        now = clock.now()
        midnight, next_midnight = warsaw_day_bounds(warsaw_day(now))
        _sent_before(database, past, midnight)
        in_the_hour = today // _CAMPAIGNS_OF_TODAY // _SHARE_OF_THE_HOUR
        rest = today // _CAMPAIGNS_OF_TODAY - in_the_hour
        hour, day = timedelta(hours=1), next_midnight - midnight
        for _ in range(_CAMPAIGNS_OF_TODAY):
            rows.timeline(database, emails=in_the_hour, end=now + hour / 2, apart=hour / in_the_hour, status="active")
            rows.timeline(database, emails=rest, end=next_midnight, apart=day / rest, status="active")
        database.ask("VACUUM ANALYZE")
        environment = services.environment(database.url)
        with started(_WEB, environment, services.log("web")) as web:
            url = f"http://127.0.0.1:{environment['PUNKTUAL_WEB_PORT']}"
            until(lambda: _answers(url + "/"), "the pages", 120)
            return {name: _page(services, web, url + path, requests) for name, path in TODAY.items()}


def _page(services: Services, web: Started, url: str, requests: int) -> dict[str, Any]:
    _answers(url)  # its sessions are open now
    seconds = []
    size = 0
    with _cpu(services, web, requests) as cpu:
        for _ in range(requests):
            began = clock.boottime()
            size = _answers(url)
            seconds.append(clock.boottime() - began)
    return {"seconds": median(seconds), "worst_s": max(seconds), **cpu, "kilobytes": size / 1000}


def _answers(url: str) -> int:
    """The size of the page in bytes; 0: no answer yet."""
    try:
        with urllib.request.urlopen(url, timeout=120) as answer:
            return len(answer.read())
    except OSError:
        return 0
