"""The processes that Punktual consists of, and how each is started from the checkout's root."""

import os
import sys
from collections.abc import Callable, Sequence

import config
from actors import queues
from ops.run.keeper import Keeper
from ops.watch import logs, metrics_folder

_PYTHON = (sys.executable, "-m")


def worker() -> None:
    """Sends mail, and looks for what became of it: any number of them, on any number of machines."""
    settings = config.settings()
    modules = ("actors.deliver", "actors.evidence", "actors.examine", "actors.notices")
    names = (queues.DELIVER, queues.EVIDENCE, queues.UPKEEP)
    _keep("worker", settings.metrics.worker_port, modules, names, settings.worker.processes, settings.worker.threads)


def timekeeper() -> None:
    """Works off the ticks: plans, hints, reconciles. A second one does no harm."""
    port = config.settings().metrics.timekeeper_port
    _keep("timekeeper", port, ("actors.tick",), (queues.TICK,), processes=1, threads=1)


def periodiq() -> None:
    """Sends a tick every minute, and asks for the examination every quarter of an hour."""
    _become("ops.run.logged", "periodiq", "actors.tick", "actors.examine")


def embedded() -> None:
    """All of it in this one process, with messages that live in its memory."""
    from actors.process import embedded as all_in_one

    all_in_one.run()


PROCESSES: dict[str, Callable[[], None]] = {
    "worker": worker,
    "timekeeper": timekeeper,
    "periodiq": periodiq,
    "embedded": embedded,
}


def _keep(name: str, port: int, modules: Sequence[str], names: Sequence[str], processes: int, threads: int) -> None:
    """So many processes that work off these queues, and their page of metrics."""
    logs.configure()
    os.environ.update(metrics_folder.prepare(name, port))
    one = (*_PYTHON, "actors.process.consume", *modules, "--queues", *names, "--threads", str(threads))
    commands = {f"{name} {number}": one for number in range(1, processes + 1)}
    commands["metrics"] = (*_PYTHON, "actors.process.exposition")
    Keeper(commands, metrics_folder.forget).run()
    metrics_folder.remove()


def _become(*arguments: str) -> None:
    os.execv(sys.executable, [*_PYTHON, *arguments])  # noqa: S606  # our own processes
