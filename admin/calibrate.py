"""`mailbox calibrate`: one e-mail to another of our own mailboxes, read back there."""

import threading
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated

import typer

import clock
import config
from admin.person import who
from logins import servers
from logins.send_test import send, told
from mail import calibration, imap, message, unsubscribe
from mail.address import normalise
from mail.calibration import Arrival, Finding
from mail.domain import State
from mail.imap import Patience, SentFolderUnreadable
from mail.message import Letter
from mail.oauth import NoToken
from mail.outcome import Accepted
from models.health import calibrations
from models.owner import mailboxes
from models.owner.mail_tests import TestMailRefused
from models.owner.mailboxes import Edit, MailboxInvalid
from models.store import vault
from models.store.tables import Mailbox
from ops.terminal import escape_controls
from scheduling.window import WARSAW

_PAUSE_SECONDS = 5.0
# A server's clock and time zone may differ.
_EARLIER = timedelta(days=2)
_SUBJECT = "Calibration of {address}"
_TEXT = """This e-mail was sent by Punktual from one of your mailboxes to another.

It shows whether the e-mails of {address} arrive, and how receivers judge them. You can delete it.
"""


def calibrate(
    address: Annotated[str, typer.Argument(help="The mailbox to be looked at.")],
    to: Annotated[
        str | None,
        typer.Option(help="Your mailbox that gets it. Default: one with IMAP, best of another domain."),
    ] = None,
    wait: Annotated[int, typer.Option(min=0, max=3600, help="Longest time in seconds until it arrives.")] = 120,
) -> None:
    """Send one e-mail to another of your mailboxes, read it there, and print what that says about this one.

    It counts towards the daily limit. If DKIM signs the headers of one-click unsubscribing, that is turned on.

    Example: python -m admin mailbox calibrate ola@your-domain.pl --to jan@another-domain.pl
    """
    sender = mailboxes.find(normalise(address))
    receiver = _receiver(sender, to)
    found = look(sender, receiver, who(), wait)
    for it in found:
        print(f"{it.record:<11}  {it.state:<7}  {escape_controls(str(it.because))}")
    if any(it.state in (State.WRONG, State.MISSING) for it in found):
        raise typer.Exit(1)


def _receiver(sender: Mailbox, to: str | None) -> Mailbox:
    if to is not None:
        row = mailboxes.find(normalise(to))
        if row.id == sender.id or row.imap_host is None:
            raise MailboxInvalid(f"--to: {row.address} must be another mailbox, with an IMAP server")
        return row
    others = [row for row in mailboxes.every() if row.id != sender.id and row.imap_host is not None]
    if not others:
        raise MailboxInvalid("a calibration mail needs a second mailbox, with an IMAP server: mailbox add --imap-host")
    return min(others, key=lambda row: (_domain(row) == _domain(sender), row.id))


def _domain(row: Mailbox) -> str:
    return row.address.rpartition("@")[2]


def look(sender: Mailbox, receiver: Mailbox, by: str, wait: int) -> list[Finding]:
    """Send a calibration mail, wait for it, and store what it shows.

    Raises TestMailRefused if it cannot be sent or the inbox cannot be read.
    """
    sent_at = clock.now()
    message_id = _send(sender, receiver, by)
    began = clock.boottime()
    arrived = _wait_for(receiver, message_id, sent_at, wait)
    seconds = round(clock.boottime() - began) if arrived else wait
    found = calibration.findings(
        arrived, receiver.address, seconds, copy_found=_copy_found(sender, message_id, sent_at)
    )
    calibrations.keep(sender.id, [(it.record, it.state, it.because) for it in found])
    if not sender.one_click and any(it.record == "one_click" and it.state is State.OK for it in found):
        mailboxes.edit(sender.id, by, Edit(one_click=True))
    return found


def _send(sender: Mailbox, receiver: Mailbox, by: str) -> str:
    """Send the calibration mail and return its Message-ID. Raises TestMailRefused."""

    def compose(message_id: str) -> bytes:
        return message.build(_letter(sender, receiver, message_id), clock.now().astimezone(WARSAW))

    order, outcome = send(None, sender.id, receiver.address, by, compose)
    if not isinstance(outcome, Accepted):
        raise TestMailRefused(told(outcome, sender, receiver.address))
    return order.message_id


def _letter(sender: Mailbox, receiver: Mailbox, message_id: str) -> Letter:
    """The calibration mail, with the headers of one-click unsubscribing as leads get them; its link changes nothing."""
    base = config.settings().unsubscribe.url or f"https://{_domain(sender)}"
    return Letter(
        sender_address=sender.address,
        sender_name=sender.name,
        recipient=receiver.address,
        subject=_SUBJECT.format(address=sender.address),
        text=_TEXT.format(address=sender.address),
        html=None,
        message_id=message_id,
        unsubscribe=replace(unsubscribe.preview(sender.address, base), one_click=True),
    )


def _wait_for(receiver: Mailbox, message_id: str, sent_at: datetime, wait: int) -> Arrival | None:
    until = clock.boottime() + wait
    while True:
        try:
            server = servers.inbox(receiver)
            assert server is not None
            if found := calibration.arrival(server, message_id, (sent_at - _EARLIER).date(), Patience.configured()):
                return found
        except (SentFolderUnreadable, vault.KeyInvalid, NoToken) as failure:
            raise TestMailRefused(f"the inbox of {receiver.address} cannot be read: {failure}") from None
        if clock.boottime() + _PAUSE_SECONDS > until:
            return None
        threading.Event().wait(_PAUSE_SECONDS)


def _copy_found(sender: Mailbox, message_id: str, sent_at: datetime) -> bool | None:
    """Whether the provider filed a copy in the Sent folder. None: there is no IMAP server, or it cannot be read."""
    try:
        where = servers.sent_folder(sender)
        if where is None:
            return None
        with imap.sent_folder(where.server, where.folder, Patience.configured()) as folder:
            return folder.find(message_id, (sent_at - _EARLIER).date()) is not None
    except (SentFolderUnreadable, vault.KeyInvalid, NoToken):
        return None
