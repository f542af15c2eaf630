"""Punktual's processes, and how each is started from the checkout's root."""

import os
import sys
from collections.abc import Callable

import config
from ops.run.keeper import Keeper
from ops.watch import exposition, logs, metrics_folder

_PYTHON = (sys.executable, "-m")


def worker() -> None:
    """Sends e-mails and searches for copies. Any number of these, on any number of machines."""
    settings = config.settings()
    _keep("worker", settings.metrics.worker_port, settings.worker.processes, settings.worker.threads)


def timekeeper() -> None:
    """Runs the ticks: plans, hints, reconciles. A second one does no harm."""
    _keep("timekeeper", config.settings().metrics.timekeeper_port, processes=1, threads=1)


def periodiq() -> None:
    """Sends a tick every minute, and a check of all rows every 15 minutes."""
    from actors.process import periodiq as scheduler

    scheduler.run()


def embedded() -> None:
    """All of these in one process, with messages in memory."""
    from actors.process import embedded as all_in_one

    all_in_one.run()


PROCESSES: dict[str, Callable[[], None]] = {
    "worker": worker,
    "timekeeper": timekeeper,
    "periodiq": periodiq,
    "embedded": embedded,
}


def _keep(role: str, port: int, processes: int, threads: int) -> None:
    """Start processes that consume the role's queues, restart those that die, and serve their merged metrics."""
    logs.configure()
    folder = metrics_folder.prepare(role, port)
    os.environ.update(folder)
    exposition.serve_merged(folder["PROMETHEUS_MULTIPROC_DIR"], port)
    one = (*_PYTHON, "actors.process.consume", role, str(threads))
    commands = {f"{role} {number}": one for number in range(1, processes + 1)}
    Keeper(commands, metrics_folder.forget).run()
    metrics_folder.remove()
