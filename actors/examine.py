"""Checks all rows against the invariants, every 15 minutes, in a worker.

With millions of rows this occupies one thread for minutes, so it has its own queue. It takes no lock that delays
sending.
"""

from actors import queues
from models.health import findings, invariants
from ops.watch import logs
from scheduling import timetable

log = logs.get()


@queues.actor(queues.UPKEEP, timetable.EXAMINATION)
def examine() -> None:
    asked = findings.check_all()
    if not asked:
        log.info("examination_under_way_elsewhere")
        return
    for it in findings.every().values():
        if it.rule in asked and it.violations:
            log.error("invariant_broken", rule=it.rule, violations=it.violations, example=it.example)
    log.info("rows_examined", rules=len(asked), too_slow=len(invariants.RULES) - len(asked))
