"""The embedded default: worker, timekeeper and periodiq in one process, with Dramatiq's own in-memory broker.

Messages are lost when it ends, which does no harm: the rows tell what is to be done.
"""

import signal
import sys
from contextlib import suppress
from types import FrameType

from dramatiq import Worker

import config
from actors.disk.identity import this_worker
from actors.process import periodiq
from actors.process.broker import Role, build_broker
from models.email import hints, stuck
from models.store import database, migrate
from ops.run.starting import starting
from ops.terminal import say
from ops.watch import exposition, logs

log = logs.get()

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run() -> None:
    if not config.settings().broker.embedded:
        sys.exit("punktual: broker.url names a RabbitMQ: run worker, timekeeper and periodiq instead (make up)")
    with starting():
        database.open_database("punktual embedded")
        migrate.migrate()
        hints.forget()
        database.close()
    settings = config.settings().worker
    broker = build_broker(Role.EMBEDDED)
    broker.emit_after("process_boot")
    worker = Worker(broker, worker_timeout=settings.wakeup_milliseconds, worker_threads=settings.threads)
    try:
        for number in _SIGNALS:
            signal.signal(number, _interrupt)
        worker.start()
        exposition.serve_beside(config.settings().metrics.worker_port)
        log.info("embedded_started")
        periodiq.loop(periodiq.of(broker))
    except KeyboardInterrupt:
        log.info("embedded_stopping")
        _say_what_is_waited_for()
    finally:
        worker.stop(round(config.settings().stop_grace_seconds * 1000))


def _interrupt(number: int, frame: FrameType | None) -> None:
    # A second signal must not cut off an e-mail that waits for its answer: it would be unknown whether it was sent.
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


def _say_what_is_waited_for() -> None:
    with suppress(*database.FAILURES):
        if count := stuck.count_held_by(this_worker()):
            say(f"waiting for the answer to {count} {'e-mail' if count == 1 else 'e-mails'}")
