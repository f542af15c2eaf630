"""Whether anything may be sent: it is stopped where the database went back in time, and goes on by a person's word."""

from collections.abc import Sequence
from enum import StrEnum

from models.email import recovery
from models.email.recovery import HandOver
from models.owner import changes, settlement
from models.store import installation, tick_request
from models.store.database import database
from reasons import Why


class Verdict(StrEnum):
    """What becomes of a mail whose hand-over the database had forgotten."""

    UNKNOWN = "unknown"  # to be settled one by one
    SENT = "sent"
    PENDING = "pending"  # to be sent again, at the risk that its lead gets it twice


def disarm(reason: Why, by: str) -> None:
    """Stop every machine from claiming. The first reason stays."""
    with database.atomic():
        if installation.lock_disarmed_reason() is None:
            installation.set_disarmed_reason(reason)
            changes.record_of_installation({"disarmed": [None, str(reason)]}, by, "disarm")


def arm(by: str) -> None:
    with database.atomic():
        before = installation.lock_disarmed_reason()
        if before is not None:
            installation.set_disarmed_reason(None)
            changes.record_of_installation({"disarmed": [str(before), None]}, by, "arm")
        tick_request.ask_for_tick()


def rule_on(lost: Sequence[HandOver], verdict: Verdict, reason: Why, by: str) -> int:
    """Decide on all mails that a machine handed over and the database had forgotten, and return how many changed.

    To be called while nothing is claimed. Raises SettlementRefused for a reason that is none.
    """
    with database.atomic():
        found = [] if verdict is Verdict.PENDING else recovery.recover(lost, reason, by)
        if verdict is Verdict.SENT:
            for email_id in found:
                settlement.sent(email_id, reason, by)
        if lost:
            changes.record_of_installation({"forgotten": [len(lost), verdict]}, by, "rule", reason)
    return len(found)
