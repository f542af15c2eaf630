"""How long a tick takes in a steady state, by history; and the page Today on a full day, beside a tenth of the rows."""

import argparse
import sys
import urllib.request
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime, timedelta
from statistics import median
from typing import Any

import clock
from bench import rows
from bench.processes import started, until
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
_SHARE_OF_THE_HOUR = 4  # a quarter of the day's e-mails, in the last hour


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--campaigns", type=int, default=1000)
    parser.add_argument("--leads", type=int, default=1000, help="of a campaign, on average")
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
        rows.to_plan(database, campaigns=it.campaigns, leads=it.leads)
        past = history // rows.MOVES_OF_A_PAST_EMAIL
        _past(database, emails=past, end=clock.now() - timedelta(days=2), days=60)
        # A statement that takes long is to be measured, not ended.
        environment = services.environment(database.url, broker_url, DATABASE_STATEMENT_TIMEOUT_SECONDS=600)
        with Ticking(services, database, environment) as ticking:
            first = ticking.settle()
            record.add(f"first plan, beside {history:,} rows of history", _first(first, ticking.planned() - past))
            database.ask(POSTPONE)
            database.ask("VACUUM ANALYZE")
            for number in range(it.ticks):
                planned, steps = ticking.planned(), ticking.tick()
                # Around midnight a day more comes within the horizon.
                more = ticking.planned() - planned
                problems = [f"{more} e-mails were planned: not a steady state"] if more else []
                values = {"seconds": sum(steps.values()), **steps, "peak_mb": ticking.timekeeper.peak_megabytes()}
                record.add(case, {**values, "problems": problems}, number)
    services.end_virtual_host(broker_url)


def _first(ticks: Sequence[dict[str, float]], planned: int) -> dict[str, Any]:
    return {"seconds": sum(sum(each.values()) for each in ticks), "ticks": len(ticks), "planned": planned}


def _past(database: Database, *, emails: int, end: datetime, days: int) -> None:
    if emails:
        rows.past(database, emails=emails, end=end, apart=timedelta(days=days) / emails)


def pages(services: Services, today: int, past: int, requests: int) -> dict[str, dict[str, Any]]:
    """Page -> seconds of an answer."""
    with closing(services.database()) as database:
        rows.to_plan(database, campaigns=20, leads=10)
        now = clock.now()
        _past(database, emails=past, end=now - timedelta(days=1), days=60)
        in_the_hour = today // _SHARE_OF_THE_HOUR
        rows.past(database, emails=in_the_hour, end=now, apart=timedelta(hours=1) / in_the_hour)
        rest = today - in_the_hour
        rows.past(database, emails=rest, end=now - timedelta(hours=1), apart=_since_midnight(now) / rest)
        # A campaign that has ended has no line of its own on the page.
        database.ask("UPDATE campaign SET status = 'active' WHERE status = 'completed'")
        environment = services.environment(database.url)
        with started(_WEB, environment, services.log("web")):
            url = f"http://127.0.0.1:{environment['PUNKTUAL_WEB_PORT']}"
            until(lambda: _answers(url + "/"), "the pages", 120)
            return {name: _page(url + path, requests) for name, path in TODAY.items()}


def _since_midnight(now: datetime) -> timedelta:
    """From the Warsaw day's start to an hour ago, or an hour if that is less."""
    starts, _ = warsaw_day_bounds(warsaw_day(now))
    return max(now - timedelta(hours=1) - starts, timedelta(hours=1))


def _page(url: str, requests: int) -> dict[str, Any]:
    seconds = []
    size = 0
    for _ in range(requests):
        began = clock.boottime()
        size = _answers(url)
        seconds.append(clock.boottime() - began)
    return {"seconds": median(seconds), "worst_s": max(seconds), "kilobytes": size / 1000}


def _answers(url: str) -> int:
    """The size of the page in bytes; 0: no answer yet."""
    try:
        with urllib.request.urlopen(url, timeout=120) as answer:
            return len(answer.read())
    except OSError:
        return 0
