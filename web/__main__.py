"""`python -m web`: serves pages and API until it is told to stop."""

import signal
import sys
from types import FrameType

from waitress.server import BaseWSGIServer, MultiSocketServer, create_server

import config
from models.store import database, migrate
from ops.run.pages import NO_PLACE_TO_LISTEN
from ops.run.starting import starting
from ops.terminal import say
from ops.watch import logs, moves
from web.app import MOST_BYTES, create_app
from web.guard import channels

log = logs.get()
# Each uses a database connection while it answers.
_THREADS = 8
# How long a page waits for a database that is away.
_CONNECT_SECONDS = 3


def main() -> None:
    with starting():
        settings = config.settings().web
        database.open_database("punktual web", _CONNECT_SECONDS)
        migrate.check()
        database.close()
        logs.configure()
        server = _server(settings)
    moves.watch()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    say(f"the pages are at {url(settings)}")
    log.info("web_started", host=settings.host, port=settings.port)
    server.run()
    log.info("web_stopped")


def _server(settings: config.Web) -> BaseWSGIServer | MultiSocketServer:
    try:
        server = create_server(
            create_app(),
            host=settings.host,
            port=settings.port,
            threads=_THREADS,
            ident=None,
            max_request_body_size=MOST_BYTES,
            **channels.LIMITS,
            # Proxy headers are trusted only behind our proxy; otherwise any client could set them.
            clear_untrusted_proxy_headers=not settings.behind_https,
        )
    except OSError as error:
        print(f"punktual: no pages at {url(settings)}: {error.strerror} (web.port names another)", file=sys.stderr)
        sys.exit(NO_PLACE_TO_LISTEN)
    channels.serve_through(server, channels.ProxiedChannel if settings.behind_https else channels.Channel)
    return server


def url(settings: config.Web) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{settings.port}"


def _end(number: int, frame: FrameType | None) -> None:
    sys.exit()


if __name__ == "__main__":
    main()
