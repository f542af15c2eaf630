"""What a worker does every quarter of an hour beside its mail: hold all rows against what must be true of them.

With millions of rows that takes minutes, of one thread: it has a queue of its own, and no lock that a mail waits for.
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
