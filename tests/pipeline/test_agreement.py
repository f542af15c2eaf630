"""One truth: pages, API, metrics and the admin script say the same of the same running data."""

import json
import sys
import urllib.request
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, sync_playwright

from models.owner import mailboxes
from models.states import Status
from models.store.database import clock
from scheduling.window import warsaw_day
from tests import factories as make
from tests.browser import chromium, looking
from tests.forking import admin
from tests.pipeline.conftest import Punktual
from tests.scraping import free_port, named, scrape
from tests.waiting import BOUND, until

# What has one number in each place, whoever tells it.
Figures = dict[str, int]
LEADS = ["1@leads.example", "550@leads.example", "drop-after-dot@leads.example", "4@leads.example", "5@leads.example"]


@pytest.fixture
def port(punktual: Punktual) -> int:
    """Of the pages. Everything runs: a mail was sent, one refused, of one nobody knows, two are still to come."""
    mailbox_id = punktual.mailbox(daily_limit=40)
    mailboxes.record_warmup(mailbox_id, warsaw_day(clock()), 7, "tests")
    campaign_id = make.a_campaign([mailbox_id], leads=LEADS, delay=1.0)
    at, later = make.now(), timedelta(hours=2)
    ids = make.planned(campaign_id, mailbox_id, at, at, at, at + later, at + later + timedelta(minutes=1))
    found = free_port()
    punktual.run("worker")
    punktual.run("timekeeper")
    punktual.start([sys.executable, "-m", "web"], PUNKTUAL_WEB_PORT=str(found))
    punktual.listening("deliver", "deliver.DQ", "tick")
    punktual.tick()
    ends = [Status.SENT, Status.FAILED, Status.UNKNOWN]
    until(lambda: [make.row(email_id).status for email_id in ids[:3]] == ends, "each mail's end")
    until(lambda: scrape(found), "the pages")
    return found


def test_all_places_tell_the_same_figures(punktual: Punktual, port: int) -> None:
    told = {"rows": by_rows(), "admin": by_admin(punktual), "api": by_api(port), "metrics": by_metrics(port)}
    with sync_playwright() as playwright, looking(chromium(playwright), f"http://127.0.0.1:{port}") as person:
        told["pages"] = by_pages(person.page)

    counts = {"pending": 2, "sending": 0, "sent": 1, "failed": 1, "cancelled": 0, "unknown": 1}
    assert told["rows"] == {**counts, "used_today": 9, "limit": 40}
    assert {place: figures for place, figures in told.items() if figures != told["rows"]} == {}


def by_rows() -> Figures:
    """Counted here by hand, not by the product."""
    rows = [make.row(email_id) for email_id in range(1, len(LEADS) + 1)]
    counts = {str(status): sum(row.status == status for row in rows) for status in Status}
    [box] = mailboxes.every()
    return {**counts, "used_today": 7 + counts["sent"] + counts["unknown"], "limit": box.daily_limit}


def by_admin(punktual: Punktual) -> Figures:
    said = json.loads(admin("status", "--json", **punktual.environment).stdout)
    [campaign], [box] = said["campaigns"], said["mailboxes"]
    assert campaign["counts"] == said["emails"]
    return {**said["emails"], "used_today": box["used_today"], "limit": box["daily_limit"]}


def by_api(port: int) -> Figures:
    counts, box = asked(port, "counts"), asked(port, "mailboxes")[0]
    assert asked(port, "campaigns/1")["counts"] == counts
    assert len(asked(port, "unknown")) == counts["unknown"]
    return {**counts, "used_today": box["used_today"], "limit": box["daily_limit"]}


def asked(port: int, what: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/{what}", timeout=BOUND) as answer:
        return json.load(answer)


def by_metrics(port: int) -> Figures:
    page = scrape(port)
    used = [page[named("punktual_mailbox_used_emails", mailbox=1, kind=kind)] for kind in ("campaign", "warmup")]
    counts = {str(status): page[named("punktual_emails", campaign=1, status=status)] for status in Status}
    assert page["punktual_unknown_outcomes"] == counts["unknown"]
    figures = {**counts, "used_today": sum(used), "limit": page[named("punktual_mailbox_limit_emails", mailbox=1)]}
    return {name: int(value) for name, value in figures.items()}


def by_pages(page: Page) -> Figures:
    page.goto("/campaigns/1")
    counts = {str(status): number(page, f".figures .{status} dd") for status in Status}
    page.goto("/unknown")
    assert page.locator("form.ruling").count() == counts["unknown"]
    page.goto("/mailboxes")
    used, limit = page.locator(".usage p").inner_text().removesuffix("today").split("/")
    return {**counts, "used_today": int(used), "limit": int(limit)}


def number(page: Page, place: str) -> int:
    return int(page.locator(place).inner_text())
