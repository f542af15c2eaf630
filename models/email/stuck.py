"""Settles claims whose worker will not report any more: released before the hand-over, unknown after it."""

from collections.abc import Callable
from datetime import timedelta

import config
from models.email import moves
from models.email.claims import Held, Worker
from models.states import Status
from models.store.database import clock
from models.store.tables import CLOCK, CampaignEmailQueue
from reasons import Code, Reason

Q = CampaignEmailQueue

# Before the hand-over, and after it.
_SILENT = (Code.WORKER_SILENT, Code.WORKER_SILENT_LATE)
_DEAD = (Code.WORKER_DIED, Code.WORKER_DIED_LATE)


def settle_expired(by: str) -> int:
    """Settle claims and hand-overs older than their lease. Returns how many."""
    rules, now = config.settings().sending, clock()
    claimed = Q.handed_over_at.is_null() & (Q.claimed_at < now - timedelta(seconds=rules.claim_lease_seconds))
    handed_over = Q.handed_over_at < now - timedelta(seconds=rules.answer_lease_seconds)
    stuck = Q.select().where(Q.status == Status.SENDING, claimed | handed_over).order_by(Q.id)
    return sum(_rule_on(row, _SILENT, by) for row in stuck)


def settle_dead(host: str, is_alive: Callable[[Worker], bool], by: str) -> int:
    """Settle at once the claims of this host's dead processes. Returns how many."""
    held = Q.select().where(Q.status == Status.SENDING, Q.worker_host == host).order_by(Q.id)
    dead = [row for row in held if not is_alive(worker_of(row))]
    return sum(_rule_on(row, _DEAD, by) for row in dead)


def count_held_by(worker: Worker) -> int:
    """How many e-mails this worker is sending."""
    its = (Q.worker_host == worker.host) & (Q.worker_pid == worker.pid)
    return int(Q.select().where(Q.status == Status.SENDING, its).count())


def hold(held: Held, worker: Worker) -> bool:
    """Transfer a claim that was not handed over to this worker.

    For an e-mail whose outcome is known but cannot be recorded yet: if released, it would be claimed again.
    """
    still = (Q.id == held.email_id) & (Q.claim_token == held.token) & (Q.status == Status.SENDING)
    changes = {
        "claimed_at": CLOCK,
        "worker_host": worker.host,
        "worker_pid": worker.pid,
        "worker_started_at": worker.started_at,
    }
    return bool(Q.update(changes).where(still & Q.handed_over_at.is_null()).execute())


def worker_of(row: CampaignEmailQueue) -> Worker:
    assert row.worker_host is not None
    assert row.worker_pid is not None
    assert row.worker_started_at is not None
    return Worker(row.worker_host, row.worker_pid, row.worker_started_at)


def _rule_on(row: CampaignEmailQueue, reasons: tuple[Code, Code], by: str) -> bool:
    """Release an e-mail that was not handed over: no dot is sent. Make one that was handed over unknown."""
    assert row.claim_token is not None
    held = Held(row.id, row.claim_token, by)
    if row.handed_over_at is None:
        return moves.release_unhanded(held, Reason(reasons[0]))
    return moves.doubt(held, Reason(reasons[1]))
