"""Sends due notices to the people in charge, by webhook or e-mail.

Delivery is at least once: a notice is sent again if the worker dies before recording it, or if the notifier does not
confirm in time. A missed alarm is worse than a duplicate.
"""

import re
import threading
from datetime import timedelta
from random import random
from typing import NamedTuple

import config
from actors import queues
from models.owner import notices
from models.owner.notices import Due, Kind
from ops import notifiers
from ops.notifiers import Notifier
from ops.terminal import escape_controls
from ops.watch import logs, metrics
from scheduling import backoff

log = logs.get()

# At most one thread per process: the others are for sending.
_ONE_TELLS = threading.Lock()
# Bounded, so that one message does not occupy a thread for long when notifiers do not answer.
_AT_ONCE = 10
_LONGEST_NAME, _LONGEST_WORDS = 80, 300
# A server's words may contain a lead's address, and chat services notify whoever follows an @ or is in angle brackets.
_ADDRESS = re.compile(r"\S*@\S*")


class Wording(NamedTuple):
    title: str
    body: str
    page: str


WORDINGS = {
    Kind.UNKNOWN: Wording(
        "{name}: e-mails with an unknown outcome: {count}",
        "They were handed over to the server, and no answer was recorded. They are never sent again automatically:"
        " decide each on the page Unknown or with python -m admin email settle.",
        "/unknown",
    ),
    Kind.MAILBOX: Wording(
        "the mailbox {name} does not work",
        "{words}\nIts e-mails move to other mailboxes of their campaigns or wait. It is tried again automatically, at"
        " growing intervals. Test it with python -m admin mailbox check, and correct it with mailbox edit.",
        "/mailboxes",
    ),
    Kind.CAMPAIGN: Wording(
        "the campaign {name} paused itself",
        "{words}. More refusals would harm the reputation of its mailboxes. Look at the refused e-mails, and resume"
        " the campaign when the cause is removed: the count then begins again.",
        "/campaigns/{subject}",
    ),
    Kind.COMPLAINT: Wording(
        "{count} complaints about e-mails from {name}",
        "Leads marked them as spam. They are suppressed and are not written to again. More complaints cost the mailbox"
        " its reputation: see python -m admin incoming list --class complaint.",
        "/mailboxes",
    ),
    Kind.UNCLEAR: Wording(
        "{count} replies to {name} need to be judged",
        "It is not clear what they are. Their leads are not written to until somebody decides:"
        " on the page Needs you, or with python -m admin incoming list --class unclear, then incoming correct.",
        "/needs-you",
    ),
    Kind.CONSENT: Wording(
        "the OAuth2 authorization of the mailbox {name} ends",
        "It ends on {words} (Warsaw), and nothing is sent from the mailbox after that. Renew it before then with"
        " python -m admin mailbox authorize.",
        "/mailboxes",
    ),
    Kind.INBOX: Wording(
        "the inbox of {name} cannot be read",
        "{words}\nReplies, bounces and requests not to write go unnoticed until it can be. Test it with"
        " python -m admin mailbox check, and correct it with mailbox edit.",
        "/mailboxes#mailbox-{subject}",
    ),
    Kind.DOMAIN: Wording(
        "DNS records of {name} are missing or wrong",
        "{words}\nReceivers may refuse the e-mails of its mailboxes or take them for spam. Whoever manages the domain's"
        " DNS can correct it; python -m admin mailbox check-domain asks again.",
        "/mailboxes#mailbox-{subject}",
    ),
    Kind.RECORDS: Wording(
        "the mailbox {name} is closed: DNS records are missing",
        "{words}\nIts e-mails move to other mailboxes of their campaigns or wait. Whoever manages the domain's DNS can"
        " put the records back; DNS is asked every hour. To send without them for some days more, run"
        " python -m admin mailbox resume.",
        "/mailboxes#mailbox-{subject}",
    ),
    Kind.CALIBRATION: Wording(
        "the calibration mail of {name} shows problems: {count}",
        "{words}\nCorrect what it says, then run python -m admin mailbox calibrate again.",
        "/mailboxes#mailbox-{subject}",
    ),
    Kind.FOLLOW_UPS: Wording(
        "{count} follow-ups wait for the mailbox {name}",
        "They go from no other mailbox. Resume it, or give it back to its campaign, or cancel the campaign. If it has"
        " no IMAP settings, add them, or set follow_up_without_inbox for its campaign.",
        "/mailboxes#mailbox-{subject}",
    ),
    Kind.DISARMED: Wording("nothing is being sent", "{words}", "/"),
}


@queues.actor(queues.UPKEEP)
def tell_people() -> None:
    if not _ONE_TELLS.acquire(blocking=False):
        return
    try:
        notices.refresh()
        tell_everything_due(notifiers.configured())
    finally:
        _ONE_TELLS.release()


def tell_everything_due(to: list[Notifier]) -> None:
    if not to:
        log.warning("notices_have_no_place")
        return
    # Longer than all notifiers together may take.
    lease = timedelta(seconds=(len(to) + 1) * config.settings().notices.answer_timeout_seconds + 30)
    for _ in range(_AT_ONCE):
        due = notices.claim_due(lease)
        if due is None:
            return
        tell(due, to)


def tell(due: Due, to: list[Notifier]) -> None:
    title, body = words(due)
    failures = [f"{notifier.name}: {failure}" for notifier in to if (failure := _tell(due, notifier, title, body))]
    said = f"{title}\n{body}"
    if not failures:
        notices.record_sent(due.id, said)
    elif due.attempt >= config.settings().notices.max_attempts:
        notices.record_sent(due.id, said, error="; ".join(failures))
    else:
        pause = backoff.delay(due.attempt - 1, 60, 2, 3600, random())  # noqa: S311  # spreads, hides nothing
        notices.record_failed(due.id, said, "; ".join(failures), pause)


def _tell(due: Due, notifier: Notifier, title: str, body: str) -> str | None:
    """Send the notice, unless this notifier has it. Returns why it may not have arrived, or None if it has."""
    if notifier.key in due.reached:
        return None
    failure = notifier.tell(title, body)
    if failure is None:
        notices.record_reached(due.id, notifier.key)
        log.info("notice_sent", notice=due.id, kind=due.kind, place=notifier.name)
    else:
        log.warning("notice_not_sent", notice=due.id, kind=due.kind, place=notifier.name, reason=failure)
    metrics.NOTICES.labels("failed" if failure else "sent").inc()
    return failure


def words(due: Due) -> tuple[str, str]:
    """The notice's title and body. They may name campaigns and mailboxes, never leads."""
    wording = WORDINGS[due.kind]
    values = {
        "name": escape_controls(due.name)[:_LONGEST_NAME],
        "count": due.count,
        "subject": due.subject,
        "words": _ADDRESS.sub("…", escape_controls(due.words or "")).translate({ord("<"): None, ord(">"): None})[
            :_LONGEST_WORDS
        ],
    }
    pages = config.settings().notices.pages_url.rstrip("/")
    link = f"\n{pages}{wording.page.format(**values)}" if pages else ""
    return f"Punktual: {wording.title.format(**values)}", wording.body.format(**values) + link
