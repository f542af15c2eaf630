"""One run: servers, processes, load, faults, and the quiet afterwards in which everything comes to its end."""

import json
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from cryptography.fernet import Fernet
from dramatiq import Message

import clock
import config
from models import campaigns, database, migrate, overview
from models.states import Status
from models.tables import Campaign
from tests.chaos import load, oracle, schedule
from tests.chaos.oracle import Evidence
from tests.chaos.processes import Processes
from tests.chaos.schedule import Deed, Verb
from tests.chaos.servers import Servers
from tests.chaos.strikes import Strikes

_TICK_EVERY_SECONDS = 3.0


def run(seed: int, seconds: float, home: Path) -> Evidence:
    """What came of it, for the oracle. The same is kept below home, beside what the processes logged."""
    _settle_environment(home, seconds)
    plan = load.plan(seed, seconds)
    with Servers(home) as servers:
        _open_database(servers.database_url)
        load.write(plan, servers.proxies["smtp"].port)
        with Processes(servers.environment, home / "processes.log") as processes:
            strikes = Strikes(servers, processes)
            _tell(f"{plan.count} mails of {len(plan.leads)} campaigns, a mail every {plan.delay_seconds:.1f} s of each")
            with _ticking(servers), _owner(schedule.deeds(seconds)):
                strikes.carry_out(schedule.faults(seed, seconds), _tell)
                _tell("the faults are over; everything is whole again")
                stuck = _stuck()
            found = oracle.evidence(servers.smtp, strikes.incidents, stuck)
    _keep(found, home)
    return found


def _settle_environment(home: Path, seconds: float) -> None:
    late = load.late_seconds(seconds)
    values = {
        "PUNKTUAL_DATA_DIR": home,
        "PUNKTUAL_SECRET_KEY": Fernet.generate_key().decode(),
        "PUNKTUAL_LOG_FORMAT": "json",
        "PUNKTUAL_DATABASE_LOCK_TIMEOUT_SECONDS": 3,
        "PUNKTUAL_DATABASE_STATEMENT_TIMEOUT_SECONDS": 6,
        "PUNKTUAL_DATABASE_IDLE_IN_TRANSACTION_SECONDS": 4,
        "PUNKTUAL_BROKER_HEARTBEAT_SECONDS": 5,
        "PUNKTUAL_BROKER_BLOCKED_TIMEOUT_SECONDS": 5,
        "PUNKTUAL_WORKER_PROCESSES": 2,
        "PUNKTUAL_WORKER_THREADS": 4,
        "PUNKTUAL_PLANNING_BUFFER_MINUTES": 2,
        "PUNKTUAL_SENDING_LATE_TOLERANCE_SECONDS": 10,
        "PUNKTUAL_SENDING_CLAIM_LEASE_SECONDS": late // 2 + 5,
        "PUNKTUAL_SENDING_ANSWER_LEASE_SECONDS": late + 25,
        "PUNKTUAL_SENDING_RETRY_FIRST_SECONDS": 2,
        "PUNKTUAL_SENDING_RETRY_FACTOR": 2,
        "PUNKTUAL_SENDING_RETRY_CAP_SECONDS": 10,
        "PUNKTUAL_SMTP_COMMAND_TIMEOUT_SECONDS": late // 3,
        "PUNKTUAL_SMTP_CONVERSATION_TIMEOUT_SECONDS": late // 2,
        "PUNKTUAL_SMTP_ANSWER_TIMEOUT_SECONDS": late + 15,
        "PUNKTUAL_SMTP_HAND_OVER_TO_DOT_SECONDS": 5,
    }
    for name in [name for name in os.environ if name.startswith(config.PREFIX)]:
        del os.environ[name]
    os.environ.update({name: str(value) for name, value in values.items()})


def _open_database(url: str) -> None:
    os.environ["PUNKTUAL_DATABASE_URL"] = url
    config.settings.cache_clear()
    database.open_database("chaos")
    migrate.migrate()


@contextmanager
def _ticking(servers: Servers) -> Iterator[None]:
    """Ask for ticks as owners do, beside periodiq's one a minute, so that a short run sees many."""
    over = threading.Event()

    def tick() -> None:
        while not over.wait(_TICK_EVERY_SECONDS):
            message: Message[None] = Message(queue_name="tick", actor_name="tick", args=(), kwargs={}, options={})
            servers.publish("tick", message.encode())

    with _thread(tick, over):
        yield


@contextmanager
def _owner(deeds: Sequence[Deed]) -> Iterator[None]:
    over, start = threading.Event(), clock.boottime()

    def act() -> None:
        for deed in deeds:
            if over.wait(max(0.0, start + deed.at - clock.boottime())):
                return
            while not _done(deed) and not over.wait(1):
                pass

    with _thread(act, over):
        yield


@contextmanager
def _thread(work: object, over: threading.Event) -> Iterator[None]:
    assert callable(work)
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(30)


def _done(deed: Deed) -> bool:
    """False: the database is away."""
    try:
        campaign_id = campaigns.find(deed.campaign).id
        match deed.verb:
            case Verb.PAUSE:
                campaigns.pause(campaign_id)
            case Verb.RESUME:
                campaigns.resume(campaign_id)
            case Verb.CANCEL:
                campaigns.cancel(campaign_id, "chaos")
    except database.FAILURES:
        return False
    finally:
        database.close()
    _tell(str(deed))
    return True


def _stuck() -> list[str]:
    """Wait until every campaign has come to its end. What those say that have not, when nothing moves any more."""
    # A lost hand-over holds its mailbox until its lease ends, and a tick, a plan and a pause come after it.
    patience = 60 + config.settings().sending.answer_lease_seconds
    left, until = -1, 0.0
    while unfinished := _unfinished():
        if (now_left := sum(_left(it) for it in unfinished)) != left:
            left, until = now_left, clock.boottime() + patience
        elif clock.boottime() > until:
            break
        threading.Event().wait(0.5)
    return [f"{it.name}: {it.saying}, {_left(it)} mails left" for it in unfinished]


def _unfinished() -> list[overview.CampaignLine]:
    database.close()  # the server that it led to may have crashed
    return [it for it in overview.campaigns(list(Campaign.select().order_by(Campaign.id))) if _left(it)]


def _left(it: overview.CampaignLine) -> int:
    """How many of its leads have neither a final nor an unknown mail. A cancelled campaign plans no more of them."""
    planned = sum(it.counts.values())
    unplanned = 0 if it.status == "cancelled" else it.leads - planned
    return unplanned + it.counts[Status.PENDING] + it.counts[Status.SENDING]


def _keep(found: Evidence, home: Path) -> None:
    """What a person would want to look at after a violation."""
    took = [{**asdict(each), "content": each.content.decode("utf-8", "replace")} for each in found.deliveries]
    rows = [{**row.__data__, "recipient": found.recipients[row.id]} for row in found.rows]
    moves = [line.__data__ for lines in found.history.values() for line in lines]
    incidents = [asdict(each) for each in found.incidents]
    for name, lines in (("accepted", took), ("rows", rows), ("history", moves), ("incidents", incidents)):
        text = "".join(json.dumps(line, default=str) + "\n" for line in lines)
        (home / f"{name}.jsonl").write_text(text, encoding="utf-8")


def _tell(line: str) -> None:
    print(f"{clock.now():%H:%M:%S}  {line}", file=sys.stderr, flush=True)
