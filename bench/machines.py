"""Workers on three machines on a network of their own, of which one is cut off at a chosen moment while it sends.

Nothing may be sent twice or lost, and the others must go on. The machine is connected again later. Needs root.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

import clock
from bench import network, product, rows
from bench.figures import quantile
from bench.network import Machine, Network, Relay
from bench.processes import NotReached, pause, started, until
from bench.receiver import OwnReceiver
from bench.recovery import TWICE
from bench.results import Recorder
from bench.rivals.running import name_of, socket_of
from bench.services import Services

_CLAIM = b"EXECUTE claim ("


class Moment:
    """Cuts off a machine at a moment of one of its e-mails, which is seen in what it sends."""

    def __init__(self, seen: Callable[[str, bytes], bool], *, arrives: bool) -> None:
        """seen: service and data -> whether it is the moment. arrives: whether that data is still delivered."""
        self._seen, self._arrives = seen, arrives
        self.victim: Machine | None = None  # None: not yet
        self.at: datetime | None = None  # when it was cut off

    def watch(self, service: str) -> network.Watch:
        def arrives(address: str, data: bytes) -> bool:
            if self.victim is None or address != self.victim.address or self.at or not self._seen(service, data):
                return True
            self.victim.cut_off()
            self.at = clock.now()
            return self._arrives

        return arrives


def _is_claim(service: str, data: bytes) -> bool:
    return service == "postgres" and _CLAIM in data


def _is_dot(service: str, data: bytes) -> bool:
    return service == "smtp" and data.endswith(b".\r\n")


# Case -> the moment. The final dot is written by itself, and a claim in one packet with its COMMIT.
MOMENTS: dict[str, Callable[[], Moment]] = {
    "before a claim's commit": lambda: Moment(_is_claim, arrives=False),
    "after a claim's commit": lambda: Moment(_is_claim, arrives=True),
    "between hand-over and dot": lambda: Moment(_is_dot, arrives=False),
    "between dot and answer": lambda: Moment(_is_dot, arrives=True),
}
# What a machine that was cut off holds is given up within a minute, and not after minutes as by default.
_SETTINGS = {
    "SENDING_SMTP_HOST_CONCURRENCY": 1000,
    "SENDING_CLAIM_LEASE_SECONDS": 30,
    "SENDING_ANSWER_LEASE_SECONDS": 60,
    "SMTP_COMMAND_TIMEOUT_SECONDS": 10,
    "SMTP_CONVERSATION_TIMEOUT_SECONDS": 20,
    "SMTP_ANSWER_TIMEOUT_SECONDS": 20,
    "WORKER_PROCESSES": 1,
    "WORKER_THREADS": 4,
}
_UNFINISHED = "SELECT count(*) FROM campaign_email_queue WHERE status IN ('pending', 'sending')"


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--machines", type=int, default=3)
    parser.add_argument("--rate", type=float, default=10, help="e-mails a second")
    parser.add_argument("--seconds", type=float, default=90)
    parser.add_argument("--cut-off", type=float, default=40, help="seconds until the machine is connected again")
    parser.add_argument("--patience", type=float, default=240, help="seconds to wait for the last e-mail")
    parser.add_argument("--only", nargs="*", default=list(MOMENTS), choices=list(MOMENTS), metavar="CASE")


TINY = {"machines": 2, "rate": 5, "seconds": 20, "cut_off": 10, "only": ["between dot and answer"]}


def measure(services: Services, record: Recorder, it: argparse.Namespace) -> None:
    for case in it.only:
        if why := network.why_not():
            record.skip(case, why)
        else:
            record.add(case, _cut(services, MOMENTS[case](), it))


def _cut(services: Services, moment: Moment, it: argparse.Namespace) -> dict[str, Any]:
    broker_url = services.virtual_host()
    with ExitStack() as stack:
        database = stack.enter_context(closing(services.database()))
        receiving = stack.enter_context(OwnReceiver(services))
        switch = stack.enter_context(Network(it.machines))

        def relay(service: str, upstream: network.Upstream) -> int:
            return stack.enter_context(Relay(switch.address, upstream, moment.watch(service))).port

        broker = urlsplit(broker_url)
        smtp_port = relay("smtp", ("127.0.0.1", receiving.port))
        login = f"guest:guest@{switch.address}:{relay('rabbitmq', ('127.0.0.1', broker.port or 5672))}"
        postgres = f"{switch.address}:{relay('postgres', socket_of(database.url))}/{name_of(database.url)}"
        begin = clock.now().replace(microsecond=0) + timedelta(seconds=50)
        count, apart = round(it.rate * it.seconds), timedelta(seconds=1 / it.rate)
        rows.due(database, emails=count, campaigns=100, mailboxes=count, port=smtp_port, begin=begin, apart=apart)
        database.ask("UPDATE mailbox SET smtp_host = %s", (switch.address,))
        # Everything but the workers runs beside the servers.
        here = services.environment(database.url, broker_url, **_SETTINGS)
        for machine in switch.machines:
            environment = services.environment(
                f"postgresql://postgres@{postgres}?sslmode=disable&gssencmode=disable",
                urlunsplit(broker._replace(netloc=login)),
                **_SETTINGS,
            )
            command = machine.command([sys.executable, "-m", "actors", "worker"])
            stack.enter_context(started(command, environment, services.log(machine.name)))
        product.hint_all(services, database, here)
        for name in (product.TIMEKEEPER, product.PERIODIQ):
            stack.enter_context(product.running(services, name, here))
        _wait_until(begin + timedelta(seconds=it.seconds / 4))
        moment.victim = victim = switch.machines[0]
        try:
            until(lambda: moment.at, "the moment to cut the machine off", it.seconds)
            pause(it.cut_off)
            victim.connect()
            connected_at = clock.now()
            _wait_until(begin + timedelta(seconds=it.seconds))
            until(lambda: database.one(_UNFINISHED) == 0, "the last e-mail", it.patience, every=0.5)
        except NotReached as failure:
            return {"problems": [str(failure)]}
        assert moment.at is not None
        emails = [Row(*each) for each in database.ask(EMAILS)]
        found = judged(emails, receiving.dots(), victim.name, moment.at, connected_at)
        if twice := database.one(TWICE):
            found["problems"].append(f"{twice} handed over twice")
    services.end_virtual_host(broker_url)
    return found


EMAILS = """
SELECT l.address, q.status, q.scheduled_at, q.sent_at, q.worker_host
FROM campaign_email_queue q JOIN campaign_lead l ON l.id = q.campaign_lead_id
"""


class Row(NamedTuple):
    """An e-mail's row at the end of the run."""

    recipient: str
    status: str
    scheduled_at: datetime
    sent_at: datetime | None
    host: str | None


def judged(
    emails: Sequence[Row], dots: Sequence[tuple[str, float]], victim: str, cut_at: datetime, connected_at: datetime
) -> dict[str, Any]:
    """What rows and receiver say in the end, and how many were received while the machine was cut off.

    dots: recipient and time (seconds since the epoch) of each received e-mail. victim: the machine's name.
    """
    due = {it.recipient: it.scheduled_at.timestamp() for it in emails}
    received = Counter(recipient for recipient, _ in dots)
    statuses = Counter(it.status for it in emails)
    late = [(at - due[recipient]) * 1000 for recipient, at in dots]
    meanwhile = sum(cut_at.timestamp() < at < connected_at.timestamp() for _, at in dots)
    after = sum(it.host == victim and it.sent_at is not None and it.sent_at > connected_at for it in emails)
    words = {
        "received twice": sum(count > 1 for count in received.values()),
        "sent, but not received": sum(it.status == "sent" and not received[it.recipient] for it in emails),
        "neither sent nor unknown": len(emails) - statuses["sent"] - statuses["unknown"],
        "early": sum(it < 0 for it in late),
    }
    problems = [f"{count} {word}" for word, count in words.items() if count]
    if not after:
        problems.append("the machine sent nothing after it was connected again")
    return {
        "emails": len(emails),
        "unknown": statuses["unknown"],
        "rate": meanwhile / (connected_at - cut_at).total_seconds(),
        "after": after,
        "p50_ms": quantile(late, 0.5),
        "p90_ms": quantile(late, 0.9),
        "max_ms": max(late),
        "problems": problems,
    }


def _wait_until(moment: datetime) -> None:
    pause(max((moment - clock.now()).total_seconds(), 0))
