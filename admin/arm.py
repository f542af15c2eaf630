"""The command with which a person lets sending go on after the database went back in time."""

from enum import StrEnum
from typing import Annotated

import typer

from actors import witness
from actors.nudge import ask_for_tick
from admin import show
from admin.person import who
from models import installation, recovery, settlement
from models.recovery import HandOver


class ArmingRefused(Exception):
    """Sending cannot go on yet, or not from here."""


class Verdict(StrEnum):
    UNKNOWN = "unknown"
    SENT = "sent"
    PENDING = "pending"


def arm(
    forgotten_as: Annotated[
        Verdict | None,
        typer.Option(
            help="What becomes of each forgotten mail: unknown, to be settled one by one; sent, as nearly all will be;"
            " pending, to be sent again, at the risk that its lead gets it twice."
        ),
    ] = None,
    reason: Annotated[str, typer.Option(help="Kept in the history of each.")] = "the database was restored",
    anyway: Annotated[bool, typer.Option("--anyway", help="The machine that noticed is gone for good.")] = False,
) -> None:
    """Go on sending after a backup was restored, having chosen what becomes of what may have been sent since."""
    stopped, lost = installation.disarmed_reason(), witness.forgotten()
    if stopped is None and not lost and witness.agrees():
        print("armed: the database knows all that this machine has seen of it")
        return
    if stopped is not None and not lost and witness.agrees() and not anyway:
        raise ArmingRefused(f"nothing is missing as far as this machine knows. {stopped}; if it is gone, say --anyway")
    if lost and forgotten_as is None:
        _show(lost)
        raise ArmingRefused(f"say what becomes of these {len(lost)} mails: --forgotten-as unknown, sent or pending")
    found = [] if forgotten_as is Verdict.PENDING else recovery.recover(lost, reason, who())
    if forgotten_as is Verdict.SENT:
        for email_id in found:
            settlement.sent(email_id, reason, who())
    witness.accept_loss()
    installation.arm()
    ask_for_tick()
    print(f"armed; of {len(lost)} forgotten mails {len(found)} are {forgotten_as or 'changed'}")


def _show(lost: list[HandOver]) -> None:
    rows = [(it.at, it.email_id, it.campaign_id, it.message_id) for it in lost]
    show.table(("handed over", "e-mail", "campaign", "message"), rows, "")
