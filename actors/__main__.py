"""`python -m actors PROCESS` starts one of the processes."""

import argparse

import config
from actors.processes import PROCESSES
from models import database, migrate
from ops import places
from ops.starting import starting

# The embedded process brings the schema up to date itself, and periodiq never looks at it.
ON_CURRENT_SCHEMA = {"worker", "timekeeper"}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m actors", description="Start one of Punktual's processes.")
    parser.add_argument("process", choices=PROCESSES, help="which one")
    name = parser.parse_args().process
    with starting():
        config.settings()
        places.configured()
        if name in ON_CURRENT_SCHEMA:
            database.open_database(f"punktual {name}")
            migrate.check()
            database.close()
    PROCESSES[name]()


if __name__ == "__main__":
    main()
