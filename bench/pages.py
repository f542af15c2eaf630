"""How long the page Today takes on a full day, beside a tenth of the rows."""

import argparse
import sys
import urllib.request
from contextlib import closing
from datetime import timedelta
from statistics import median
from typing import Any

import clock
from bench import rows
from bench.processes import Started, started, until
from bench.results import Recorder
from bench.services import Services
from scheduling.window import warsaw_day, warsaw_day_bounds

TODAY = {"Today": "/", "Today, around now": "/?show=hour"}
FULL, TENTH = "a full day", "a tenth of the rows"
_WEB = [sys.executable, "-m", "web"]
# A quarter of the day's e-mails are in the hour around now. Each campaign has those of the hour or those of the day.
_SHARE_OF_THE_HOUR, _CAMPAIGNS_OF_TODAY = 4, 5


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--today", type=int, default=60_000, help="e-mails of the full day")
    parser.add_argument("--past", type=int, default=200_000, help="e-mails before the full day")
    parser.add_argument("--requests", type=int, default=15)
    parser.add_argument("--rounds", type=int, default=3)


TINY = {"today": 200, "past": 400, "requests": 3, "rounds": 1}


def measure(services: Services, record: Recorder, it: argparse.Namespace) -> None:
    for number in range(it.rounds):
        for part, name in ((10, TENTH), (1, FULL)):
            for page, values in pages(services, it.today // part, it.past // part, it.requests).items():
                record.add(f"{page}: {name}", values, number)


def pages(services: Services, today: int, past: int, requests: int) -> dict[str, dict[str, Any]]:
    """Measure each page. Returns page -> seconds, CPU seconds and kilobytes of an answer."""
    with closing(services.database()) as database:
        rows.to_plan(database, campaigns=20, leads=10)
        now = clock.now()
        midnight, next_midnight = warsaw_day_bounds(warsaw_day(now))
        rows.sent_before(database, past, midnight)
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
    with services.cpu_beside(web, requests) as cpu:
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
