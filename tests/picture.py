"""`python -m tests.picture docs/today.png`: the picture of Today in the README.

A real day in a minute: the product's own functions plan, send to a mail server on this machine, fail and plan again,
while the clocks of this process and of its database are set from minute to minute. The page is drawn by a browser.
"""

import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from cryptography.fernet import Fernet
from playwright.sync_api import sync_playwright
from werkzeug.serving import make_server

HOME = Path(tempfile.mkdtemp(prefix="punktual-picture-"))
os.environ |= {
    "PUNKTUAL_DATA_DIR": str(HOME),
    "PUNKTUAL_SECRET_KEY": Fernet.generate_key().decode(),
    "PUNKTUAL_LOG_LEVEL": "error",
    "PUNKTUAL_SENDING_REQUIRE_LEGAL_BASIS": "false",
    "PUNKTUAL_SENDING_CLOCK_TOLERANCE_SECONDS": "1e9",
}

import clock  # noqa: E402
import config  # noqa: E402
from actors.deliver import deliver  # noqa: E402
from actors.plan import plan_new, replan  # noqa: E402
from actors.process.broker import Role, build_broker  # noqa: E402
from actors.reconcile import complete, reconcile  # noqa: E402
from models.health import heartbeats  # noqa: E402
from models.owner import campaigns, mailboxes  # noqa: E402
from models.owner.campaigns import NewCampaign, NewLead  # noqa: E402
from models.store import database, embedded, migrate  # noqa: E402
from models.store.tables import Campaign, CampaignEmailQueue  # noqa: E402
from scheduling.window import WARSAW, Window  # noqa: E402
from tests.browser import chromium  # noqa: E402
from tests.smtp_server import SmtpServer  # noqa: E402
from tests.waiting import until  # noqa: E402
from web.app import create_app  # noqa: E402

Q = CampaignEmailQueue
DAY = date(2026, 11, 17)
MINUTE = timedelta(minutes=1)
WORKDAYS = frozenset(range(5))
AWAY = ("10:20", "10:58")  # nothing ran
SLOW = ("12:31", "12:34")  # nothing ran, but not for long: mails keep their times and go late

# From here on every function of ours sees a clock that this process sets.
PRETENDED_CLOCK = """
CREATE SCHEMA pretended;
CREATE TABLE pretended.clock (ahead interval NOT NULL);
INSERT INTO pretended.clock VALUES ('0');
CREATE FUNCTION pretended.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
    RETURN (SELECT pg_catalog.clock_timestamp() + ahead FROM pretended.clock);
DO $$ DECLARE it record; BEGIN
    FOR it IN SELECT table_name, column_name FROM information_schema.columns
        WHERE table_schema = 'public' AND column_default LIKE 'clock_timestamp()%%' LOOP
        EXECUTE format('ALTER TABLE %%I ALTER %%I SET DEFAULT pretended.clock_timestamp()',
                       it.table_name, it.column_name);
    END LOOP;
    EXECUTE format('ALTER DATABASE %%I SET search_path = pretended, pg_catalog, public', current_database());
END $$
"""
_now = clock.now
ahead = timedelta(0)


def set_clocks(to: datetime) -> None:
    global ahead
    ahead = to - _now()
    database.execute("UPDATE pretended.clock SET ahead = %s", (ahead,))


def at(wall: str) -> datetime:
    return datetime.combine(DAY, time.fromisoformat(wall), WARSAW).astimezone(UTC)


@contextmanager
def a_day(smtp: SmtpServer, until_: str) -> Iterator[None]:
    url = embedded.start(HOME / "postgres")
    os.environ["PUNKTUAL_DATABASE_URL"] = url
    config.settings.cache_clear()
    database.open_database("picture")
    migrate.migrate()
    build_broker(Role.EMBEDDED)
    database.execute(PRETENDED_CLOCK)
    database.close()
    clock.now = lambda: _now() + ahead
    try:
        set_clocks(at("07:50"))
        found(smtp.port)
        run(at(until_))
        with being_sent(smtp):
            yield
    finally:
        database.close()
        embedded.stop(HOME / "postgres", "immediate")
        shutil.rmtree(HOME, ignore_errors=True)


def found(port: int) -> None:
    anna, jan, sales = (a_mailbox(f"{name}@kawa-i-ziarno.example", port, limit) for name, limit in
                        (("anna", 120), ("jan", 120), ("sales", 500)))  # fmt: skip
    a_campaign("Cafés, autumn", [anna, jan], 80, Window(9 * 60, 17 * 60, WORKDAYS), 330, asks={5: "550", 23: "451x1"})
    a_campaign("Roastery tours", [sales], 420, Window(8 * 60, 18 * 60, WORKDAYS), 80, asks={150: "drop-after-dot"})
    a_campaign("Office coffee, second letter", [anna, jan], 34, Window(8 * 60, 15 * 60, WORKDAYS), 560, asks={})
    a_campaign("Trade fair guests", [jan], 60, Window(11 * 60, 16 * 60, WORKDAYS), 420, asks={})


def a_mailbox(address: str, port: int, limit: int) -> int:
    return mailboxes.add(
        address=address,
        name=address.partition("@")[0].title(),
        smtp_host="127.0.0.1",
        smtp_port=port,
        smtp_security="none",
        username=None,
        password_encrypted=None,
        daily_limit=limit,
        gap_seconds=20.0,
        by="admin:ola",
    )


def a_campaign(name: str, boxes: list[int], leads: int, window: Window, delay: float, *, asks: dict[int, str]) -> None:
    """asks: number of a lead -> what its server does with the mail."""
    new = NewCampaign(
        name=name,
        subject="{{ company }}, a coffee with us?",
        text="Good morning,\n\nwe roast in Gdynia and would like to send {{ company }} a bag to try.\n\nOla Nowak\n",
        html="<p>Good morning,</p><p>we roast in Gdynia and would like to send <b>{{ company }}</b> a bag to try.</p>",
        mailbox_ids=boxes,
        window=window,
        delay_seconds=delay,
        daily_limit=450,
    )
    places = [f"{asks.get(number, 'office')}+{number}@{word}-{number}.example" for number in range(leads) for word in
              ("bistro",)]  # fmt: skip
    people = [NewLead(each, each, {"email": each, "company": each.partition("@")[2].split(".")[0].title()}, "consent")
              for each in places]  # fmt: skip
    campaigns.start(campaigns.add(new, people, "admin:ola"), "admin:ola")


def run(end: datetime) -> None:
    now = at("07:50")
    while now < end:
        if not any(at(start) <= now < at(stop) for start, stop in (AWAY, SLOW)):
            a_minute(now)
        if now == at("11:48"):
            pause("Trade fair guests")
        now += MINUTE
    set_clocks(end)
    heartbeats.beat("tick")


def a_minute(now: datetime) -> None:
    set_clocks(now)
    for step in (replan, plan_new, reconcile, complete):
        step()
    heartbeats.beat("tick")
    due = Q.select(Q.id, Q.scheduled_at).where(Q.status == "pending", Q.scheduled_at < now + MINUTE)
    for row in due.order_by(Q.scheduled_at):
        set_clocks(max(row.scheduled_at, clock.now()))
        send(row.id, row.scheduled_at)


def send(email_id: int, scheduled_at: datetime) -> None:
    deliver.fn(email_id, round(scheduled_at.timestamp() * 1000))


def pause(name: str) -> None:
    row = Campaign.get(Campaign.name == name)
    campaigns.pause(row.id, "web", "the stand was moved to Thursday")


@contextmanager
def being_sent(smtp: SmtpServer) -> Iterator[None]:
    """A conversation that is going on while one looks."""
    row = (
        Q.select()
        .join(Campaign)
        .where(Q.status == "pending", Campaign.status == "active")
        .order_by(Q.scheduled_at)
        .first()
    )
    set_clocks(row.scheduled_at)
    heartbeats.beat("tick")
    with smtp.holding("dot", row.campaign_lead.address) as held:
        sending = threading.Thread(target=send, args=(row.id, row.scheduled_at))
        sending.start()
        held.wait()
        until(lambda: Q.get_by_id(row.id).status == "sending", "the hand-over")
        yield
    sending.join()


@contextmanager
def served() -> Iterator[str]:
    server = make_server("127.0.0.1", 0, create_app(), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()


def draw(file: Path) -> Callable[[str], None]:
    def drawn(url: str) -> None:
        with sync_playwright() as playwright:
            browser = chromium(playwright)
            page = browser.new_page(viewport={"width": 1200, "height": 640}, locale="en-GB")
            page.goto(url)
            page.wait_for_selector(".connection:not([hidden])")
            page.screenshot(path=file, full_page=True)
            browser.close()

    return drawn


def main(look: Callable[[str], None]) -> None:
    with SmtpServer() as smtp, a_day(smtp, "13:41"), served() as url:
        look(url)


if __name__ == "__main__":
    main(draw(Path(sys.argv[1])))
