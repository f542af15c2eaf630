"""The tick: the steps that periodiq triggers every minute.

Level-triggered: each step reads the current state, so it may run twice, late, or beside another tick. No transaction is
longer than writing one campaign's plan, and a step plans a bounded number of e-mails: if more are left, another tick is
asked for.
"""

from collections.abc import Callable

from actors import queues
from actors.attention import ask_for_notices, protect
from actors.hint import hint_due, hint_soon
from actors.inbox import ask_for_inboxes
from actors.plan import plan_follow_ups, plan_new, replan
from actors.reconcile import complete, note_suppressions, reconcile
from actors.retention import delete_old_letters
from models.health import heartbeats
from models.owner.lead_search import make_leads_searchable
from models.store import database
from ops.watch import logs, metrics
from scheduling import timetable

log = logs.get()

# What is due soon is hinted at before the long planning steps, which may move the rest.
STEPS: tuple[Callable[[], None], ...] = (
    hint_soon,
    replan,
    plan_follow_ups,
    plan_new,
    hint_due,
    reconcile,
    complete,
    note_suppressions,
    protect,
    ask_for_inboxes,
    ask_for_notices,
    make_leads_searchable,
    delete_old_letters,
)
for _step in STEPS:
    metrics.TICK_STEP_FAILURES.labels(_step.__name__)  # shown as 0 before the first failure
    metrics.TICK_STEP.labels(_step.__name__)


@queues.actor(queues.TICK, timetable.TICK)
def tick() -> None:
    failed: set[Callable[[], None]] = set()
    for step in STEPS:
        # If the broker is away, each try costs its timeout: both are left to the next tick.
        if step is hint_due and hint_soon in failed:
            continue
        if not run(step):
            failed.add(step)
    if not failed:
        heartbeats.beat("tick")


def run(step: Callable[[], None]) -> bool:
    """Run one step. Its failure (a broker that is away, say) must not stop the other steps."""
    try:
        with metrics.TICK_STEP.labels(step.__name__).time():
            step()
    except Exception:
        log.exception("tick_step_failed", step=step.__name__)
        metrics.TICK_STEP_FAILURES.labels(step.__name__).inc()
        database.close()
        return False
    return True
