"""One truth: pages, API, metrics and the admin script say the same of the same running data."""

import json
import re
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from playwright.sync_api import Page, sync_playwright

from mail.message import own_id
from models.email import moves
from models.health import domains, invariants
from models.inbox import looks
from models.owner import mailboxes, notices
from models.people import suppressions, unsubscribing
from models.states import Status
from models.store.database import clock
from models.store.tables import CampaignEmailQueue, CampaignLead, Hold, Incoming
from reasons import Code, Reason
from scheduling.window import warsaw_day
from tests import factories as make
from tests.browser import chromium, looking
from tests.forking import admin
from tests.pipeline.conftest import Punktual
from tests.scraping import free_port, named, scrape
from tests.waiting import BOUND, until
from tests.web.conftest import Served

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
    punktual.fork("web", PUNKTUAL_WEB_PORT=str(found))
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


RESPONSES = {
    "replied": 2,
    "automatic": 3,
    "unclear": 1,
    "bounced_address": 2,
    "bounced_policy": 1,
    "bounced_temporary": 1,
    # By mail and on the page. A lead who replied and was then held is stopped; the one who left waits for a person.
    "unsubscribed": 2,
    "complained": 1,
    "held": 3,
    "stopped": 2,
}
NEEDS = {"to_judge": 2, "unknown": 0, "problems": 3}


class TestWhatCameBack:
    @pytest.fixture
    def served(self, db: None, tmp_path: Path) -> Iterator[Served]:
        running = Served(tmp_path / "web.log")
        yield running
        running.end()

    @pytest.fixture
    def ids(self, db: None) -> list[int]:
        """The e-mails of a campaign of 14 leads, of whom 12 responded, some of them twice."""
        mailbox_id = make.a_listening_mailbox(daily_limit=40)
        campaign_id = make.a_campaign([mailbox_id], leads=14, delay=0.001)
        ids = []
        for _ in range(14):
            ids += make.planned(campaign_id, mailbox_id, make.now())
            make.rested(campaign_id)
            moves.accept(make.handed_over(ids[-1]).held, make.YES)
        for number, class_, kind in (
            *((0, "human", None), (0, "human", None), (1, "automatic", None), (1, "human", None)),
            *((2, "automatic", None), (3, "unclear", None), (4, "bounce", "address"), (5, "bounce", "address")),
            *((6, "bounce", "policy"), (7, "bounce", "temporary"), (8, "unsubscribe", None), (10, "complaint", None)),
            (11, "automatic", "gone"),
        ):
            make.came_back(ids[number], class_, kind)
        assert unsubscribing.unsubscribe(UUID(own_id(make.row(ids[9]).message_id)), "a test")
        looks.ask(mailbox_id)
        look = looks.claim_due()
        assert look is not None
        looks.fail(look, "login", "NO wrong password")
        for failed in range(3):
            looks.fail(look, "login", f"NO wrong password {failed}")
        domains.keep("sender.example", [("spf", "missing", Reason(Code.SPF_MISSING, domain="sender.example"))])
        return ids

    def test_is_told_alike_everywhere(self, ids: list[int], served: Served) -> None:
        told = {"rows": self.by_rows(), "admin": self.by_admin(), "api": self.by_api(served.port)}
        told["metrics"] = self.by_metrics(served.port)
        with sync_playwright() as playwright, looking(chromium(playwright), served.url) as person:
            told["pages"] = self.by_pages(person.page)
            self.reasons_are_shown(person.page, ids)

        assert told["rows"] == RESPONSES | NEEDS
        assert {place: figures for place, figures in told.items() if figures != told["rows"]} == {}
        assert [it.rule for it in invariants.check() if not it.holds] == []

    def by_rows(self) -> Figures:
        """Counted here by hand, not by the product."""
        messages = list(Incoming.select())
        suppressed = {it.address: str(it.reason) for it in suppressions.every()}

        def leads(class_: str, kind: str | None = None) -> int:
            return len({it.lead_id for it in messages if it.class_ == class_ and kind in (None, it.kind)})

        stops = {it.lead_id for it in Hold.select() if it.stops}
        held = {it.lead_id for it in Hold.select() if not it.stops} - stops
        told = {(it.kind, it.count) for it in notices.causes()}
        assert told == {("unclear", 2), ("complaint", 1), ("inbox", 1), ("domain", 1)}
        return {
            "replied": leads("human"),
            "automatic": leads("automatic"),
            "unclear": leads("unclear"),
            **{f"bounced_{kind}": leads("bounce", kind) for kind in ("address", "policy", "temporary")},
            "unsubscribed": sum("unsubscribed" in why or "asked not" in why for why in suppressed.values()),
            "complained": sum("spam" in why for why in suppressed.values()),
            "held": len(held),
            "stopped": len(stops),
            "to_judge": sum(it.class_ == "unclear" or it.kind == "gone" for it in messages),
            "unknown": sum(row.status == Status.UNKNOWN for row in CampaignEmailQueue.select()),
            "problems": len(told - {("unclear", 2)}),
        }

    def by_admin(self) -> Figures:
        said = json.loads(admin("status", "--json").stdout)
        [campaign], [box] = said["campaigns"], said["mailboxes"]
        assert campaign["responses"] == box["responses"]
        assert box["inbox"]["failures"] == 4
        lines = json.loads(admin("incoming", "list", "--json").stdout)
        to_judge = sum(it["needs_a_person"] for it in lines)
        return {**campaign["responses"], **NEEDS, "to_judge": to_judge}

    def by_api(self, port: int) -> Figures:
        campaign, box, needs = asked(port, "campaigns/1"), asked(port, "mailboxes/1"), asked(port, "needs-you")
        assert campaign["responses"] == box["responses"]
        assert [it["campaign"]["responses"] for it in asked(port, "today")["lines"]] == [campaign["responses"]]
        assert (box["inbox"]["failures"], box["inbox"]["failed_reason"]) == (4, "NO wrong password 2")
        assert len(needs["messages"]) == needs["to_judge"]
        assert sum(it["needs_a_person"] for it in asked(port, "incoming?limit=200")) == needs["to_judge"]
        held = {it["lead"]: it["stops"] for it in reversed(asked(port, "holds"))}
        assert (campaign["responses"]["held"], campaign["responses"]["stopped"]) == (
            sum(not stops for stops in held.values()),
            sum(held.values()),
        )
        return {
            **campaign["responses"],
            "to_judge": needs["to_judge"],
            "unknown": needs["unknown"],
            "problems": len(needs["problems"]),
        }

    def by_metrics(self, port: int) -> Figures:
        page = scrape(port)
        assert page[named("punktual_inbox_failed_looks", mailbox=1)] == 4
        assert page[named("punktual_inbox_read_timestamp_seconds", mailbox=1)] == 0
        counts = {name: int(page[named("punktual_responses_leads", campaign=1, response=name)]) for name in RESPONSES}
        return {**counts, **NEEDS, "to_judge": int(page["punktual_messages_to_judge"])}

    def by_pages(self, page: Page) -> Figures:
        page.goto("/campaigns/1")
        counts = {name: number(page, f".figures .{name} dd") for name in RESPONSES}
        for path in ("/", "/campaigns", "/mailboxes"):
            page.goto(path)
            texts = {name: page.locator(f".response.{name}").inner_text() for name in RESPONSES}
            assert {name: int(re.sub(r"\D", "", text)) for name, text in texts.items()} == counts
        page.goto("/needs-you")
        places = {"to_judge": "form.judge", "unknown": ".needs .unknown", "problems": ".needs li"}
        needs = {name: page.locator(place).count() for name, place in places.items()}
        assert number(page, "nav .count") == needs["to_judge"] + needs["problems"]
        return {**counts, **needs}

    def reasons_are_shown(self, page: Page, ids: list[int]) -> None:
        for number, reason in (
            (0, "the lead replied"),
            (2, "an automatic reply names no date"),
            (3, "a reply waits for a person to judge it"),
            (4, "the address bounced"),
            (8, "the lead asked not to be written to"),
            (9, "unsubscribed"),
            (10, "the lead marked an e-mail as spam"),
            (11, "an automatic reply says that the person has left"),
        ):
            page.goto(f"/emails/{ids[number]}")
            assert reason in page.locator(".left-alone").inner_text()
            page.goto(f"/find?address={CampaignLead.get_by_id(make.row(ids[number]).campaign_lead_id).address}")
            assert reason in page.locator(".left-alone").inner_text()
