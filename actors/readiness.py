"""Whether this machine may claim anything: what it knows must be in the database first, and the other way round."""

from actors.disk import handover_log, journal
from actors.disk.handover_log import Disarmed
from actors.disk.journal import JournalUnusable
from actors.disk.jsonlines import LinesUnreadable
from actors.record import merge_journal, retry_refused
from models.store.installation import Seen
from ops.watch import logs

log = logs.get()


def may_claim() -> bool:
    """If not, the log says why. A mail whose hint is dropped for it is hinted again when it may."""
    return _look(everything=True) is not None


def look() -> Seen | None:
    """What the database must know for a claim, which asks it for that itself. None: this machine may not claim."""
    return _look(everything=journal.is_waiting())


def _look(*, everything: bool) -> Seen | None:
    try:
        journal.check_room()
        if everything:
            # Before the journal: its answers are proof of hand-overs that a person may have to bring back first.
            handover_log.check()
            merge_journal()
        return handover_log.seen()
    except (JournalUnusable, LinesUnreadable, Disarmed, OSError) as refusal:
        log.error("claiming_stopped", reason=str(refusal))
        return None


def work_off_journal() -> None:
    """All that waits on this machine's disk, what the database has refused before included."""
    if may_claim():
        retry_refused()
