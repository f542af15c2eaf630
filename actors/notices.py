"""What a worker does to tell the people in charge, by webhook or e-mail, of what needs them.

At least once, and normally once: where a worker dies between the telling and its record, or a place takes a notice and
does not say so in time, it is told again. An alarm that is missed is worse than one that is doubled.
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
from ops.notifiers import Place
from ops.terminal import harmless
from ops.watch import logs, metrics
from scheduling import backoff

log = logs.get()

# Of a process's threads one at most: the others are for mail.
_ONE_TELLS = threading.Lock()
# So that one message does not hold a thread for long where places do not answer.
_AT_ONCE = 10
_LONGEST_NAME, _LONGEST_WORDS = 80, 300
# A server may name a lead in its words, and chat services call whoever stands behind an @ or in angle brackets.
_ADDRESS = re.compile(r"\S*@\S*")


class Wording(NamedTuple):
    title: str
    body: str
    page: str


WORDINGS = {
    Kind.UNKNOWN: Wording(
        "{name}: unknown whether {count} of its mails were sent",
        "Their final dot may have left, and no answer to it was recorded. They are never sent again by themselves, and"
        " wait for somebody to settle each: python -m admin email list --status unknown.",
        "/unknown",
    ),
    Kind.MAILBOX: Wording(
        "the mailbox {name} does not work",
        "{words}\nIts mails move to other mailboxes of their campaigns or wait. It is tried again by itself, less and"
        " less often. python -m admin mailbox check tells whether it works; mailbox edit corrects its login.",
        "/mailboxes",
    ),
    Kind.CAMPAIGN: Wording(
        "the campaign {name} paused itself",
        "{words}. More of them would cost the reputation of its mailboxes. Look at what was refused, and resume it when"
        " the leads to come are better: the count then begins anew.",
        "/campaigns/{subject}",
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


def tell_everything_due(where: list[Place]) -> None:
    if not where:
        log.warning("notices_have_no_place")
        return
    # Longer than all places may take.
    lease = timedelta(seconds=(len(where) + 1) * config.settings().notices.answer_timeout_seconds + 30)
    for _ in range(_AT_ONCE):
        due = notices.take(lease)
        if due is None:
            return
        tell(due, where)


def tell(due: Due, where: list[Place]) -> None:
    title, body = words(due)
    failures = [f"{place.name}: {failure}" for place in where if (failure := _tell(due, place, title, body))]
    said = f"{title}\n{body}"
    if not failures:
        notices.told(due.id, said)
    elif due.attempt >= config.settings().notices.max_attempts:
        notices.told(due.id, said, error="; ".join(failures))
    else:
        pause = backoff.delay(due.attempt - 1, 60, 2, 3600, random())  # noqa: S311  # spreads, hides nothing
        notices.try_again(due.id, said, "; ".join(failures), pause)


def _tell(due: Due, place: Place, title: str, body: str) -> str | None:
    """Why it may not have been told."""
    if place.key in due.reached:
        return None
    failure = place.tell(title, body)
    if failure is None:
        notices.reached(due.id, place.key)
        log.info("notice_sent", notice=due.id, kind=due.kind, place=place.name)
    else:
        log.warning("notice_not_sent", notice=due.id, kind=due.kind, place=place.name, reason=failure)
    metrics.NOTICES.labels("failed" if failure else "sent").inc()
    return failure


def words(due: Due) -> tuple[str, str]:
    """Title and body. The names of a campaign and a mailbox are its owner's own; no lead is named."""
    wording = WORDINGS[due.kind]
    values = {
        "name": harmless(due.name)[:_LONGEST_NAME],
        "count": due.count,
        "subject": due.subject,
        "words": _ADDRESS.sub("…", harmless(due.words or "")).translate({ord("<"): None, ord(">"): None})[
            :_LONGEST_WORDS
        ],
    }
    pages = config.settings().notices.pages_url.rstrip("/")
    link = f"\n{pages}{wording.page.format(**values)}" if pages else ""
    return f"Punktual: {wording.title.format(**values)}", wording.body.format(**values) + link
