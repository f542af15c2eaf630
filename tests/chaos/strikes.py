"""Injects the faults, each in its own thread, and records when each hit what."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

import psutil

import clock
from models.store import embedded
from tests.chaos.processes import Processes, frozen, talks_to
from tests.chaos.proxy import Proxy
from tests.chaos.schedule import Fault, Kind
from tests.chaos.servers import Servers

# How long a fault that is meant for a worker with a mail on its way waits for one.
_LONGEST_AIM_SECONDS = 3.0


@dataclass
class Incident:
    """A fault as it really happened."""

    kind: Kind
    began: datetime
    ended: datetime
    pids: list[int] = field(default_factory=list)
    struck: bool = True  # False: what it was to strike was away already

    def overlaps(self, since: datetime, until: datetime) -> bool:
        return self.began <= until and self.ended >= since

    def __str__(self) -> str:
        return f"{self.kind} at {self.began:%H:%M:%S}{f' of {self.pids}' if self.pids else ''}"


class Strikes:
    def __init__(self, servers: Servers, processes: Processes) -> None:
        self.servers, self.processes = servers, processes
        self.incidents: list[Incident] = []
        self._over = threading.Event()
        self._strike: dict[Kind, Callable[[Fault, Incident], None]] = {
            Kind.KILL_WORKER: lambda fault, it: self._kill(it, self._one_of(fault, self._conversing())),
            Kind.KILL_MASTER: lambda fault, it: self._kill(it, self._one_of(fault, processes.masters())),
            Kind.KILL_TIMEKEEPER: lambda fault, it: self._kill(it, processes.all_of("timekeeper")),
            Kind.KILL_PERIODIQ: lambda fault, it: self._kill(it, processes.all_of("periodiq")),
            Kind.FREEZE_WORKER: self._freeze,
            Kind.STOP_BROKER: lambda fault, it: self._restart_broker(fault, servers.broker.stop),
            Kind.KILL_BROKER: lambda fault, it: self._restart_broker(fault, servers.broker.kill),
            Kind.PURGE_BROKER: self._purge,
            Kind.CRASH_DATABASE: self._crash_database,
        }

    def carry_out(self, faults: Sequence[Fault], tell: Callable[[str], None]) -> None:
        """Inject all faults. Returns when the last has ended."""
        start = clock.boottime()
        with ThreadPoolExecutor(len(Kind)) as threads:
            running: list[Future[None]] = []
            try:
                for fault in faults:
                    self._wait(start + fault.at - clock.boottime())
                    tell(str(fault))
                    running.append(threads.submit(self._carry_out, fault))
            except BaseException:
                self._over.set()
                raise
        for each in running:
            each.result()

    def _carry_out(self, fault: Fault) -> None:
        incident = Incident(fault.kind, clock.now(), clock.now())
        try:
            if fault.kind in self._strike:
                self._strike[fault.kind](fault, incident)
            else:
                self._disturb(fault)
        finally:
            incident.ended = clock.now()
            self.incidents.append(incident)

    def _wait(self, seconds: float) -> None:
        self._over.wait(max(0.0, seconds))

    def _one_of(self, fault: Fault, found: list[psutil.Process]) -> list[psutil.Process]:
        return [found[int(fault.draw * len(found))]] if found else []

    def _conversing(self) -> list[psutil.Process]:
        """The workers that talk to the mail server; all of them, where none does for a while."""
        until = clock.boottime() + _LONGEST_AIM_SECONDS
        while clock.boottime() < until:
            if found := [
                each for each in self.processes.workers() if talks_to(each, self.servers.proxies["smtp"].port)
            ]:
                return found
            self._wait(0.05)
        return self.processes.workers()

    def _kill(self, incident: Incident, processes: list[psutil.Process]) -> None:
        incident.pids = self.processes.kill(processes)
        incident.struck = bool(incident.pids)

    def _freeze(self, fault: Fault, incident: Incident) -> None:
        with frozen(self._one_of(fault, self._conversing())) as pids:
            incident.pids, incident.struck = pids, bool(pids)
            self._wait(fault.seconds)

    def _restart_broker(self, fault: Fault, end: Callable[[], None]) -> None:
        with self.servers.broker_lock:
            end()
            self._wait(fault.seconds)
            self.servers.broker.start()

    def _purge(self, fault: Fault, incident: Incident) -> None:
        incident.struck = self.servers.purge()

    def _crash_database(self, fault: Fault, incident: Incident) -> None:
        with self.servers.database_lock:
            embedded.stop(self.servers.database_home, "immediate")
            self._wait(fault.seconds)
            embedded.start(self.servers.database_home)

    def _disturb(self, fault: Fault) -> None:
        verb, _, server = fault.kind.partition("-")
        proxy = self.servers.proxies[server]
        if verb == "cut":
            proxy.cut()
            return
        with _flowing_again(proxy):
            proxy.stall() if verb == "stall" else proxy.slow(_rate(fault))
            self._wait(fault.seconds)


@contextlib.contextmanager
def _flowing_again(proxy: Proxy) -> Iterator[None]:
    try:
        yield
    finally:
        proxy.flow()


def _rate(fault: Fault) -> float:
    """Bytes per second: from so slow that a short e-mail takes seconds to just noticeable."""
    slowest = 20_000 if fault.kind is Kind.SLOW_DATABASE else 400
    return slowest * (1 + 9 * fault.draw)
