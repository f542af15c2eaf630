"""The processes that Punktual consists of, and how each is started from the checkout's root."""

import os
import sys
from collections.abc import Callable

import config
from ops.run.keeper import Keeper
from ops.watch import exposition, logs, metrics_folder

_PYTHON = (sys.executable, "-m")


def worker() -> None:
    """Sends mail, and looks for what became of it: any number of them, on any number of machines."""
    settings = config.settings()
    _keep("worker", settings.metrics.worker_port, settings.worker.processes, settings.worker.threads)


def timekeeper() -> None:
    """Works off the ticks: plans, hints, reconciles. A second one does no harm."""
    _keep("timekeeper", config.settings().metrics.timekeeper_port, processes=1, threads=1)


def periodiq() -> None:
    """Sends a tick every minute, and asks for the examination every quarter of an hour."""
    from actors.process import periodiq as scheduler

    scheduler.run()


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


def _keep(role: str, port: int, processes: int, threads: int) -> None:
    """So many processes that work off the role's queues, kept by this one, which serves what they count."""
    logs.configure()
    folder = metrics_folder.prepare(role, port)
    os.environ.update(folder)
    exposition.serve_merged(folder["PROMETHEUS_MULTIPROC_DIR"], port)
    one = (*_PYTHON, "actors.process.consume", role, str(threads))
    commands = {f"{role} {number}": one for number in range(1, processes + 1)}
    Keeper(commands, metrics_folder.forget).run()
    metrics_folder.remove()
