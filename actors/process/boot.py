"""Runs when a worker starts, before it claims anything: settles what earlier processes of the machine left behind."""

import threading

from dramatiq import Broker
from dramatiq.middleware import Middleware

from actors.disk import journal
from actors.disk.identity import is_alive, this_worker
from actors.readiness import work_off_journal
from actors.reconcile import bring_back_suppressions
from models.email import stuck
from models.store import database
from ops.watch import logs

log = logs.get()

# The journal is merged before each claim; without claims it is merged this often.
_LOOK_SECONDS = 30.0


class Boot(Middleware):
    """First records the outcomes on disk, which are proof; then settles the claims of this host's dead processes."""

    def after_process_boot(self, broker: Broker) -> None:
        threading.Thread(target=_keep_working_off, name="journal", daemon=True).start()
        worker = this_worker()
        work_off_journal()
        bring_back_suppressions()
        ruled_on = stuck.settle_dead(worker.host, is_alive, str(worker))
        log.info("worker_booted", worker=str(worker), ruled_on=ruled_on)
        database.close()


def _keep_working_off() -> None:
    while True:
        threading.Event().wait(_LOOK_SECONDS)
        _try_to_work_off()


def _try_to_work_off() -> None:
    try:
        if not journal.is_empty():
            work_off_journal()
    except database.FAILURES as failure:
        log.warning("journal_waits", error=type(failure).__name__)
    except Exception:  # whatever it is: nothing else calls this thread back to life
        log.exception("journal_waits")
    finally:
        database.close()
