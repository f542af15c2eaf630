"""One run: servers, processes, load, faults, and a quiet time at the end in which all e-mails are settled."""

import json
import os
import threading
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import clock
import config
from models.store import database, migrate
from models.views import conversations
from models.views.conversations import Conversation
from tests.chaos import load, oracle, owner, schedule, settings
from tests.chaos.leads import Leads
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
        load.write(plan, servers.proxies["smtp"].port, servers.proxies["imap"].port)
        with Processes(servers.environment, home / "processes.log") as processes:
            strikes = Strikes(servers, processes)
            tell(f"{plan.count} mails of {len(plan.leads)} campaigns, a mail every {plan.delay_seconds:.1f} s of each")
            leads = Leads(servers, plan)
            with owner.ticking(servers), owner.acting(schedule.deeds(seconds)), leads.answering():
                strikes.carry_out(schedule.faults(seed, seconds), tell)
                tell("the faults are over; everything is whole again")
                stuck = _stuck(leads)
            found = oracle.evidence(servers.smtp, strikes.incidents, stuck, leads.answers)
    _keep(found, home)
    return found


def _open_database(url: str) -> None:
    os.environ["PUNKTUAL_DATABASE_URL"] = url
    config.settings.cache_clear()
    database.open_database("chaos")
    migrate.migrate()


def _stuck(leads: Leads) -> list[str]:
    """Wait until every sequence ended and every answer is read, or nothing changes any more.

    Returns the leads whose sequences go on.
    """
    # A lost hand-over holds its mailbox until its lease ends, and a tick, a plan and a pause come after it.
    patience = 60 + config.settings().sending.answer_lease_seconds
    seen, until = None, 0.0
    while (unfinished := _unfinished(leads.addresses)) or not leads.are_read():
        if unfinished != seen:
            seen, until = unfinished, clock.boottime() + patience
        elif clock.boottime() > until:
            break
        threading.Event().wait(0.5)
    return [f"{it.lead} of {it.campaign}: {it.letters}" for it in unfinished]


def _unfinished(addresses: Iterable[str]) -> list[Conversation]:
    """Those of the leads that are to get another letter. An unknown one is not followed."""
    database.close()  # the server that it led to may have crashed
    found = (it for address in addresses for it in conversations.of_person(address))
    return [it for it in found if it.next or it.expected_at or not (it.letters or it.ended)]


def _keep(found: Evidence, home: Path) -> None:
    """What a person would want to look at after a violation."""
    took = [{**asdict(each), "content": each.content.decode("utf-8", "replace")} for each in found.deliveries]
    rows = [{**row.__data__, "recipient": found.recipients[row.id]} for row in found.rows]
    moves = [line.__data__ for lines in found.history.values() for line in lines]
    incidents = [asdict(each) for each in found.incidents]
    for name, lines in (("accepted", took), ("rows", rows), ("history", moves), ("incidents", incidents)):
        text = "".join(json.dumps(line, default=str) + "\n" for line in lines)
        (home / f"{name}.jsonl").write_text(text, encoding="utf-8")
