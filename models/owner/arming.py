"""Disarming stops all sending when the database went back in time; a person arms it again."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from models.audit import changes
from models.email import recovery
from models.email.recovery import HandOver
from models.owner import campaigns, settlement
from models.store import installation, tick_request
from models.store.database import database, fetch
from reasons import Why


class Verdict(StrEnum):
    """The decision about e-mails whose hand-over a restored database lacks."""

    UNKNOWN = "unknown"  # to be decided one by one
    SENT = "sent"
    PENDING = "pending"  # to be sent again, at the risk that a lead gets it twice


def disarm(reason: Why, by: str) -> None:
    """Stop every machine from claiming. If it is disarmed already, the first reason is kept."""
    with database.atomic():
        if installation.lock_disarmed_reason() is None:
            installation.set_disarmed_reason(reason)
            changes.record_of_installation({"disarmed": [None, str(reason)]}, by, "disarm")


DISARMED_AT = "SELECT max(at) FROM change WHERE verb = 'disarm'"


def disarmed_at() -> datetime | None:
    """When it was last disarmed. None: never."""
    at: datetime | None = fetch(DISARMED_AT)[0][0]
    return at


def arm(by: str) -> None:
    with database.atomic():
        before = installation.lock_disarmed_reason()
        if before is not None:
            installation.set_disarmed_reason(None)
            changes.record_of_installation({"disarmed": [str(before), None]}, by, "arm")
        tick_request.ask_for_tick()


def rule_on(lost: Sequence[HandOver], verdict: Verdict, reason: Why, by: str) -> int:
    """Decide about all hand-overs of this machine that the database lacks. Returns how many e-mails changed.

    Call it while nothing is claimed. Raises SettlementRefused if the reason is not acceptable.
    """
    with database.atomic():
        found = [] if verdict is Verdict.PENDING else recovery.recover(lost, reason, by)
        # Their campaigns may have been completed in the backup.
        for campaign_id in sorted({it.campaign_id for it in lost} if found else ()):
            campaigns.reactivate(campaign_id, by, reason)
        if verdict is Verdict.SENT:
            for email_id in found:
                settlement.sent(email_id, reason, by)
        if lost:
            changes.record_of_installation({"forgotten": [len(lost), verdict]}, by, "rule", reason)
    return len(found)
