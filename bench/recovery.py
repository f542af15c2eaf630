"""After everything was killed: seconds to the first due e-mail, and until every late campaign is planned again.

Worker, timekeeper, periodiq, RabbitMQ and Postgres are killed while e-mails are being sent; their rows and messages are
aged, as if the machine had been off for that long; then everything is started again.
"""

import argparse
import json
from collections.abc import Mapping
from contextlib import ExitStack, closing
from datetime import datetime, timedelta
from math import ceil
from typing import Any

import pika
from dramatiq.common import dq_name

import clock
from actors.queues import DELIVER
from bench import product, receiver, rows
from bench.processes import NotReached, Started, pause, until
from bench.product import Ticking
from bench.results import Recorder
from bench.services import Database, Services
from bench.throughput import SETTINGS

_ALL = (product.WORKER, product.TIMEKEEPER, product.PERIODIQ)
LATE = """
SELECT count(*) FROM campaign_email_queue
WHERE status = 'pending' AND scheduled_at < clock_timestamp() - interval '5 minutes'
"""
# As if nothing had run for so much longer.
OLDER = """
UPDATE campaign_email_queue SET scheduled_at = scheduled_at - %(by)s, hinted_for = hinted_for - %(by)s
WHERE status = 'pending';
UPDATE campaign SET last_start_at = last_start_at - %(by)s;
UPDATE mailbox SET last_start_at = last_start_at - %(by)s
"""
TWICE = """
SELECT count(*) FROM (
    SELECT email_id FROM email_history WHERE move = 'hand_over' GROUP BY email_id HAVING count(*) > 1
) twice
"""
# Of any campaign since the start.
BUSIEST = """
SELECT COALESCE(max(sent), 0) FROM (
    SELECT count(*) AS sent FROM campaign_email_queue WHERE sent_at > %(since)s
    GROUP BY campaign_id, date_trunc('minute', sent_at)
) minutes
"""


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--campaigns", type=int, default=1000)
    parser.add_argument("--leads", type=int, default=200, help="of a campaign, on average")
    parser.add_argument("--delay", type=float, default=120.0, help="seconds between two e-mails of a campaign")
    parser.add_argument("--before", type=float, default=90.0, help="seconds of sending before everything is killed")
    parser.add_argument("--down", type=float, default=600.0, help="seconds that nothing seems to have run")
    parser.add_argument("--patience", type=float, default=900.0, help="seconds to wait for a full plan")


TINY = {"campaigns": 4, "leads": 30, "delay": 20.0, "before": 10.0, "patience": 300.0}


def measure(services: Services, record: Recorder, it: argparse.Namespace) -> None:
    broker_url = services.virtual_host()
    with closing(services.database()) as database, receiver.fastest(services) as receiving:
        rows.to_plan(
            database, campaigns=it.campaigns, leads=it.leads, port=receiving.port, delay_seconds=it.delay,
            daily_limit=1_000,
        )  # fmt: skip
        environment = services.environment(database.url, broker_url, **SETTINGS)
        # The first start: nothing is planned yet.
        record.add("first start", _started(services, database, environment, it))
        with Ticking(services, database, environment) as ticking:
            ticking.settle()
        _send_for_a_while(services, database, environment, it.before)
        services.kill()
        services.start()
        with closing(services.again(database)) as after:
            after.ask(OLDER, {"by": timedelta(seconds=it.down)})
            after.ask("VACUUM ANALYZE")
        _make_messages_older(broker_url, it.down)
        services.kill()
        record.add(f"after {it.down:g} s of downtime", _recovered(services, database, environment, it, receiving))
    services.end_virtual_host(broker_url)


def _started(
    services: Services, database: Database, environment: Mapping[str, str], it: argparse.Namespace
) -> dict[str, Any]:
    """Measure the time from the start to the first e-mail of campaigns of which nothing is planned yet."""
    began, since = clock.boottime(), clock.now()
    with ExitStack() as stack:
        for name in _ALL:
            stack.enter_context(product.running(services, name, environment))
        return {"first_email_s": _first_email(database, since, began, it.patience)}


def _send_for_a_while(services: Services, database: Database, environment: Mapping[str, str], seconds: float) -> None:
    """Send for so many seconds after the first e-mail, then end all processes by SIGKILL."""
    crew: list[Started] = []
    with ExitStack() as stack:
        crew += [stack.enter_context(product.running(services, name, environment)) for name in _ALL]
        _first_email(database, clock.now(), clock.boottime(), 600)
        pause(seconds)
        for each in crew:
            each.kill()


def _make_messages_older(broker_url: str, seconds: float) -> None:
    """Move the times in the hints that RabbitMQ has kept into the past."""
    by = round(seconds * 1000)
    with pika.BlockingConnection(pika.URLParameters(broker_url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        for queue in (DELIVER, dq_name(DELIVER)):
            for _ in range(channel.queue_declare(queue, passive=True).method.message_count):
                found, properties, body = channel.basic_get(queue)
                message = json.loads(body)
                email_id, scheduled_at = message["args"]
                message["args"] = email_id, scheduled_at - by
                if "eta" in message["options"]:
                    message["options"]["eta"] -= by
                channel.basic_publish("", queue, json.dumps(message).encode(), properties)
                channel.basic_ack(found.delivery_tag)


def _first_email(database: Database, since: datetime, began: float, patience: float) -> float:
    query = "SELECT true FROM campaign_email_queue WHERE sent_at > %s LIMIT 1"
    until(lambda: database.ask(query, (since,)), "the first e-mail", patience)
    return clock.boottime() - began


def _recovered(
    services: Services,
    before: Database,
    environment: Mapping[str, str],
    it: argparse.Namespace,
    receiving: receiver.Receiver,
) -> dict[str, Any]:
    began, since = clock.boottime(), clock.now()
    services.start()
    found: dict[str, Any] = {"servers_s": clock.boottime() - began}
    problems: list[str] = []
    with closing(services.again(before)) as database, ExitStack() as stack:
        found["late"] = database.one(LATE)
        began = clock.boottime()
        for name in _ALL:
            stack.enter_context(product.running(services, name, environment))
        try:
            found["first_email_s"] = _first_email(database, since, began, it.patience)
            until(lambda: database.one(LATE) == 0, "a plan of all", it.patience, every=0.2)
            found["all_planned_s"] = clock.boottime() - began
            # What moved goes out at each campaign's pace.
            pause(max(90 - (clock.boottime() - began), 0))
        except NotReached as failure:
            problems.append(str(failure))
        stack.close()
        found["busiest_minute_of_a_campaign"] = database.one(BUSIEST, {"since": since})
        found["moved"] = database.one("SELECT count(*) FROM email_history WHERE move = 'replan'")
        # A delay varies by 20 %, and an answer may take a moment.
        if found["busiest_minute_of_a_campaign"] > ceil(60 / (0.8 * it.delay)) + 1:
            problems.append("a burst: a campaign sent more in a minute than its delay allows")
        if twice := database.one(TWICE):
            problems.append(f"{twice} handed over twice")
        accepted, known = receiving.finish(), database.one("SELECT count(*) FROM email_history WHERE move = 'accept'")
        unknown = database.one("SELECT count(*) FROM campaign_email_queue WHERE status IN ('unknown', 'sending')")
        if not known <= accepted <= known + unknown:
            problems.append(f"the receiver accepted {accepted}, the rows know of {known} and {unknown} in doubt")
    return {**found, "unknown": unknown, "problems": problems}
