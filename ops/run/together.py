"""`python -m ops.run.together`: all of Punktual on the embedded default, the sender and its pages, until Ctrl-C."""

import signal
import subprocess
import sys

import config
from models.store import database, migrate
from ops.run import tied
from ops.run.pages import Pages
from ops.run.starting import starting
from ops.terminal import say


def main() -> None:
    with starting():
        settings = config.settings()
        if not settings.broker.embedded:
            sys.exit("punktual: broker.url names a RabbitMQ: `make up` runs worker, timekeeper, periodiq and web")
        database.open_database("punktual migrate")
        migrate.migrate()
    sender = _start_sender()
    with Pages() as pages:
        say(pages.said)
        status = sender.wait()
    sys.exit(status)


def _start_sender() -> subprocess.Popen[bytes]:
    """In its own process group, so that it gets one signal: it decides what to wait for."""
    sender = subprocess.Popen(tied.command("actors", "embedded"), cwd=config.ROOT, process_group=0)  # noqa: S603
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sender.send_signal(signal.SIGTERM))
    return sender


if __name__ == "__main__":
    main()
