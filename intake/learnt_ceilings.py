"""Ceilings that a provider's refusals teach: proposed to the owner, who takes them over into the mailbox's settings.

A limit a day becomes the daily limit, a longer one its share of a day, a shorter one the gap between two e-mails.
"""

from dataclasses import dataclass
from datetime import datetime
from math import ceil

from mail.reply import Reply
from mail.stated_limit import stated_limit
from messages import Message, Number, gettext_noop
from models.store.tables import Mailbox
from models.views import refused_mailboxes
from scheduling.providers import DAY, Limit, limits_of


@dataclass(frozen=True)
class Proposal:
    limit: Limit
    is_stated: bool  # by the server; otherwise counted: so many had gone when it refused more
    at: datetime
    words: str
    setting: str  # "daily_limit" or "gap_seconds"
    value: int

    @property
    def because(self) -> Message:
        template = (
            gettext_noop("its server refused more than %(most)s e-mails in %(length)s: %(words)s")
            if self.is_stated
            else gettext_noop("its server refused more after %(most)s e-mails in %(length)s: %(words)s")
        )
        return Message(template, most=Number(self.limit.most), length=self.limit.length, words=self.words)


def proposed(row: Mailbox) -> Proposal | None:
    """The setting that the latest refusal over a sending limit suggests. None: there is none, or none is needed."""
    for it in refused_mailboxes.latest(row.id):
        reply = Reply(it.code, it.enhanced, it.reply)
        if (stated := stated_limit(reply)) is None:
            continue
        most = stated.most or refused_mailboxes.sent_before(row.id, it.at, stated.span)
        limit = Limit(most, stated.span)
        if most == 0 or any(known.span == limit.span and known.most <= most for known in limits_of(row.provider)):
            return None
        name, value = _setting(limit)
        is_stricter = value < row.daily_limit if name == "daily_limit" else value > row.gap_seconds
        return Proposal(limit, stated.most is not None, it.at, str(reply), name, value) if is_stricter else None
    return None


def _setting(limit: Limit) -> tuple[str, int]:
    if limit.span >= DAY:
        return "daily_limit", max(1, limit.most * DAY // limit.span)
    return "gap_seconds", ceil(limit.seconds / limit.most)
