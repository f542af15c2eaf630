"""Mailboxes: adding, editing, pausing and closing them, and their warm-up counts."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import Literal, NamedTuple

from peewee import IntegrityError, fn

import bounds
from messages import Message, gettext_noop
from models.audit import changes
from models.email import evidence, locks, moves
from models.email.attempts import Conversation
from models.email.claims import Held
from models.email.moves import WITHOUT_FAULTS
from models.owner import notices
from models.owner.notices import Kind
from models.planning import refusals
from models.planning.refusals import Refusal
from models.states import CampaignStatus, MailboxStatus
from models.store import reason_columns, tick_request
from models.store.database import clock, database, fetch, with_next
from models.store.tables import (
    Campaign,
    CampaignMailbox,
    Mailbox,
    MailboxAuthorization,
    MailboxFreeze,
    WarmupCount,
)
from reasons import Code, Reason, Why
from scheduling import providers


class MailboxInvalid(Exception):
    """An order about a mailbox cannot be carried out."""


class NoInbox(MailboxInvalid):
    """The mailbox's inbox must still be read, because campaigns send follow-ups from it."""


class NoSuchMailbox(LookupError):
    """There is no mailbox with this id."""


class SentMail(NamedTuple):
    """Where a mailbox's Sent folder is found."""

    imap_host: str
    imap_port: int
    imap_security: str
    sent_folder: str | None  # None: the one that the server marks


class Ramp(NamedTuple):
    """A young mailbox's limit: ramp_start a day, and ramp_step more after each day on which it sent."""

    ramp_start: int
    ramp_step: int
    ramp_from: date


@dataclass(frozen=True, kw_only=True)
class Edit:
    """What an owner changes: columns of a mailbox. None: it stays as it is."""

    name: str | None = None
    smtp_host: str | None = None
    smtp_port: int | None = None
    smtp_security: str | None = None
    username: str | None = None
    password_encrypted: str | None = None
    daily_limit: int | None = None
    gap_seconds: float | None = None
    sent_mail: SentMail | Literal["nowhere"] | None = None
    one_click: bool | None = None
    ramp: Ramp | Literal["none"] | None = None
    provider: str | None = None  # a key of scheduling/providers.py; "": none of them

    def columns(self) -> dict[str, object]:
        fresh = changes.given(self)
        match fresh.pop("sent_mail", None):
            case SentMail() as where:
                fresh |= where._asdict()
            case "nowhere":
                fresh |= dict.fromkeys(SentMail._fields)
        match fresh.pop("ramp", None):
            case Ramp() as ramp:
                fresh |= ramp._asdict()
            case "none":
                fresh |= dict.fromkeys(Ramp._fields)
        if self.provider is not None:
            fresh["provider"] = self.provider or None
        return fresh


# A change of these replans its campaigns.
_PACE = {"daily_limit", "gap_seconds", "provider", *Ramp._fields}
_LOGIN = {"smtp_host", "smtp_port", "smtp_security", "username", "password_encrypted"}
# A change of these starts a new search for copies of its unknown e-mails.
_LOOK = {"username", "password_encrypted", *SentMail._fields}


def add(
    *,
    address: str,
    name: str,
    smtp_host: str,
    smtp_port: int,
    smtp_security: str,
    username: str | None,
    password_encrypted: str | None,
    daily_limit: int,
    gap_seconds: float,
    by: str,
    sent_mail: SentMail | None = None,
    one_click: bool = False,
    ramp: Ramp | None = None,
    provider: str | None = None,
) -> int:
    """Add a mailbox and return its id. Raises OutOfBounds for its numbers.

    provider: as in Edit; None finds it by the server and the address.
    """
    values: dict[str, object] = {
        "address": address,
        "name": name,
        "smtp_host": smtp_host,
        "smtp_port": smtp_port,
        "smtp_security": smtp_security,
        "username": username,
        "password_encrypted": password_encrypted,
        "daily_limit": daily_limit,
        "gap_seconds": gap_seconds,
        **(sent_mail._asdict() if sent_mail else {}),
        **({"one_click": True} if one_click else {}),
        **(ramp._asdict() if ramp else {}),
        "provider": providers.of(smtp_host, address) if provider is None else provider or None,
    }
    bounds.check(bounds.MAILBOX | bounds.RAMP, values)
    try:
        with database.atomic():
            mailbox_id = int(Mailbox.insert(values).execute())
            changes.record_added(Mailbox, mailbox_id, values, by)
    except IntegrityError as error:
        if "mailbox_address" in str(error):
            raise _taken(address) from None
        raise _refusal(error) from None
    return mailbox_id


def check_is_new(address: str) -> None:
    """Raise MailboxInvalid if there is such a mailbox. address: normalised."""
    if Mailbox.select().where(Mailbox.address == address).exists():
        raise _taken(address)


def _taken(address: str) -> MailboxInvalid:
    return MailboxInvalid(Message(gettext_noop("there is a mailbox %(address)s already"), address=address))


def find(address: str) -> Mailbox:
    row = Mailbox.get_or_none(Mailbox.address == address)
    if row is None:
        raise MailboxInvalid(f"there is no mailbox {address}")
    return row


def get(mailbox_id: int) -> Mailbox:
    row: Mailbox | None = Mailbox.get_or_none(Mailbox.id == mailbox_id)
    if row is None:
        raise NoSuchMailbox(f"there is no mailbox {mailbox_id}")
    return row


def every() -> list[Mailbox]:
    return list(Mailbox.select().order_by(Mailbox.address))


def of_campaign(campaign_id: int) -> list[Mailbox]:
    """The mailboxes that the campaign may send from, by address."""
    links = CampaignMailbox.select(CampaignMailbox.mailbox).where(CampaignMailbox.campaign == campaign_id)
    return list(Mailbox.select().where(Mailbox.id.in_(links)).order_by(Mailbox.address))


def too_small_for(campaign_id: int) -> dict[int, Why]:
    """Mailbox id -> why its server does not take this campaign's letter. Mailboxes that take it are left out."""
    links = CampaignMailbox.select().where(CampaignMailbox.campaign == campaign_id)
    found = {link.mailbox_id: why_closed(link) for link in links}
    return {mailbox_id: why for mailbox_id, why in found.items() if why is not None}


def why_closed(row: Mailbox | CampaignMailbox) -> Why | None:
    return reason_columns.current(row.closed_reason, row.closed_reason_code, row.closed_reason_values)


def why_paused(row: Mailbox) -> Why | None:
    """A Reason if Punktual itself paused it, which the pages show as closed; otherwise the words of who did."""
    why = reason_columns.current(row.paused_reason, row.paused_reason_code, row.paused_reason_values)
    return why if row.status == MailboxStatus.PAUSED else None


def edit(mailbox_id: int, by: str, change: Edit) -> None:
    """Change its servers, password, limit or gap.

    A new limit or gap replans its campaigns from now on. A new login opens the mailbox, because its faults were those
    of the old one, and replans what waited for it. A password replaces OAuth2. A new Sent folder is searched for copies
    at the next tick. Raises OutOfBounds for its numbers, and NoInbox.
    """
    fresh = change.columns()
    bounds.check(bounds.MAILBOX | bounds.RAMP, fresh)
    try:
        _edit(mailbox_id, fresh, by)
    except IntegrityError as error:
        raise _refusal(error) from None


def _edit(mailbox_id: int, fresh: dict[str, object], by: str, verb: str = "edit") -> None:
    is_new_login = bool(_LOGIN & fresh.keys())
    if is_new_login:
        fresh |= _working()
    with database.atomic():
        campaigns = locks.lock_campaigns(used_by(mailbox_id))
        row = _locked(mailbox_id)
        if row.imap_host is not None and fresh.get("imap_host", row.imap_host) is None:
            _check_nothing_needs_its_inbox(row)
        if "smtp_host" in fresh and "provider" not in fresh:
            fresh["provider"] = providers.of(str(fresh["smtp_host"]), row.address)
        is_new_pace = changes.differ(row, {name: fresh[name] for name in _PACE & fresh.keys()})
        is_opened = is_new_login and row.closed_until is not None and row.closed_until > clock()
        if "password_encrypted" in fresh:
            MailboxAuthorization.delete().where(MailboxAuthorization.mailbox == mailbox_id).execute()
        _write(mailbox_id, fresh, by, verb)
        if is_new_pace or is_opened:
            ids = [row.id for row in campaigns if row.status == CampaignStatus.ACTIVE]
            reason = Code.RESUMED if is_opened else Code.EDITED
            Campaign.update(replan_reason=reason).where(Campaign.id.in_(ids)).execute()
        if is_new_login:
            _open_to_letters(mailbox_id)
            notices.over(Kind.MAILBOX, mailbox_id)
        if _LOOK & fresh.keys():
            evidence.forget(mailbox_id)


# Campaigns whose next letters would wait for it for ever.
NEEDING = """
SELECT c.name FROM campaign_mailbox b JOIN campaign c ON c.id = b.campaign_id
WHERE b.mailbox_id = %s AND c.status IN ('draft', 'active', 'paused') AND NOT c.follow_up_without_inbox
  AND EXISTS (SELECT FROM campaign_step s WHERE s.campaign_id = c.id AND s.position > 1 AND s.removed_at IS NULL)
ORDER BY c.name
"""


def _check_nothing_needs_its_inbox(row: Mailbox) -> None:
    if names := [repr(name) for (name,) in fetch(NEEDING, (row.id,))]:
        template = gettext_noop(
            "%(mailbox)s must keep its IMAP settings: without them nobody would see an answer before a follow-up of"
            " %(names)s; take it from there first, or set follow_up_without_inbox there"
        )
        raise NoInbox(Message(template, mailbox=row.address, names=", ".join(names)))


def authorize(mailbox_id: int, by: str, username: str, authorization: Mapping[str, object]) -> None:
    """Log in with OAuth2 from now on, instead of a password. authorization: its columns, see authorizations.py."""
    with database.atomic():
        _edit(mailbox_id, {"username": username, "password_encrypted": None}, by, "authorize")
        MailboxAuthorization.insert(mailbox=mailbox_id, authorized_by=by, **authorization).execute()
        shown = {name: [None, authorization[name]] for name in ("provider", "client_id")}
        changes.record_of_mailbox(mailbox_id, shown, by, "authorize")


def used_by(mailbox_id: int) -> list[int]:
    """The ids of the campaigns that may send from it."""
    links = CampaignMailbox.select(CampaignMailbox.campaign).where(CampaignMailbox.mailbox == mailbox_id)
    return [row.campaign_id for row in links]


def sent_mail(row: Mailbox) -> SentMail | None:
    """Where the mailbox's Sent folder is found. None if it is not configured."""
    if row.imap_host is None or row.imap_port is None or row.imap_security is None:
        return None
    return SentMail(row.imap_host, row.imap_port, row.imap_security, row.sent_folder)


def _refusal(error: IntegrityError) -> Exception:
    if "imap_has_its_username" in str(error):
        return MailboxInvalid(Message(gettext_noop("an IMAP server wants the mailbox's user name")))
    return error


def freeze(mailbox_id: int, first: date, last: date, by: str) -> None:
    """Send nothing on these Warsaw days, both included. What is planned for them is planned again."""
    if last < first:
        template = gettext_noop("a freeze must not end before it begins: %(first)s to %(last)s")
        raise MailboxInvalid(Message(template, first=first, last=last))
    values: dict[str, list[object]] = {f"freeze {first}": [None, str(last)]}
    with _replanned(mailbox_id, values, by, "freeze"):
        MailboxFreeze.insert(mailbox=mailbox_id, first_day=first, last_day=last).execute()


def unfreeze(mailbox_id: int, today: date, by: str) -> int:
    """Take back all freezes that are not over. Returns how many."""
    current = MailboxFreeze.mailbox == mailbox_id, MailboxFreeze.last_day >= today
    found = freezes(mailbox_id, today)
    values: dict[str, list[object]] = {f"freeze {it.first_day}": [str(it.last_day), None] for it in found}
    if found:
        with _replanned(mailbox_id, values, by, "unfreeze"):
            MailboxFreeze.delete().where(*current).execute()
    return len(found)


def freezes(mailbox_id: int, today: date) -> list[MailboxFreeze]:
    """The mailbox's freezes that are not over, in order."""
    current = MailboxFreeze.mailbox == mailbox_id, MailboxFreeze.last_day >= today
    return list(MailboxFreeze.select().where(*current).order_by(MailboxFreeze.first_day))


@contextmanager
def _replanned(mailbox_id: int, values: Mapping[str, list[object]], by: str, verb: str) -> Iterator[None]:
    """Record a change of the days on which the mailbox sends, and replan its campaigns from now on.

    The change itself is made inside the `with` block. values: name -> [old, new].
    """
    with database.atomic():
        campaigns = locks.lock_campaigns(used_by(mailbox_id))
        _locked(mailbox_id)
        yield
        Mailbox.update(revision=Mailbox.revision + 1).where(Mailbox.id == mailbox_id).execute()
        changes.record_of_mailbox(mailbox_id, values, by, verb)
        ids = [row.id for row in campaigns if row.status == CampaignStatus.ACTIVE]
        Campaign.update(replan_reason=Code.EDITED).where(Campaign.id.in_(ids)).execute()
        tick_request.ask_for_tick()


def pause(mailbox_id: int, by: str, reason: Why | None = None) -> None:
    """Pause the mailbox. reason: a Reason if Punktual itself pauses it, else the words of who does."""
    paused = {"status": MailboxStatus.PAUSED, "paused_by": by, **reason_columns.written(reason, "paused_reason")}
    _order(mailbox_id, paused, by, "pause", reason)


def resume(mailbox_id: int, by: str) -> None:
    """Open it after a pause or after faults, and replan its campaigns from now on."""
    with database.atomic():
        reopen(mailbox_id, by, _working())
        _open_to_letters(mailbox_id)


def reopen(mailbox_id: int, by: str, more: Mapping[str, object] = MappingProxyType({})) -> None:
    """Open it after a pause only: a fault's pause goes on. more: further columns."""
    with database.atomic():
        campaigns = locks.lock_campaigns(used_by(mailbox_id))
        opened = {"status": MailboxStatus.ACTIVE, "paused_by": None, **reason_columns.written(None, "paused_reason")}
        _order(mailbox_id, {**opened, **more}, by, "resume")
        ids = [row.id for row in campaigns if row.status == CampaignStatus.ACTIVE]
        Campaign.update(replan_reason=fn.COALESCE(Campaign.replan_reason, Code.RESUMED)).where(
            Campaign.id.in_(ids)
        ).execute()


def _working() -> dict[str, object]:
    """The columns of a mailbox that a person confirmed to work: earlier refusals no longer count against it."""
    return {**WITHOUT_FAULTS, "watched_from": clock()}


def _open_to_letters(mailbox_id: int) -> None:
    opened = CampaignMailbox.update(closed_reason=None).where(CampaignMailbox.mailbox == mailbox_id)
    opened.where(CampaignMailbox.closed_reason.is_null(False)).execute()


def _order(mailbox_id: int, fresh: dict[str, object], by: str, verb: str, reason: Why | None = None) -> None:
    with database.atomic():
        _write(mailbox_id, fresh, by, verb, reason)
        notices.over(Kind.MAILBOX, mailbox_id)


def _write(mailbox_id: int, fresh: dict[str, object], by: str, verb: str, reason: Why | None = None) -> None:
    row = _locked(mailbox_id)
    # No plan depends on its Sent folder, or on what its e-mails offer.
    planned_from = fresh.keys() - {*SentMail._fields, "one_click"}
    revision = {"revision": Mailbox.revision + 1} if planned_from else {}
    if fresh:
        Mailbox.update({**fresh, **revision}).where(Mailbox.id == mailbox_id).execute()
    changes.record(row, fresh, by, verb, reason)
    tick_request.ask_for_tick()


def _locked(mailbox_id: int) -> Mailbox:
    for row in locks.lock_mailboxes([mailbox_id]):
        return row
    raise NoSuchMailbox(f"there is no mailbox {mailbox_id}")


def close_after(
    held: Held,
    conversation: Conversation,
    pause: Callable[[int], timedelta],
    *,
    refusal: Refusal | None = None,
) -> datetime | None:
    """Release an e-mail that failed by its mailbox's fault, and close the mailbox. None: the claim is no longer held.

    In one transaction: otherwise the e-mail could stay claimed until its lease ends, or one fault be counted twice.
    pause: as for close(). refusal: read in the caller's transaction, if other e-mails' answers blame the mailbox: those
    that failed with the same answer are then to be reopened. Returns until when it is closed.
    """
    with database.transaction():
        found, fault = refusal or refusals.read(held.email_id), conversation.reason
        if not moves.release_for_its_mailbox(held, Reason(Code.MAILBOX_FAULT, because=fault), conversation):
            return None
        blamed_from = refusal.counting_from if refusal else None
        if blamed_from is not None:
            tick_request.ask_for_tick()
        until = found.now + pause(found.faults)
        _close(found.mailbox_id, fault, until, conversation.phase, conversation.code, blamed_from)
    return until


def close(
    mailbox_id: int,
    reason: Why,
    pause: Callable[[int], timedelta],
    phase: str | None = None,
    code: int | None = None,
) -> datetime:
    """Close it after a fault. The first e-mail after the pause shows whether it works again.

    pause: the number of faults in a row before this one -> how long. phase: of the conversation. code: of the server's
    reply, if it gave one. Returns until when it is closed.
    """
    with database.transaction():
        row = _locked(mailbox_id)
        until = clock() + pause(row.faults)
        _close(mailbox_id, reason, until, phase, code)
    return until


def _close(
    mailbox_id: int,
    reason: Why,
    until: datetime,
    phase: str | None,
    code: int | None,
    blamed_from: datetime | None = None,
) -> None:
    """Write that the mailbox is closed. The caller holds its lock.

    blamed_from: answers since then were the mailbox's fault.
    """
    closed = {
        "closed_until": until,
        **reason_columns.written(reason, "closed_reason"),
        "closed_phase": phase,
        "closed_code": code,
    }
    counted = {"faults": Mailbox.faults + 1, "revision": Mailbox.revision + 1}
    blamed = {"blamed_from": fn.LEAST(Mailbox.blamed_from, blamed_from)}
    with_next(*Mailbox.update({**closed, **counted, **blamed}).where(Mailbox.id == mailbox_id).sql())


def record_warmup(mailbox_id: int, day: date, count: int, by: str) -> None:
    """Set how many warm-up e-mails were sent from the mailbox on a Warsaw day. Idempotent.

    Raises OutOfBounds.
    """
    bounds.check(bounds.WARMUP, {"count": count})
    with database.atomic():
        _locked(mailbox_id)
        row = WarmupCount.get_or_none(WarmupCount.mailbox == mailbox_id, WarmupCount.day == day)
        before = None if row is None else row.count
        if before == count:
            return
        insert = WarmupCount.insert(mailbox=mailbox_id, day=day, count=count)
        insert.on_conflict(
            conflict_target=[WarmupCount.mailbox, WarmupCount.day], update={WarmupCount.count: count}
        ).execute()
        Mailbox.update(revision=Mailbox.revision + 1).where(Mailbox.id == mailbox_id).execute()
        changes.record_of_mailbox(mailbox_id, {f"warmup {day}": [before, count]}, by, "record warm-up")
