"""The step that rules on claims whose worker will not report any more, and ends campaigns that have nothing left."""

from actors.identity import is_alive, this_worker
from actors.readiness import may_claim
from models import campaigns, stuck
from ops import logs

log = logs.get()
BY = "reconcile"


def reconcile() -> None:
    may_claim()
    ruled_on = stuck.settle_dead(this_worker().host, is_alive, BY) + stuck.settle_expired(BY)
    if ruled_on:
        log.warning("stuck_emails_ruled_on", count=ruled_on)


def complete() -> None:
    for campaign_id in campaigns.complete_finished():
        log.info("campaign_completed", campaign_id=campaign_id)
