"""`python -m ops.supervise`: worker, timekeeper, periodiq and web under supervisord, which restarts what dies."""

import os
import sys

import config
from models.store import database, migrate
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
    command = [sys.executable, "-m", "supervisor.supervisord", "--configuration", str(CONFIG)]
    os.execv(sys.executable, command)  # noqa: S606  # our own process


if __name__ == "__main__":
    main()
