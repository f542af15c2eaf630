"""What a worker does when it boots, before it claims anything: settle what its machine left behind."""

from dramatiq import Broker
from dramatiq.middleware import Middleware

from actors.broker import DatabaseConnections, broker
from actors.identity import is_alive, this_worker
from actors.readiness import may_claim
from models import database, stuck
from ops import logs

log = logs.get()


class Boot(Middleware):
    """First the outcomes on disk, which are proof; then what dead processes of this host held."""

    def after_process_boot(self, broker: Broker) -> None:
        worker = this_worker()
        may_claim()
        ruled_on = stuck.settle_dead(worker.host, is_alive, str(worker))
        log.info("worker_booted", worker=str(worker), ruled_on=ruled_on)
        database.close()


# What follows a boot runs from the last middleware to the first: the database is opened before this needs it.
broker.add_middleware(Boot(), before=DatabaseConnections)
