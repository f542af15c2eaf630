"""Punktual as it is operated: its processes, started by their commands, and what they have done, read from rows."""

import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from bench.processes import Started, started, until
from bench.services import Database, Services

WORKER, TIMEKEEPER, PERIODIQ = "worker", "timekeeper", "periodiq"
_TICK_SECONDS = 1_800.0

UNHINTED = """
SELECT count(*) FROM campaign_email_queue WHERE status = 'pending' AND hinted_for IS DISTINCT FROM scheduled_at
"""


@contextmanager
def running(services: Services, name: str, environment: Mapping[str, str]) -> Iterator[Started]:
    """One of `python -m actors`."""
    with started([sys.executable, "-m", "actors", name], environment, services.log(name)) as process:
        yield process


def hint_all(services: Services, database: Database, environment: Mapping[str, str]) -> None:
    """Let ticks publish a hint for each e-mail, all of which must be due within the buffer horizon."""
    with Ticking(services, database, environment) as ticking:
        while database.one(UNHINTED):
            ticking.tick()


class Ticking:
    """A timekeeper whose ticks are sent one by one, and the time that each step takes, from its metrics page."""

    def __init__(self, services: Services, database: Database, environment: Mapping[str, str]) -> None:
        self._services, self._database, self._environment = services, database, environment
        self._port = environment["PUNKTUAL_METRICS_TIMEKEEPER_PORT"]
        self._open = ExitStack()

    def __enter__(self) -> "Ticking":
        self.timekeeper = self._open.enter_context(running(self._services, TIMEKEEPER, self._environment))
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def tick(self) -> dict[str, float]:
        """One tick: step -> seconds. hint_due runs twice in it."""
        before, last = self._steps(), self._last_tick()
        # periodiq sends a tick when it starts.
        with running(self._services, PERIODIQ, self._environment):
            until(lambda: self._last_tick() != last, "a tick", _TICK_SECONDS)
        return {name: seconds - before.get(name, 0.0) for name, seconds in self._steps().items()}

    def settle(self, most: int = 60) -> list[dict[str, float]]:
        """Ticks until one plans nothing more; all of them."""
        ticks: list[dict[str, float]] = []
        planned = -1
        while planned != (planned := self.planned()):
            if len(ticks) == most:
                raise RuntimeError(f"{most} ticks, and the last one still planned e-mails")
            ticks.append(self.tick())
        return ticks

    def planned(self) -> int:
        return int(self._database.one("SELECT count(*) FROM campaign_email_queue"))

    def _last_tick(self) -> object:
        return self._database.ask("SELECT at FROM heartbeat WHERE name = 'tick'")

    def _steps(self) -> dict[str, float]:
        name = 'punktual_tick_step_seconds_sum{step="'
        lines = _page(self._port).splitlines()
        found = (line.removeprefix(name).split('"} ') for line in lines if line.startswith(name))
        return {step: float(seconds) for step, seconds in found}


def _page(port: str) -> str:
    """The metrics page; empty until it answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
            return bytes(answer.read()).decode()
    except OSError:
        return ""
