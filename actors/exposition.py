"""The page on which Prometheus reads a process's metrics: its own, and those that Dramatiq counts of its messages.

Nothing depends on it: where its port is taken, mail is sent all the same.
"""

import base64
import hmac
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from dramatiq.middleware import prometheus
from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer
from prometheus_client.multiprocess import MultiProcessCollector

import config
from actors.orphans import end_with_master
from ops import logs

log = logs.get()
USER = "prometheus"


class Exposition(prometheus.Prometheus):
    """Dramatiq's own counts, on a page of ours: its own would outlive a master that is killed, and keep the port."""

    @property
    def forks(self) -> list[Callable[[], int]]:
        return [serve]


def serve() -> int:
    logs.configure()
    end_with_master()
    registry = CollectorRegistry()
    MultiProcessCollector(registry, prometheus.DB_PATH)  # type: ignore[no-untyped-call]
    host, port = prometheus.HTTP_HOST, prometheus.HTTP_PORT
    try:
        server = make_server(host, port, _guarded(make_wsgi_app(registry)), ThreadingWSGIServer, _Quiet)
    except OSError as error:
        log.warning("metrics_not_served", host=host, port=port, error=str(error))
        return 0
    server.serve_forever()
    return 0


def _guarded(page: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """The page, for those who give the password (RFC 7617), where one is set."""
    password = config.settings().metrics.password
    if password is None:
        return page
    credentials = base64.b64encode(f"{USER}:{password.get_secret_value()}".encode()).decode()

    def answer(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        given = environ.get("HTTP_AUTHORIZATION", "")
        if hmac.compare_digest(given.encode(), f"Basic {credentials}".encode()):
            return page(environ, start_response)
        start_response("401 Unauthorized", [("WWW-Authenticate", 'Basic realm="punktual"')])
        return [b""]

    return answer


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """A scrape is no event."""
