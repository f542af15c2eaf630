"""Closes a mailbox when DNS records of its domain have been missing for days, and opens it when they are back.

A mailbox closed so is paused by Punktual itself. A person can resume it: what is missing then counts from that moment.
Name servers that say nothing neither close a mailbox nor open it.
"""

from dataclasses import dataclass
from datetime import timedelta

import config
from models.email import locks
from models.owner import mailboxes
from models.states import CLOSED_BY_ITSELF, PROTECTION
from models.store.database import database, rows
from reasons import Code, Reason

# `lasting`: records that were missing for that long when they were last asked for, in the order of the page.
LOOK = f"""
SELECT m.id AS mailbox_id, f.domain, {CLOSED_BY_ITSELF} AS is_closed,
       %(lasts)s::interval IS NOT NULL AND bool_or(f.missing_since IS NOT NULL) AS is_missing,
       array_agg(upper(f.record) ORDER BY array_position('{{mx,spf,dmarc}}', f.record)) FILTER (
           WHERE f.state = 'missing' AND f.missing_since IS NOT NULL
             AND f.checked_at >= greatest(f.missing_since, m.watched_from) + %(lasts)s) AS lasting
FROM mailbox m JOIN domain_finding f ON f.domain = regexp_replace(m.address, '^.*@', '')
WHERE (m.status = 'active' OR {CLOSED_BY_ITSELF}) AND (%(only)s::bigint IS NULL OR m.id = %(only)s)
GROUP BY m.id, f.domain ORDER BY m.id
"""  # noqa: S608  # only our own words


@dataclass(frozen=True)
class _Seen:
    mailbox_id: int
    domain: str
    is_closed: bool
    is_missing: bool
    lasting: list[str] | None

    @property
    def must_close(self) -> bool:
        return not self.is_closed and bool(self.lasting)

    @property
    def may_open(self) -> bool:
        return self.is_closed and not self.is_missing


@dataclass(frozen=True)
class Changed:
    """A mailbox that was closed, or opened."""

    mailbox_id: int
    closed: Reason | None  # None: opened


def protect() -> list[Changed]:
    """Close and open the mailboxes as their domains' findings say. Safe to run beside itself and owners' orders."""
    hours = config.settings().dns.close_after_missing_hours
    lasts = None if hours == "off" else timedelta(hours=hours)
    return [changed for it in _look(lasts) if (changed := _act(it.mailbox_id, lasts))]


def _look(lasts: timedelta | None, only: int | None = None) -> list[_Seen]:
    """The mailboxes that must be closed or may be opened.

    lasts: how long a record must be missing; None closes none, and lets those that are closed open.
    """
    seen = rows(_Seen, LOOK, {"lasts": lasts, "only": only})
    return [it for it in seen if it.must_close or it.may_open]


def _act(mailbox_id: int, lasts: timedelta | None) -> Changed | None:
    """Look again under the locks: an owner may have given an order meanwhile."""
    with database.atomic():
        locks.lock_campaigns(mailboxes.used_by(mailbox_id))
        locks.lock_mailboxes([mailbox_id])
        for it in _look(lasts, only=mailbox_id):
            reason = None if it.may_open else _why(it)
            if reason is None:
                mailboxes.reopen(mailbox_id, by=PROTECTION)
            else:
                mailboxes.pause(mailbox_id, by=PROTECTION, reason=reason)
            return Changed(mailbox_id, reason)
    return None


def _why(it: _Seen) -> Reason:
    return Reason(Code.RECORDS_MISSING, domain=it.domain, records=", ".join(it.lasting or ()))
