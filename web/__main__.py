"""`python -m web`: serves pages and API until it is told to stop."""

import sys

import waitress

import config
from models import database, migrate
from models.database import FAILURES
from ops import logs, moves
from web.app import create_app

log = logs.get()
# Each is a connection to the database while it answers.
_THREADS = 8


def main() -> None:
    try:
        settings = config.settings().web
        database.open_database("punktual web")
        migrate.check()
        database.close()
    except (config.SettingsInvalid, migrate.SchemaOutdated) as error:
        sys.exit(f"punktual: {error}")
    except FAILURES as error:
        sys.exit(f"punktual: the database does not answer: {str(error).splitlines()[0]}")
    logs.configure()
    moves.watch()
    log.info("web_started", host=settings.host, port=settings.port)
    waitress.serve(create_app(), host=settings.host, port=settings.port, threads=_THREADS, ident="punktual")


if __name__ == "__main__":
    main()
