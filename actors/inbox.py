"""Reads the inboxes of mailboxes with IMAP settings: replies, bounces, complaints.

One thread of a process at most, which looks into each inbox that is due, one after the other. The cursor moves in the
transaction of what was found, so a killed look loses nothing and does nothing twice.
"""

import hashlib
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

import config
from actors import queues
from logins import servers
from mail import inbox, unsubscribe
from mail.inbox import Bounds, Folder, Inbox, InboxUnreadable, Message
from mail.incoming import classify, structure, text
from mail.incoming.result import Citation, Class, Facts, Incoming, Letter
from mail.oauth import NoToken
from models.inbox import holding, incoming, looks, matching
from models.inbox.incoming import Found
from models.inbox.looks import Cursor, Look
from models.inbox.matching import Match
from models.owner import mailboxes
from models.owner.mailboxes import NoSuchMailbox
from models.store import database, vault
from ops.watch import logs, metrics
from scheduling.window import WARSAW

log = logs.get()

# At most one thread per process: the others are for sending.
_ONE_READS = threading.Lock()
# Of a message's first bytes, which are the same wherever it lies. Not more than is read of each.
_DIGESTED = 65_536
_WRITTEN_TO = "token of List-Unsubscribe (RFC 2369 section 3.2)"


def ask_for_inboxes() -> None:
    """A tick's step: have a worker read the inboxes that are due."""
    if looks.any_due():
        queues.ask(queues.INBOX, "read_inboxes")


def look_to_follow_up(email_id: int) -> None:
    """Have a worker look for an answer now: a follow-up is due."""
    if looks.ask_to_follow_up(email_id):
        with suppress(*queues.FAILURES):  # the tick asks again
            queues.ask(queues.INBOX, "read_inboxes")


@queues.actor(queues.INBOX)
def read_inboxes() -> None:
    if not _ONE_READS.acquire(blocking=False):
        return
    try:
        while look := looks.claim_due():
            look_into(look)
    finally:
        _ONE_READS.release()


def look_into(look: Look) -> None:
    try:
        server = servers.inbox(mailboxes.get(look.mailbox_id))
        if server is None:
            return
        with inbox.opened(server, config.settings().imap.command_timeout_seconds, bounds()) as it:
            complete = [read_folder(look.mailbox_id, it, name) for name in it.folders()]
        looks.end(look, complete=all(complete))
        metrics.INBOX_LOOKS.labels("complete" if all(complete) else "partial").inc()
    except (InboxUnreadable, vault.KeyInvalid, NoToken) as failure:
        step = getattr(failure, "step", "password")
        looks.fail(look, step, str(failure))
        metrics.INBOX_LOOKS.labels("failed").inc()
        # Without the server's words, which may name the mailbox.
        log.warning("inbox_unreadable", mailbox_id=look.mailbox_id, step=step)
    except NoSuchMailbox:
        log.info("inbox_gone", mailbox_id=look.mailbox_id)


def bounds() -> Bounds:
    rules = config.settings().imap
    return Bounds(
        messages=rules.inbox_messages,
        message_bytes=rules.inbox_message_kilobytes * 1024,
        bytes=rules.inbox_megabytes * 1024 * 1024,
        seconds=rules.inbox_look_seconds,
    )


def read_folder(mailbox_id: int, it: Inbox, name: str) -> bool:
    """Read the folder's new messages. Returns whether it was read to its end."""
    folder: Folder = it.open(name)
    at = looks.cursor(mailbox_id, name, folder.uidvalidity)
    last_uid = at.last_uid
    for progress in folder.after(at.last_uid, at.since):
        if progress.message is None:
            looks.advance(at, progress.last_uid)
        else:
            read_message(at, progress.message)
        last_uid = progress.last_uid
    return folder.is_read(last_uid)


def read_message(at: Cursor, message: Message) -> int | None:
    """Keep one message, and do what follows. One that the database refuses must not stop those after it."""
    found = judge(at.mailbox_id, message)
    try:
        kept = incoming.keep(at, found)
    except database.FAILURES as failure:
        if database.is_outage(failure) or database.took_too_long(failure):
            raise
        log.exception("incoming_not_kept", mailbox_id=at.mailbox_id, uid=message.uid)
        looks.advance(at, message.uid)
        return None
    if kept is not None:
        metrics.INCOMING.labels(found.class_).inc()
        metrics.ANSWERS_READ_LATE.inc(incoming.was_read_late(kept))
        log.info("incoming_kept", incoming_id=kept, mailbox_id=at.mailbox_id, kind=found.class_, rule=found.rule)
    return kept


def judge(mailbox_id: int, message: Message) -> Found:
    """Classify a message and find which of our e-mails it is about."""
    raw = message.raw
    cited, sender = classify.cited(raw), classify.sender(raw)
    named = matching.named([each.message_id for each in cited])
    by_sender = None if named else matching.to_address(sender, mailbox_id, message.received_at)
    it = classify.classify(
        raw,
        Facts(
            received_at=message.received_at.astimezone(WARSAW),
            own_addresses=matching.own_addresses(),
            letters={match.cited: letter(match) for match in named},
            unnamed=letter(by_sender) if by_sender else None,
            public_domains=holding.PUBLIC_DOMAINS,
        ),
    )
    match, matched_by = _match(it, named, by_sender, mailbox_id, message)
    if asked := _by_token(it):
        it, match, matched_by = replace(it, class_=Class.UNSUBSCRIBE, kind=None, rule=_WRITTEN_TO), asked, "token"
    return Found(
        uid=message.uid,
        digest=hashlib.sha256(raw[:_DIGESTED]).hexdigest(),
        received_at=message.received_at,
        class_=it.class_,
        kind=it.kind,
        status=it.status,
        rule=it.rule,
        message_id=it.message_id,
        sender=it.sender,
        subject=it.subject,
        excerpt=it.excerpt,
        returns_on=it.returns_on,
        match=match,
        matched_by=matched_by,
        recipients=it.recipients,
        diagnostic=it.diagnostic,
        cited=[each.message_id for each in it.cited],
    )


def _match(
    it: Incoming, named: list[Match], by_sender: Match | None, mailbox_id: int, message: Message
) -> tuple[Match | None, str | None]:
    """The e-mail that the message is about, and how it was matched.

    In order of trust: ids in the message, ids in what it returns, whom it could not reach, its sender.
    """
    if it.class_ == "other":
        return None, None
    if named:
        first = named[0]
        return first, _header(it.cited, first.cited)
    if it.class_ in ("bounce", "complaint"):
        found = (matching.to_address(each, mailbox_id, message.received_at) for each in it.recipients)
        match = next((each for each in found if each is not None), None)
        return match, matching.BY_RECIPIENT if match else None
    return by_sender, matching.BY_SENDER if by_sender else None


def _by_token(it: Incoming) -> Match | None:
    """The e-mail whose List-Unsubscribe token the message has: the token is signed, so it needs no other proof."""
    token = unsubscribe.token_in(it.subject) or unsubscribe.token_in(it.excerpt)
    email = unsubscribe.email_of(token, vault.derived_keys(unsubscribe.PURPOSE)) if token else None
    return next(iter(matching.named([str(email)])), None) if email else None


def _header(cited: Iterable[Citation], message_id: str) -> str:
    return next((each.header for each in cited if each.message_id == message_id), "Message-ID")


def letter(match: Match) -> Letter:
    if match.content is None:
        return Letter(match.recipient, ())
    content = structure.read(bytes(match.content))
    return Letter(match.recipient, text.all_of(content), content.headers.get("subject"))
