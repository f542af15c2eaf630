"""One run: servers, processes, load, faults, and a quiet time at the end in which all e-mails are settled."""

import json
import os
import threading
from dataclasses import asdict
from pathlib import Path

import clock
import config
from models.states import Status
from models.store import database, migrate
from models.store.tables import Campaign
from models.views import overview
from tests.chaos import load, oracle, owner, schedule, settings
from tests.chaos.oracle import Evidence
from tests.chaos.processes import Processes
from tests.chaos.report import tell
from tests.chaos.servers import Servers
from tests.chaos.strikes import Strikes


def run(seed: int, seconds: float, home: Path) -> Evidence:
    """The run's evidence, for the oracle. It is also stored below home, with the processes' logs."""
    settings.settle(home, seconds)
    plan = load.plan(seed, seconds)
    with Servers(home) as servers:
        _open_database(servers.database_url)
        load.write(plan, servers.proxies["smtp"].port)
        with Processes(servers.environment, home / "processes.log") as processes:
            strikes = Strikes(servers, processes)
            tell(f"{plan.count} mails of {len(plan.leads)} campaigns, a mail every {plan.delay_seconds:.1f} s of each")
            with owner.ticking(servers), owner.acting(schedule.deeds(seconds)):
                strikes.carry_out(schedule.faults(seed, seconds), tell)
                tell("the faults are over; everything is whole again")
                stuck = _stuck()
            found = oracle.evidence(servers.smtp, strikes.incidents, stuck)
    _keep(found, home)
    return found


def _open_database(url: str) -> None:
    os.environ["PUNKTUAL_DATABASE_URL"] = url
    config.settings.cache_clear()
    database.open_database("chaos")
    migrate.migrate()


def _stuck() -> list[str]:
    """Wait until every campaign ended or nothing changes any more. Returns the standings of those that did not end."""
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
    unplanned = 0 if it.status == "cancelled" else it.emails - planned
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
