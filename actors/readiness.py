"""Whether this machine may claim: its journal must be merged first, and the database must know all it has seen."""

from actors.disk import handover_log, journal
from actors.disk.handover_log import Disarmed
from actors.disk.journal import JournalUnusable
from actors.disk.jsonlines import LinesUnreadable
from actors.record import merge_journal, retry_refused
from models.store import database
from models.store.installation import Seen
from ops.watch import logs

log = logs.get()


def may_claim() -> bool:
    """Whether this machine may claim; if not, the log says why. Hints that are dropped meanwhile come again later."""
    return _look(everything=True) is not None


def look() -> Seen | None:
    """What a claim must verify in the database. Returns None if this machine may not claim."""
    return _look(everything=journal.is_waiting())


def _look(*, everything: bool) -> Seen | None:
    try:
        journal.check_room()
        # Before the journal: it has outcomes of hand-overs that a person may have to recover first.
        if everything:
            handover_log.check()
            merge_journal()
        else:
            database.once_a_session(handover_log.check)
        return handover_log.seen()
    except (JournalUnusable, LinesUnreadable, Disarmed, OSError) as refusal:
        log.error("claiming_stopped", reason=str(refusal))
        return None


def work_off_journal() -> None:
    """Record all outcomes on this machine's disk, including those that the database refused before."""
    if not may_claim():
        return
    try:
        retry_refused()
    except (JournalUnusable, OSError) as refusal:
        log.error("refused_outcomes_not_retried", reason=str(refusal))
