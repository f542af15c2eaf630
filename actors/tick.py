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
from models.people.lead_search import make_leads_searchable
from models.store import database
from ops.watch import logs, metrics
from scheduling import timetable

log = logs.get()

Step = Callable[[], bool | None]  # True: it left some to another tick, for which it has asked

# What is due soon is hinted at before the long planning steps, which may move the rest.
STEPS: tuple[Step, ...] = (
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
    results: dict[Step, bool | None] = {}
    for step in STEPS:
        # Not if the broker is away, where each try costs its timeout, nor before a tick that moves e-mails at once.
        if step is hint_due and (results[hint_soon] is None or results[replan]):
            continue
        results[step] = run(step)
    if None not in results.values():
        heartbeats.beat("tick")


def run(step: Step) -> bool | None:
    """Run one step. Its failure (a broker that is away, say) must not stop the others.

    Returns whether it left some work to another tick, or None if it failed.
    """
    try:
        with metrics.TICK_STEP.labels(step.__name__).time():
            return bool(step())
    except Exception:
        log.exception("tick_step_failed", step=step.__name__)
        metrics.TICK_STEP_FAILURES.labels(step.__name__).inc()
        database.close()
        return None
