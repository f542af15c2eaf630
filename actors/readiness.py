"""Whether this machine may claim anything: what it knows must be in the database first, and the other way round."""

from actors.disk import handover_log, journal
from actors.disk.handover_log import Disarmed
from actors.disk.journal import JournalUnusable
from actors.disk.jsonlines import LinesUnreadable
from actors.record import merge_journal, retry_refused
from ops.watch import logs

log = logs.get()


def may_claim() -> bool:
    """If not, the log says why. A mail whose hint is dropped for it is hinted again when it may."""
    try:
        journal.check_room()
        # Before the journal: its answers are proof of hand-overs that a person may have to bring back first.
        handover_log.check()
        merge_journal()
    except (JournalUnusable, LinesUnreadable, Disarmed, OSError) as refusal:
        log.error("claiming_stopped", reason=str(refusal))
        return False
    return True


def work_off_journal() -> None:
    """All that waits on this machine's disk, what the database has refused before included."""
    if may_claim():
        retry_refused()
