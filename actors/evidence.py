"""Searches a mailbox's Sent folder for copies of its unknown e-mails, over IMAP.

A copy is late proof that the server accepted the e-mail. Finding none proves nothing: the e-mail stays unknown and is
searched for again whenever its age has doubled, until a person decides.
"""

import threading
from datetime import timedelta

from actors import queues
from logins import servers
from mail import imap
from mail.imap import Patience, SentFolder, SentFolderUnreadable
from mail.oauth import NoToken
from models.email import attempts, evidence, moves
from models.email.attempts import Copy
from models.email.claims import Held
from models.email.evidence import Doubtful
from models.owner import mailboxes
from models.store import vault
from models.store.tables import Mailbox
from ops.watch import logs

log = logs.get()
BY = "evidence"

# At most one thread per process: the others are for sending. What is skipped now is due again at the next tick.
_ONE_LOOK = threading.Lock()
# A copy is filed on the day of its hand-over, give or take the server's time zone and a wrong clock.
_FILED_BEFORE = timedelta(days=2)


@queues.actor(queues.EVIDENCE)
def seek_evidence(mailbox_id: int) -> None:
    if not _ONE_LOOK.acquire(blocking=False):
        return
    try:
        with evidence.try_lock(mailbox_id) as locked:
            if locked and (mails := evidence.claim_due(mailbox_id)):
                look_for(mails, mailboxes.get(mailbox_id))
    finally:
        _ONE_LOOK.release()


def look_for(mails: list[Doubtful], mailbox: Mailbox) -> None:
    try:
        where = servers.sent_folder(mailbox)
        if where is None:
            return
        with imap.sent_folder(where.server, where.folder, Patience.configured()) as sent:
            for mail in mails:
                rule_on(mail, sent)
    except (SentFolderUnreadable, vault.KeyInvalid, NoToken) as failure:
        # Without the server's words, which may name the mailbox: `mailbox check` shows them to its owner.
        log.warning("sent_folder_unreadable", mailbox_id=mailbox.id, step=getattr(failure, "step", "password"))


def rule_on(mail: Doubtful, sent: SentFolder) -> None:
    found = sent.find(mail.message_id, (mail.handed_over_at - _FILED_BEFORE).date())
    if found is None:
        log.info("evidence_not_found", email_id=mail.email_id)
        return
    held = moves.accept(
        Held(mail.email_id, mail.claim_token, BY),
        attempts.PROVED,
        Copy(found.folder, found.uid, found.header, found.filed_at),
    )
    if not held:
        log.info("evidence_superseded", email_id=mail.email_id, header=found.header)
