"""Serves a process's metrics to Prometheus, and checks who may read them.

Nothing depends on it: if its port is taken, e-mails are still sent.
"""

import base64
import hmac
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import REGISTRY, CollectorRegistry, Metric, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

import config
from ops.watch import logs

log = logs.get()
USER = "prometheus"
# Retry interval for a port that is taken.
_LOOK_SECONDS = 30.0
CHALLENGE = ("WWW-Authenticate", 'Basic realm="punktual"')  # RFC 7617


def may_read(authorization: str) -> bool:
    """Whether the Authorization header has the right password, if one is set."""
    password = config.settings().metrics.password
    if password is None:
        return True
    credentials = base64.b64encode(f"{USER}:{password.get_secret_value()}".encode()).decode()
    return hmac.compare_digest(authorization.encode(), f"Basic {credentials}".encode())


def server(registry: CollectorRegistry, port: int) -> WSGIServer | None:
    """None: the port is taken, which is logged."""
    host = config.settings().metrics.host
    try:
        return make_server(host, port, _guarded(make_wsgi_app(registry)), ThreadingWSGIServer, _Quiet)
    except OSError as error:
        log.warning("metrics_not_served", host=host, port=port, error=str(error))
        return None


def serve_beside(port: int) -> None:
    """Serve this process's own metrics for as long as it runs."""
    if page := server(REGISTRY, port):
        threading.Thread(target=page.serve_forever, daemon=True).start()


def serve_merged(folder: str, port: int) -> None:
    """Serve the merged metrics of all processes that share this folder, as soon as the port is free."""
    threading.Thread(target=_serve_for_ever, args=(merged(folder), port), daemon=True).start()


def merged(folder: str) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(_Merged(folder))
    return registry


class _Merged(Collector):
    """The metrics of all processes that share a folder.

    A file is empty between its creation and its first write, and stays so if its process was killed there. With an
    empty file MultiProcessCollector raises at every scrape (prometheus/client_python#1199).
    """

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)

    def collect(self) -> Iterable[Metric]:
        return MultiProcessCollector.merge(list(self._written()))  # type: ignore[no-untyped-call,no-any-return]

    def _written(self) -> Iterator[str]:
        for file in self._folder.glob("*.db"):
            with suppress(FileNotFoundError):  # an ended process's file was removed
                if file.stat().st_size:
                    yield str(file)


def _serve_for_ever(registry: CollectorRegistry, port: int) -> None:
    while True:
        if page := server(registry, port):
            page.serve_forever()
        threading.Event().wait(_LOOK_SECONDS)


def _guarded(page: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    def answer(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        if config.settings().metrics.password is None and not _is_for_loopback(environ.get("HTTP_HOST", "")):
            start_response("400 Bad Request", [("Content-Type", "text/plain")])
            return [b"this address is not a name of this machine\n"]
        if may_read(environ.get("HTTP_AUTHORIZATION", "")):
            return page(environ, start_response)
        start_response("401 Unauthorized", [CHALLENGE])
        return [b""]

    return answer


def _is_for_loopback(host: str) -> bool:
    """Whether the Host header names loopback. Any other name that resolves to us is a DNS rebinding attack."""
    try:
        return config.is_loopback(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Do not log scrapes."""
