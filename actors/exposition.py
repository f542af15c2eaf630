"""The page on which Prometheus reads a process's metrics: its own, and those that Dramatiq counts of its messages.

Nothing depends on it: where its port is taken, mail is sent all the same.
"""

import threading
from collections.abc import Callable

from dramatiq.middleware import prometheus
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector

from actors.orphans import end_with_master
from ops import logs

log = logs.get()


class Exposition(prometheus.Prometheus):
    """Dramatiq's own counts, on a page of ours: its own would outlive a master that is killed, and keep the port."""

    @property
    def forks(self) -> list[Callable[[], int]]:
        return [serve]


def serve() -> int:
    end_with_master()
    registry = CollectorRegistry()
    MultiProcessCollector(registry, prometheus.DB_PATH)  # type: ignore[no-untyped-call]
    try:
        start_http_server(prometheus.HTTP_PORT, prometheus.HTTP_HOST, registry)
    except OSError as error:
        log.warning("metrics_not_served", host=prometheus.HTTP_HOST, port=prometheus.HTTP_PORT, error=str(error))
        return 0
    threading.Event().wait()
    return 0
