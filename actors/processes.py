"""The processes that Punktual consists of, and how each is started from the checkout's root."""

import os
import sys
from collections.abc import Callable, Sequence

import config
from actors import queues
from ops import metrics_folder


def worker() -> None:
    """Sends mail, and looks for what became of it: any number of them, on any number of machines."""
    settings = config.settings()
    os.environ.update(metrics_folder.prepare("worker", settings.metrics.worker_port))
    modules = ("actors.deliver", "actors.evidence", "actors.examine", "actors.notices")
    names = (queues.DELIVER, queues.EVIDENCE, queues.UPKEEP)
    _dramatiq(modules, names, settings.worker.processes, settings.worker.threads)


def timekeeper() -> None:
    """Works off the ticks: plans, hints, reconciles. A second one does no harm."""
    os.environ.update(metrics_folder.prepare("timekeeper", config.settings().metrics.timekeeper_port))
    _dramatiq(("scheduling.timetable",), (queues.TICK,), processes=1, threads=1)


def periodiq() -> None:
    """Sends a tick every minute, and asks for the examination every quarter of an hour."""
    _become("-m", "ops.logged", "periodiq", "scheduling.timetable", "actors.examine")


def embedded() -> None:
    """All of it in this one process, with messages that live in its memory."""
    from actors import embedded as all_in_one

    all_in_one.run()


PROCESSES: dict[str, Callable[[], None]] = {
    "worker": worker,
    "timekeeper": timekeeper,
    "periodiq": periodiq,
    "embedded": embedded,
}


def _dramatiq(modules: Sequence[str], names: Sequence[str], processes: int, threads: int) -> None:
    # Dramatiq reads these when it is imported. Prefetching no more than there are threads keeps waiting hints
    # from being stuck behind a stalled process.
    limits = {
        "dramatiq_worker_timeout": config.settings().worker.wakeup_milliseconds,
        "dramatiq_queue_prefetch": threads,
    }
    os.environ.update({name: str(value) for name, value in limits.items()})
    _become(
        *("-m", "ops.logged", "dramatiq", *modules, "--queues", *names, "--skip-logging"),
        *("--processes", str(processes), "--threads", str(threads)),
        *("--worker-shutdown-timeout", str(round(config.settings().stop_grace_seconds * 1000))),
    )


def _become(*arguments: str) -> None:
    os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606  # our own processes
