"""`python -m actors PROCESS` starts one of the processes."""

import argparse
import sys

import config
from actors.process import sharing
from actors.process.processes import PROCESSES
from models.store import database, migrate
from ops import notifiers
from ops.run.starting import starting

# The embedded process migrates by itself, and periodiq does not use the database.
ON_CURRENT_SCHEMA = {"worker", "timekeeper"}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m actors", description="Start one of Punktual's processes.")
    parser.add_argument("process", choices=PROCESSES, help="which one")
    name = parser.parse_args().process
    with starting():
        settings = config.settings()
        notifiers.configured()
        if name in ON_CURRENT_SCHEMA:
            database.open_database(f"punktual {name}")
            migrate.check()
            sharing.mark_processes()
            database.close()
        elif not settings.broker.embedded:
            _mark_if_possible(name)
    PROCESSES[name]()


def _mark_if_possible(name: str) -> None:
    """periodiq works without the database; its ticks then carry no installation mark."""
    try:
        database.open_database(f"punktual {name}")
        sharing.mark_processes()
    except database.FAILURES:
        print("punktual: the database does not answer: ticks bear no mark of this installation", file=sys.stderr)
    finally:
        database.close()


if __name__ == "__main__":
    main()
