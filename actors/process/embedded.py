"""The embedded default: worker, timekeeper and periodiq in one process, with Dramatiq's own in-memory broker.

Messages are lost when it ends, which does no harm: the rows tell what is to be done.
"""

import signal
import sys
from types import FrameType

from dramatiq import Worker

import config
from actors.process import periodiq
from actors.process.broker import Role, build_broker
from models.email import hints
from models.store import database, migrate
from ops.run.starting import starting
from ops.watch import exposition, logs

log = logs.get()


def run() -> None:
    if not config.settings().broker.embedded:
        sys.exit("punktual: broker.url names a RabbitMQ: run worker, timekeeper and periodiq instead (make up)")
    with starting():
        database.open_database("punktual embedded")
        migrate.migrate()
        hints.forget()
        database.close()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    settings = config.settings().worker
    broker = build_broker(Role.EMBEDDED)
    broker.emit_after("process_boot")
    worker = Worker(broker, worker_timeout=settings.wakeup_milliseconds, worker_threads=settings.threads)
    worker.start()
    exposition.serve_beside(config.settings().metrics.worker_port)
    log.info("embedded_started")
    try:
        periodiq.loop(periodiq.of(broker))
    except KeyboardInterrupt:
        log.info("embedded_stopping")
    finally:
        worker.stop(round(config.settings().stop_grace_seconds * 1000))


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
