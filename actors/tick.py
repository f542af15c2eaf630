"""The tick: what periodiq has done every minute.

Level-triggered: each step asks what is true now, so it may run twice, late, or beside another. No step holds a
transaction longer than one campaign's plan takes to write, and none plans more than a bounded number of mails: where
more is left to plan, another tick is asked for.
"""

from collections.abc import Callable

from actors import queues
from actors.attention import ask_for_notices, protect
from actors.hint import hint_due
from actors.plan import plan_new, replan
from actors.reconcile import complete, reconcile
from models.health import heartbeats
from models.store import database
from ops.watch import logs, metrics
from scheduling import timetable

log = logs.get()

# What is due is hinted at before what is far is planned, and again after it.
STEPS: tuple[Callable[[], None], ...] = (
    hint_due,
    replan,
    plan_new,
    hint_due,
    reconcile,
    complete,
    protect,
    ask_for_notices,
)
for _step in STEPS:
    metrics.TICK_STEP_FAILURES.labels(_step.__name__)  # shown as 0 before the first failure
    metrics.TICK_STEP.labels(_step.__name__)


@queues.actor(queues.TICK, timetable.TICK)
def tick() -> None:
    failed: set[Callable[[], None]] = set()
    for step in STEPS:
        # A step that failed is left to the next tick: where the broker is away, each try costs its timeout.
        if step not in failed and not run(step):
            failed.add(step)
    if not failed:
        heartbeats.beat("tick")


def run(step: Callable[[], None]) -> bool:
    """One step's outage must not keep the others from their work: hints that cannot be published, for instance."""
    try:
        with metrics.TICK_STEP.labels(step.__name__).time():
            step()
    except Exception:
        log.exception("tick_step_failed", step=step.__name__)
        metrics.TICK_STEP_FAILURES.labels(step.__name__).inc()
        database.close()
        return False
    return True
