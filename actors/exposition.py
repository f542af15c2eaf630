"""The page of a process and those that it forked: what they count, and what Dramatiq counts of their messages."""

from collections.abc import Callable

from dramatiq.middleware import prometheus
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

from actors.orphans import end_with_master
from ops import exposition, logs


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
    if page := exposition.server(registry, prometheus.HTTP_PORT):
        page.serve_forever()
    return 0
