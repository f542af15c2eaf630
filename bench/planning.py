"""How fast the pure planner is, and how much memory it takes; and `campaign forecast` of one large campaign.

`python -m bench.planning CASE` runs one case in a process of its own, and prints its values.
"""

import argparse
import heapq
import json
import os
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import clock
from bench import rows
from bench.processes import cpu_seconds, measured, peak_megabytes, run
from bench.results import Recorder
from bench.services import Services
from scheduling import planner
from scheduling.planner import Campaign, Email, Mailbox, Taken
from scheduling.window import Window

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
WINDOW = Window(9 * 60, 17 * 60, frozenset(range(5)))
_DELAY, _GAP = timedelta(seconds=300), timedelta(seconds=60)
_OF_CAMPAIGN, _OF_MAILBOX = 80, 50  # e-mails a day


@dataclass(frozen=True)
class Size:
    leads: int
    campaigns: int
    mailboxes: int
    each: int  # mailboxes of a campaign

    def __str__(self) -> str:
        return f"{self.leads:,} leads, {self.campaigns:,} campaigns, {self.mailboxes:,} mailboxes, {self.each} each"


SIZES = (Size(100_000, 100, 50, 50), Size(1_000_000, 1_000, 500, 5))
_TINY_SIZES = (Size(400, 4, 4, 4), Size(2_000, 10, 5, 5))
KINDS = ("plan", "top-up", "bare loop")


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--leads", type=int, default=100_000, help="of the campaign that is forecast")


TINY = {"rounds": 1, "leads": 300}


def measure(services: Services, record: Recorder, it: argparse.Namespace) -> None:
    for number in range(it.rounds):
        for size in _TINY_SIZES if it.tiny else SIZES:
            for kind in KINDS:
                numbers = map(str, (size.leads, size.campaigns, size.mailboxes, size.each))
                said = run([sys.executable, "-m", "bench.planning", kind, *numbers], services.environment(""))
                record.add(f"{kind}: {size}", json.loads(said), number)
        record.add(f"campaign forecast: {it.leads:,} leads", forecast(services, it.leads), number)


def forecast(services: Services, leads: int) -> dict[str, Any]:
    with closing(services.database()) as database:
        rows.to_plan(database, campaigns=1, leads=leads * 2 // 3)
        environment = services.environment(database.url)
        command = [sys.executable, "-m", "admin", "campaign", "forecast", "campaign 1"]
        # What the command costs by itself: starting Python, reading settings, connecting.
        start = measured([*command[:4], "list"], environment, services.log("forecast"))
        used = measured(command, environment, services.log("forecast"))
        both = (("seconds", "without_start_s"), ("cpu", "without_start_cpu_s"))
        return {**used, **{name: used[figure] - start[figure] for figure, name in both}}


def situation(size: Size, until: datetime | None) -> tuple[list[Campaign], list[Mailbox]]:
    mailboxes = [
        Mailbox(id=n, daily_limit=_OF_MAILBOX, gap=_GAP, used={}, last_start=None) for n in range(size.mailboxes)
    ]
    per = size.leads // size.campaigns
    campaigns = []
    for n in range(size.campaigns):
        ids = tuple(sorted({(n * size.each + k) % size.mailboxes for k in range(size.each)}))
        emails = [Email(n * per + k, n) for k in range(per)]
        campaigns.append(
            Campaign(
                id=n,
                window=WINDOW,
                delay=_DELAY,
                daily_limit=_OF_CAMPAIGN,
                mailbox_ids=ids,
                used={},
                last_start=None,
                emails=emails,
                until=until,
            )
        )
    return campaigns, mailboxes


def plan(size: Size) -> Callable[[], int]:
    """Prepare planning to the last lead. The function returned plans, and returns the number of slots."""
    campaigns, mailboxes = situation(size, None)
    return lambda: sum(1 for _ in planner.plan(campaigns, mailboxes, [], NOW))


def top_up(size: Size) -> Callable[[], int]:
    """Prepare planning again after everything up to the horizon was planned: nothing is left to place before it."""
    campaigns, mailboxes = situation(size, planner.horizon(WINDOW, NOW, timedelta(hours=24)))
    taken = [Taken(it.campaign_id, it.mailbox_id, it.at) for it in planner.plan(campaigns, mailboxes, [], NOW)]
    counts = Counter(it.campaign_id for it in taken)
    left = [replace(it, emails=it.emails[counts[it.id] :][: 3 * it.daily_limit]) for it in campaigns]
    return lambda: sum(1 for _ in planner.plan(left, mailboxes, taken, NOW))


def bare_loop(size: Size) -> Callable[[], int]:
    """Prepare the yardstick, a planner with a heap, a window in whole seconds, daily limits, and the mailbox with the
    most room; no gaps, no shares, no jitter, no dates.
    """
    day, opening, closing_ = 86_400, WINDOW.start_minute * 60, WINDOW.end_minute * 60
    delay = int(_DELAY.total_seconds())

    def play() -> int:
        waiting = [(opening, n, size.leads // size.campaigns) for n in range(size.campaigns)]
        room: dict[tuple[int, int], int] = {}
        sent: dict[tuple[int, int], int] = {}
        placed = 0
        while waiting:
            at, campaign, left = heapq.heappop(waiting)
            today = at // day
            ids = [(campaign * size.each + k) % size.mailboxes for k in range(size.each)]
            best = max(ids, key=lambda box: room.get((box, today), _OF_MAILBOX))
            used, free = sent.get((campaign, today), 0), room.get((best, today), _OF_MAILBOX)
            if at % day >= closing_ or used >= _OF_CAMPAIGN or not free:
                heapq.heappush(waiting, ((today + 1) * day + opening, campaign, left))
                continue
            sent[campaign, today], room[best, today] = used + 1, free - 1
            placed += 1
            if left > 1:
                heapq.heappush(waiting, (at + delay, campaign, left - 1))
        return placed

    return play


def main() -> None:
    kind, *numbers = sys.argv[1:]
    play = {"plan": plan, "top-up": top_up, "bare loop": bare_loop}[kind](Size(*map(int, numbers)))
    began, cpu = clock.boottime(), cpu_seconds(os.getpid())
    slots = play()
    used = {"seconds": clock.boottime() - began, "cpu": cpu_seconds(os.getpid()) - cpu}
    print(json.dumps({**used, "slots": slots, "peak_mb": peak_megabytes(os.getpid())}))


if __name__ == "__main__":
    main()
