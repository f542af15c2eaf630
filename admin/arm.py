"""The command that allows sending again after the database went back in time."""

from typing import Annotated

import typer

from actors.disk import forgotten, handover_log, suppressed
from actors.disk.identity import this_worker
from admin import show
from admin.person import who
from models.email import recovery
from models.email.recovery import HandOver
from models.inbox import looks
from models.owner import arming
from models.owner.arming import Verdict
from models.people import forgetting
from models.store import installation
from reasons import Code, Reason


class ArmingRefused(Exception):
    """A person must first decide about the forgotten e-mails."""


def arm(
    forgotten_as: Annotated[
        Verdict | None,
        typer.Option(
            help="New status of each forgotten e-mail. unknown: settle them one by one. sent: nearly all were."
            " pending: send them again, and the lead may get them twice."
        ),
    ] = None,
    reason: Annotated[
        str | None, typer.Option(help="Stored in the history of each e-mail.", show_default="the database was restored")
    ] = None,
    anyway: Annotated[
        bool,
        typer.Option("--anyway", help="Arm although other machines have sent: this was run on them, or they are gone."),
    ] = False,
    without_inboxes: Annotated[
        bool,
        typer.Option(
            "--without-inboxes", help="Arm although inboxes were not read again: who answered may be written to."
        ),
    ] = False,
) -> None:
    """Allow sending again after a backup was restored. Asks what became of the e-mails sent since the backup."""
    if handover_log.agrees() and installation.disarmed_reason() is None:
        _forget_again()
        _suppress_again()
        print("armed: the database has every hand-over in this machine's log")
        return
    lost = handover_log.forgotten()
    if lost and forgotten_as is None:
        _show(lost)
        raise ArmingRefused(
            f"decide the new status of these {len(lost)} e-mails: --forgotten-as unknown, sent or pending"
        )
    # First stop the other machines too: they would send again what this one is about to recover.
    arming.disarm(Reason(Code.BRINGING_BACK, host=this_worker().host), who())
    count = arming.rule_on(lost, forgotten_as or Verdict.UNKNOWN, reason or Reason(Code.DATABASE_RESTORED), who())
    handover_log.accept_loss()
    # After the recovery, which needs the addresses, and before anything is sent.
    _forget_again()
    _suppress_again()
    print(f"of {len(lost)} forgotten e-mails of this machine, {count} are now {forgotten_as or Verdict.UNKNOWN}")
    # This machine cannot know what those have sent since the backup, and would send it again.
    others = recovery.hosts_that_sent() - {this_worker().host}
    if others and not anyway:
        print(f"still disarmed: run this on {', '.join(sorted(others))} too, then here again with --anyway")
        return
    unread = _unread()
    if unread and not without_inboxes:
        print(
            f"still disarmed: what came back since the backup is being read again from {', '.join(unread)}, so that"
            " nobody who answered or asked to be left alone is written to. Run this again in a minute; with"
            " --without-inboxes it is not waited for"
        )
        return
    arming.arm(who())
    print("armed")


def _unread() -> list[str]:
    """Ask to read the inboxes that were not read since the installation was disarmed. Returns their addresses."""
    disarmed_at = arming.disarmed_at()
    unread = looks.not_read_since(disarmed_at) if disarmed_at else []
    for it in unread:
        looks.ask(it.mailbox_id)
    return [it.address for it in unread]


def _forget_again() -> None:
    """Forget again the people who were forgotten on this machine since the backup, which still knows them."""
    keys = forgotten.keys()
    if not forgetting.is_repeated(keys):
        print(f"people who were forgotten and are forgotten again: {len(forgetting.again(keys, who()))}")


def _suppress_again() -> None:
    """Suppress again whom this machine has seen suppressed since the backup: by a person, a click or a reply."""
    if count := suppressed.bring_back(who()):
        print(f"suppressed again, as before the backup was restored: {count}")


def _show(lost: list[HandOver]) -> None:
    rows = [(it.at, it.email_id, it.campaign_id, it.message_id) for it in lost]
    show.table(("handed over", "e-mail", "campaign", "Message-ID"), rows, "")
