"""`python -m ops.supervise`: worker, timekeeper, periodiq and web under supervisord, which restarts what dies."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import config
from models.store import database, migrate
from ops.run import tied
from ops.run.starting import starting
from ops.terminal import say

CONFIG = config.ROOT / "ops" / "supervisord.conf"
EMBEDDED = (
    "punktual: broker.url is embedded, which is one process: use `make run`, or name a RabbitMQ and a Postgres"
    " by PUNKTUAL_BROKER_URL and PUNKTUAL_DATABASE_URL (`make services` starts both and prints the two lines)"
)


def main() -> None:
    with starting():
        settings = config.settings()
        if settings.broker.embedded:
            sys.exit(EMBEDDED)
        database.open_database("punktual migrate")
        migrate.migrate()
        database.close()
    config.private_folder(settings.var)
    # Used in supervisord's configuration as %(ENV_…)s.
    os.environ.update(SUPERVISED_PYTHON=sys.executable, SUPERVISED_VAR=str(settings.var.resolve()))
    say("running worker, timekeeper, periodiq and web until Ctrl-C")
    sys.exit(run(CONFIG))


def run(configuration: Path) -> int:
    """Run supervisord until it ends, and copy to stdout what its processes write. Returns its exit status.

    supervisord opens its stdout by path. A socket, like systemd's journal, or another user's pipe cannot be opened so.
    """
    command = tied.command("supervisor.supervisord", "--configuration", str(configuration))
    supervisord = subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: S603  # our own process
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _: supervisord.send_signal(number))
    assert supervisord.stdout is not None
    while piece := os.read(supervisord.stdout.fileno(), 65_536):
        _write(piece)
    status = supervisord.wait()
    return status if status >= 0 else 128 - status  # ended by a signal, as shells say it


def _write(piece: bytes) -> None:
    """Write to stdout, ignoring errors: a process whose output nobody reads would block."""
    with suppress(OSError):
        while piece:
            piece = piece[os.write(1, piece) :]


if __name__ == "__main__":
    main()
