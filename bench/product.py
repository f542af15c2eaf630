"""Punktual as it is operated: its processes, started by their commands, and what rows and metrics tell of them."""

import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from actors.tick import STEPS
from bench.processes import Started, pause, started, until
from bench.services import Database, Services

WORKER, TIMEKEEPER, PERIODIQ = "worker", "timekeeper", "periodiq"
_TICK_SECONDS = 1_800.0

UNHINTED = """
SELECT count(*) FROM campaign_email_queue WHERE status = 'pending' AND hinted_for IS DISTINCT FROM scheduled_at
"""


@contextmanager
def running(services: Services, name: str, environment: Mapping[str, str]) -> Iterator[Started]:
    """Run one process of `python -m actors` until the block ends."""
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
        """Let at least one tick run. Returns step -> seconds of all its runs in a tick."""
        before = self._when_idle()
        # periodiq sends a tick when it starts, and another where a minute begins before it ends.
        with running(self._services, PERIODIQ, self._environment):
            until(lambda: self._when_idle().ticks > before.ticks, "a tick", _TICK_SECONDS)
        after = self._when_idle()
        ticks = after.ticks - before.ticks
        return {name: (after.seconds[name] - before.seconds.get(name, 0.0)) / ticks for name in _RUNS}

    def settle(self) -> dict[str, float]:
        """Ticks until one plans nothing more. Returns their number and seconds since the timekeeper started."""
        planned = -1
        while planned != (planned := self.planned()):
            self.tick()
        done = self._when_idle()
        return {"ticks": done.ticks, "seconds": sum(done.seconds.values())}

    def planned(self) -> int:
        return int(self._database.one("SELECT count(*) FROM campaign_email_queue"))

    def _when_idle(self) -> "_Done":
        """What was done, at a moment without a tick that has begun and not ended."""
        return until(self._done_twice, "the end of a tick", _TICK_SECONDS)

    def _done_twice(self) -> "_Done | None":
        before = _Done.read(self._port)
        pause(0.3)
        after = _Done.read(self._port)
        return after if before == after and after.is_whole else None


# How often a tick runs each step.
_RUNS = Counter(step.__name__ for step in STEPS)


@dataclass(frozen=True)
class _Done:
    """What a timekeeper has done since it started, by its metrics page."""

    runs: Mapping[str, int]  # by step
    seconds: Mapping[str, float]

    @classmethod
    def read(cls, port: str) -> "_Done":
        page = _page(port)
        runs = {step: int(float(value)) for step, value in _samples(page, "punktual_tick_step_seconds_count")}
        seconds = {step: float(value) for step, value in _samples(page, "punktual_tick_step_seconds_sum")}
        return cls(runs, seconds)

    @property
    def ticks(self) -> int:
        return min(self.runs.get(name, 0) // count for name, count in _RUNS.items())

    @property
    def is_whole(self) -> bool:
        return all(self.runs.get(name, 0) == count * self.ticks for name, count in _RUNS.items())


def _samples(page: str, name: str) -> Iterator[tuple[str, str]]:
    """Each sample of a metric: its step and its value."""
    for line in page.splitlines():
        if line.startswith(start := name + '{step="'):
            step, value = line.removeprefix(start).split('"} ')
            yield step, value


def _page(port: str) -> str:
    """The metrics page; empty until it answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
            return bytes(answer.read()).decode()
    except OSError:
        return ""
