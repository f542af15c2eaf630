"""`python -m web` serves pages and API until it is told to stop, `python -m web public` the unsubscribe page."""

import signal
import sys
from types import FrameType

from apiflask import APIFlask
from waitress.server import BaseWSGIServer, MultiSocketServer, create_server

import config
from mail.unsubscribe import PURPOSE
from models.store import database, migrate, vault
from ops.run.pages import NO_PLACE_TO_LISTEN
from ops.run.starting import starting
from ops.terminal import say
from ops.watch import logs, moves
from web.app import ANSWER_SECONDS, MOST_PUBLIC_BYTES, create_app, create_public_app
from web.guard import channels
from web.guard.sizes import MOST_UPLOAD_BYTES

log = logs.get()
# Each keeps a database connection.
_THREADS = 8


def main() -> None:
    match sys.argv[1:]:
        case []:
            pages()
        case ["public"]:
            public()
        case _:
            sys.exit("punktual: `python -m web` serves the pages, and `python -m web public` the unsubscribe page")


def pages() -> None:
    with starting():
        settings = config.settings().web
        database.open_database("punktual web", ANSWER_SECONDS)
        migrate.check()
        database.close()
        logs.configure()
        server = _server(create_app(), settings, "web.port", MOST_UPLOAD_BYTES)
    _serve(server, f"the pages are at {url(settings)}", settings)


def public() -> None:
    with starting():
        settings = config.settings().unsubscribe
        database.open_database("punktual public", ANSWER_SECONDS)
        migrate.check()
        database.close()
        vault.derived_keys(PURPOSE)
        logs.configure()
        server = _server(create_public_app(), settings, "unsubscribe.port", MOST_PUBLIC_BYTES)
    _serve(server, f"the unsubscribe page is at {url(settings)}", settings)


Listening = config.Web | config.Unsubscribe


def _serve(server: BaseWSGIServer | MultiSocketServer, said: str, settings: Listening) -> None:
    moves.watch()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    say(said)
    log.info("web_started", host=settings.host, port=settings.port)
    server.run()
    log.info("web_stopped")


def _server(app: APIFlask, settings: Listening, setting: str, most_bytes: int) -> BaseWSGIServer | MultiSocketServer:
    try:
        server = create_server(
            app,
            host=settings.host,
            port=settings.port,
            threads=_THREADS,
            ident=None,
            max_request_body_size=most_bytes,
            **channels.LIMITS,
            # Proxy headers are trusted only behind our proxy; otherwise any client could set them.
            clear_untrusted_proxy_headers=not settings.behind_https,
        )
    except OSError as error:
        print(f"punktual: no pages at {url(settings)}: {error.strerror} ({setting} names another)", file=sys.stderr)
        sys.exit(NO_PLACE_TO_LISTEN)
    channels.serve_through(server, channels.ProxiedChannel if settings.behind_https else channels.Channel)
    return server


def url(settings: Listening) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{settings.port}"


def _end(number: int, frame: FrameType | None) -> None:
    sys.exit()


if __name__ == "__main__":
    main()
