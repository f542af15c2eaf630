"""The steps that set right what went wrong, and end campaigns that have nothing left."""

from dramatiq import Message

import config
from actors import queues
from actors.broker import broker
from actors.identity import is_alive, this_worker
from actors.readiness import may_claim
from models import campaigns, evidence, notices, protection, stuck
from ops import logs

log = logs.get()
BY = "reconcile"


def reconcile() -> None:
    may_claim()
    stuck.settle_dead(this_worker().host, is_alive, BY)
    stuck.settle_expired(BY)
    for mailbox_id in evidence.due():
        ask_for_evidence(mailbox_id)


def ask_for_evidence(mailbox_id: int) -> None:
    """Have a worker look into the Sent folder. The message is a hint: twice, late or never does no harm."""
    message: Message[None] = Message(
        queue_name=queues.EVIDENCE, actor_name="seek_evidence", args=(mailbox_id,), kwargs={}, options={}
    )
    broker.enqueue(message)


def protect() -> None:
    for paused in protection.protect():
        log.warning(
            "campaign_paused_itself",
            campaign_id=paused.campaign_id,
            results=paused.results.count,
            refused=paused.results.refused,
        )


def ask_for_notices() -> None:
    """Have a worker tell the people in charge. Nothing is published where nobody is to be told, or nothing is new."""
    if config.settings().notices.urls and notices.any_due():
        message: Message[None] = Message(
            queue_name=queues.UPKEEP, actor_name="tell_people", args=(), kwargs={}, options={}
        )
        broker.enqueue(message)


def complete() -> None:
    for campaign_id in campaigns.complete_finished(BY):
        log.info("campaign_completed", campaign_id=campaign_id)
