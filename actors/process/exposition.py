"""The page of a worker or timekeeper: what its processes count, and what Dramatiq counts of their messages.

`python -m actors.process.exposition` serves it, as a process beside them.
"""

import os
import sys
import threading

from dramatiq.middleware import prometheus
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

from ops.run import keeper
from ops.watch import exposition, logs

_LOOK_SECONDS = 1.0


def main() -> None:
    logs.configure()
    keeper.leave_signals_to_keeper()
    registry = CollectorRegistry()
    MultiProcessCollector(registry, prometheus.DB_PATH)  # type: ignore[no-untyped-call]
    page = exposition.server(registry, prometheus.HTTP_PORT)
    if page is None:
        sys.exit(os.EX_UNAVAILABLE)
    threading.Thread(target=page.serve_forever, daemon=True).start()
    while not keeper.is_gone():
        threading.Event().wait(_LOOK_SECONDS)


if __name__ == "__main__":
    main()
