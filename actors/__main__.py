"""`python -m actors PROCESS` starts one of the processes."""

import argparse
import sys

import config
from actors.processes import PROCESSES
from models import database, migrate
from ops import places

# The embedded process brings the schema up to date itself, and periodiq never looks at it.
ON_CURRENT_SCHEMA = {"worker", "timekeeper"}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m actors", description="Start one of Punktual's processes.")
    parser.add_argument("process", choices=PROCESSES, help="which one")
    name = parser.parse_args().process
    try:
        config.settings()
        places.configured()
        if name in ON_CURRENT_SCHEMA:
            database.open_database(f"punktual {name}")
            migrate.check()
            database.close()
    except (config.SettingsInvalid, migrate.SchemaOutdated) as error:
        sys.exit(f"punktual: {error}")
    except database.FAILURES as error:
        sys.exit(f"punktual: the database does not answer: {str(error).splitlines()[0]}")
    PROCESSES[name]()


if __name__ == "__main__":
    main()
