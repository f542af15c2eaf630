"""Tick steps that settle stuck claims, reopen and cancel e-mails, and complete campaigns."""

from actors import queues
from actors.disk import suppressed
from actors.disk.identity import is_alive, this_worker
from actors.disk.jsonlines import LinesUnreadable
from actors.readiness import work_off_journal
from models.email import evidence, stuck
from models.inbox import incoming
from models.owner import campaigns, reopening
from models.people import forgetting
from models.store import vault
from ops.watch import logs

log = logs.get()
BY = "reconcile"


def reconcile() -> None:
    work_off_journal()
    stuck.settle_dead(this_worker().host, is_alive, BY)
    stuck.settle_expired(BY)
    if count := reopening.reopen_blamed(BY):
        log.warning("refusals_were_the_mailboxes", emails=count)
    if count := forgetting.erase_late_words():
        log.info("late_words_erased", people=count)
    if count := incoming.settle_cited():
        log.info("unknown_settled_by_messages", emails=count)
    for mailbox_id in evidence.due():
        queues.ask(queues.EVIDENCE, "seek_evidence", mailbox_id)


def note_suppressions() -> None:
    """Note new suppressions on this machine's disk, in case a backup is restored that lacks them."""
    suppressed.note()


def bring_back_suppressions() -> None:
    """Suppress again what a restored backup lacks. A failure must not stop a worker: doctor tells what is missing."""
    try:
        count = suppressed.bring_back(BY)
    except (LinesUnreadable, OSError, vault.KeyInvalid) as failure:
        log.error("suppressions_not_brought_back", reason=str(failure))
    else:
        if count:
            log.warning("suppressions_brought_back", count=count)


def complete() -> None:
    if count := campaigns.end_finished(BY):
        log.info("campaigns_ended", emails=count)
    for campaign_id in campaigns.complete_finished(BY):
        log.info("campaign_completed", campaign_id=campaign_id)
