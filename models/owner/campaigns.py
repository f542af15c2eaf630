"""Campaigns and their leads: adding, starting, pausing, editing, cancelling and completing them."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

from peewee import IntegrityError, fn

import bounds
from bounds import LONGEST_REASON
from messages import Message, gettext_noop
from models.audit import changes
from models.email import batch_moves, former_mailboxes, locks, moves, recipients, remaining, windows
from models.email.attempts import Conversation
from models.email.claims import EARLIER_SUBJECT, Attempt
from models.owner import notices, steps
from models.owner.notices import Kind
from models.owner.steps import LaterStep as LaterStep
from models.people import forgotten, lead_import
from models.people.lead_import import NewLead as NewLead
from models.states import PROTECTION, CampaignStatus
from models.store import reason_columns, tick_request
from models.store.database import clock, database, execute, fetch, rows, with_next
from models.store.tables import CLOCK, Campaign, CampaignLead, CampaignMailbox, CampaignStep, Mailbox
from reasons import Code, Reason, Why
from scheduling.window import Window, WindowInvalid, warsaw_day

_ENDED = {CampaignStatus.COMPLETED, CampaignStatus.CANCELLED}
# Refusals from before no longer count against it.
_ACTIVE: dict[str, object] = {
    "status": CampaignStatus.ACTIVE,
    "watched_from": CLOCK,
    "paused_by": None,
    **reason_columns.written(None, "paused_reason"),
}


class CampaignInvalid(Exception):
    """An order about a campaign cannot be carried out."""


class NameTaken(CampaignInvalid):
    """Another campaign has this name."""


class NoSuchCampaign(LookupError):
    """There is no campaign with this id."""


SEQUENCE_SETTINGS = ("new_leads_per_day", "follow_up_share", "follow_up_without_inbox")


@dataclass(frozen=True)
class NewCampaign:
    name: str
    subject: str
    text: str
    html: str | None
    mailbox_ids: Sequence[int]
    window: Window
    delay_seconds: float
    daily_limit: int
    later_steps: Sequence[LaterStep] = ()
    new_leads_per_day: int | None = None
    follow_up_share: int = 70
    follow_up_without_inbox: bool = False
    stop_in_all_campaigns: bool = False  # a reply stops the lead in all of them
    stop_colleagues: bool = False  # and the leads at the same domain


@dataclass(frozen=True)
class FollowUpsOf:
    """What becomes of the sequences of a mailbox that the campaign does not have any more."""

    mailbox_id: int
    goes_on_from: int | None  # another of its mailboxes, each with a new thread; None: they end


# As the last day of an edit: the campaign gets none.
NO_END = date.max
# As new leads per day: as many as the daily limit lets.
NO_BOUND = 0


@dataclass(frozen=True)
class Letter:
    """The templates of a campaign's first step."""

    subject: str
    text: str
    html: str | None
    checked_to: int  # the turn of the last lead for whom it was composed: it must fit all of them


@dataclass(frozen=True, kw_only=True)
class Edit:
    """What an owner changes. None: it stays as it is."""

    name: str | None = None
    letter: Letter | None = None
    mailbox_ids: Sequence[int] | None = None
    later_steps: Sequence[LaterStep] | None = None
    window_start_minute: int | None = None
    window_end_minute: int | None = None
    weekdays: Sequence[int] | None = None
    delay_seconds: float | None = None
    daily_limit: int | None = None
    send_on_holidays: bool | None = None
    last_day: date | None = None
    stop_in_all_campaigns: bool | None = None
    stop_colleagues: bool | None = None
    new_leads_per_day: int | None = None
    follow_up_share: int | None = None
    follow_up_without_inbox: bool | None = None
    follow_ups_of: FollowUpsOf | None = None


def add(new: NewCampaign, people: Sequence[NewLead], by: str) -> int:
    """Insert a draft with all its leads, or nothing. See add_staged()."""
    with database.atomic():
        lead_import.stage_only(people)
        return add_staged(new, by).id


@dataclass(frozen=True)
class AddedCampaign:
    id: int
    leads: int


def add_staged(new: NewCampaign, by: str) -> AddedCampaign:
    """Insert a draft with the leads that are staged, or nothing. Leads who were forgotten are left out.

    Raises CampaignInvalid if no lead is left, and forgotten.KeyMissing.
    """
    with database.atomic():
        forgotten.lock_forgetting()
        if lead_import.leave_out_forgotten() and not lead_import.any_staged():
            raise CampaignInvalid("every lead of it was forgotten")
        campaign_id = _insert(new, by)
        return AddedCampaign(campaign_id, lead_import.write_new(campaign_id))


def _insert(new: NewCampaign, by: str) -> int:
    pace = {
        "window_start_minute": new.window.start_minute,
        "window_end_minute": new.window.end_minute,
        "weekdays": sorted(new.window.weekdays),
        "send_on_holidays": new.window.on_holidays,
        "last_day": new.window.last_day,
        "delay_seconds": new.delay_seconds,
        "daily_limit": new.daily_limit,
    }
    of_sequence = {name: getattr(new, name) for name in SEQUENCE_SETTINGS}
    bounds.check({**bounds.CAMPAIGN, **bounds.SEQUENCE}, pace | of_sequence)
    try:
        values = {"name": new.name, **pace, **_stops(new), **of_sequence}
        campaign_id = int(Campaign.insert(values).execute())
    except IntegrityError as error:
        raise _refusal(error, new.name) from None
    letter = {"subject": new.subject, "text": new.text, "html": new.html}
    CampaignStep.insert(campaign=campaign_id, position=1, **letter).execute()
    try:
        steps.change(campaign_id, new.later_steps, by)
    except steps.StepsInvalid as error:
        raise CampaignInvalid(str(error)) from None
    links = [{"campaign": campaign_id, "mailbox": mailbox} for mailbox in new.mailbox_ids]
    CampaignMailbox.insert_many(links).execute()
    told = {**pace, **_stops(new), **(of_sequence if new.later_steps else {})}
    changes.record_added(Campaign, campaign_id, told, by)
    return campaign_id


_STOPS = ("stop_in_all_campaigns", "stop_colleagues")


def _stops(new: NewCampaign) -> dict[str, object]:
    """The stop switches that are on."""
    return {name: True for name in _STOPS if getattr(new, name)}


@dataclass(frozen=True)
class AddedLeads:
    new: int
    changed: int  # were there already, and have new fields


def add_staged_leads(campaign_id: int, by: str) -> AddedLeads:
    """Put the leads that are staged behind the campaign's own; those that it has already get their staged fields.

    Leads with an e-mail that is on its way or has its result stay as they are. A completed campaign that gets new leads
    is paused: nothing is sent from it until a person resumes it. Leads who were forgotten are left out. Raises
    forgotten.KeyMissing.
    """
    with database.atomic():
        forgotten.lock_forgetting()
        lead_import.leave_out_forgotten()
        before = lead_import.count(campaign_id)
        new = lead_import.write_new(campaign_id)
        row = _locked(campaign_id)
        check_takes_leads(row)
        changed = lead_import.write_changed(campaign_id)
        values: dict[str, list[object]] = {"leads": [before, before + new]} if new else {}
        if changed:
            values["leads_changed"] = [0, changed]
        if values:
            _write_unrecorded(row, {})
            changes.record_of_campaign(campaign_id, values, by, "add_leads")
        if new and row.status == CampaignStatus.COMPLETED:
            reason = Reason(Code.LEADS_ADDED)
            paused = {"paused_by": by, **reason_columns.written(reason, "paused_reason")}
            _write(row, {"status": CampaignStatus.PAUSED, **paused}, by, "pause", reason)
    return AddedLeads(new, changed)


def check_takes_leads(row: Campaign) -> None:
    if row.status == CampaignStatus.CANCELLED:
        raise CampaignInvalid(f"cannot add leads to the campaign {row.name!r}: it is {row.status}")


def find(name: str) -> Campaign:
    """The campaign with this name; of those that were cancelled under it only the latest, if there is no other."""
    named = Campaign.select().where(Campaign.name == name)
    row: Campaign | None = named.order_by(Campaign.status == CampaignStatus.CANCELLED, Campaign.id.desc()).first()
    if row is None:
        raise CampaignInvalid(f"there is no campaign {name!r}")
    return row


def get(campaign_id: int) -> Campaign:
    row: Campaign | None = Campaign.get_or_none(Campaign.id == campaign_id)
    if row is None:
        raise NoSuchCampaign(f"there is no campaign {campaign_id}")
    return row


def every() -> list[Campaign]:
    return list(Campaign.select().order_by(Campaign.id))


SUBJECTS = f"""
SELECT COALESCE(s.subject, 'Re: ' || {EARLIER_SUBJECT})
FROM campaign_step s WHERE s.campaign_id = %s AND s.removed_at IS NULL ORDER BY s.position
"""  # noqa: S608  # only our own words


def subjects(campaign_id: int) -> list[str]:
    """The subjects of its steps, in order. A step without its own has "Re: " and that of the letters it answers."""
    return [subject for (subject,) in fetch(SUBJECTS, (campaign_id,))]


@dataclass(frozen=True)
class StoredLetter:
    subject: str | None  # None: it answers the letters before it
    text: str
    html: str | None


LETTERS = """
SELECT subject, text, html FROM campaign_step WHERE campaign_id = %s AND removed_at IS NULL ORDER BY position
"""


def letters(campaign_id: int) -> list[StoredLetter]:
    """The templates of its steps, in their order."""
    return rows(StoredLetter, LETTERS, (campaign_id,))


def has_leads(campaign_id: int) -> bool:
    return CampaignLead.select().where(CampaignLead.campaign == campaign_id).exists()


def start(campaign_id: int, by: str) -> None:
    row = get(campaign_id)
    if row.status == CampaignStatus.DRAFT and not has_leads(row.id):
        raise CampaignInvalid(Message(gettext_noop("the campaign %(name)s has no leads"), name=repr(row.name)))
    if _is_over(row.last_day):
        template = gettext_noop("cannot start the campaign %(name)s: its last day %(day)s is over")
        raise CampaignInvalid(Message(template, name=repr(row.name), day=row.last_day))
    _change(campaign_id, _ACTIVE, allowed={CampaignStatus.DRAFT}, verb="start", by=by)


def pause(campaign_id: int, by: str, reason: Why | None = None) -> None:
    """Pause an active campaign. After the commit no claim and no hand-over of its e-mails succeeds."""
    _change(campaign_id, _paused(by, reason), allowed={CampaignStatus.ACTIVE}, verb="pause", by=by, reason=reason)


def _paused(by: str, reason: Why | None) -> dict[str, object]:
    return {
        "status": CampaignStatus.PAUSED,
        "paused_by": by,
        **reason_columns.written(reason, "paused_reason"),
    }


def resume(campaign_id: int, by: str) -> None:
    """Resume a paused campaign: replan its pending e-mails from now on, in the same order, in new slots.

    Earlier refusals no longer count.
    """
    resumed = {**_ACTIVE, "replan_reason": Code.RESUMED}
    row = get(campaign_id)
    if row.status == CampaignStatus.PAUSED and _is_over(row.last_day):
        template = gettext_noop("cannot resume the campaign %(name)s: its last day %(day)s is over")
        raise CampaignInvalid(Message(template, name=repr(row.name), day=row.last_day))
    with database.atomic():
        _change(campaign_id, resumed, allowed={CampaignStatus.PAUSED}, verb="resume", by=by)
        _open_to_its_letter(campaign_id)
        notices.over(Kind.CAMPAIGN, campaign_id)


def reactivate(campaign_id: int, by: str, reason: Why) -> None:
    """Make it active again if it was completed, because some of its e-mails are tried again."""
    row = _locked(campaign_id)
    if row.status == CampaignStatus.COMPLETED:
        _write(row, _ACTIVE, by, "retry", reason)


def edit(campaign_id: int, by: str, change: Edit) -> bool:
    """Change what a campaign file says. A new window, delay, limit or mailbox replans its e-mails from now on.

    What is being sent is left alone: a claim has its letter and its mailbox already. Returns whether anything changed.
    Raises OutOfBounds, and CampaignInvalid for what is impossible beside what stays as it is.
    """
    fresh = changes.given(change)
    for its_own in ("letter", "mailbox_ids", "later_steps", "follow_ups_of"):
        fresh.pop(its_own, None)
    if change.new_leads_per_day == NO_BOUND:
        fresh["new_leads_per_day"] = None
    bounds.check({**bounds.CAMPAIGN, **bounds.SEQUENCE}, fresh)
    with database.atomic():
        row = _locked(campaign_id)
        if row.status in _ENDED:
            raise CampaignInvalid(f"cannot edit the campaign {row.name!r}: it is {row.status}")
        if {"window_start_minute", "window_end_minute", "weekdays"} & fresh.keys():
            _check_window(row, change)
        if change.last_day == NO_END:
            fresh["last_day"] = None
        elif change.last_day not in (None, row.last_day):
            _check_last_day(row, change.last_day)
        others = ("name", *_STOPS, *SEQUENCE_SETTINGS)
        pace = {name: value for name, value in fresh.items() if name not in others}
        its = _mailbox_ids(row.id)
        moved = {} if change.mailbox_ids is None else _change_mailboxes(row, its, change.mailbox_ids)
        letter = {} if change.letter is None else _change_letter(row, change.letter)
        more = {**letter, **_change_steps(row, change, by), **moved}
        if moved and steps.of(row.id) and not fresh.get("follow_up_without_inbox", row.follow_up_without_inbox):
            _check_inboxes(row, _mailbox_ids(row.id) - its)
        more |= _decide(row, change.follow_ups_of, by) if change.follow_ups_of else {}
        if not more and not changes.differ(row, fresh):
            return False
        replan = {"replan_reason": Code.EDITED} if moved or changes.differ(row, pace) else {}
        if change.name is not None:
            _rename(row, change.name)
        _write(row, {**fresh, **replan}, by, "edit", more=more)
        return True


def decision(campaign_id: int, mailbox_id: int, goes_on_from: int | None) -> Edit:
    """The edit by which a mailbox's sequences end or go on from another; see FollowUpsOf.

    It takes the first from the campaign and adds the other, where that is not so already.
    """
    its = _mailbox_ids(campaign_id)
    wanted = (its - {mailbox_id}) | ({goes_on_from} if goes_on_from else set())
    order = FollowUpsOf(mailbox_id, goes_on_from)
    return Edit(follow_ups_of=order, mailbox_ids=None if wanted == its else sorted(wanted))


def _is_over(last_day: date | None) -> bool:
    return last_day is not None and last_day < warsaw_day(clock())


def _check_last_day(row: Campaign, day: date | None) -> None:
    """Refuse a last day in the past: it would end the campaign at once."""
    if _is_over(day):
        template = gettext_noop("cannot edit the campaign %(name)s: %(day)s is over; to end it now, cancel it")
        raise CampaignInvalid(Message(template, name=repr(row.name), day=day))


def _rename(row: Campaign, name: str) -> None:
    """Write the new name at once, so that a name that is taken is refused here."""
    try:
        Campaign.update(name=name).where(Campaign.id == row.id).execute()
    except IntegrityError as error:
        raise _refusal(error, name) from None


def _change_letter(row: Campaign, letter: Letter) -> dict[str, list[object]]:
    """Change the templates of the first step. Returns what changed: name -> [old, new]."""
    if last_turn(row.id) > letter.checked_to:
        template = gettext_noop("leads were added to %(name)s while its letter was checked: try again")
        raise CampaignInvalid(Message(template, name=repr(row.name)))
    step = CampaignStep.get(CampaignStep.campaign == row.id, CampaignStep.position == 1)
    fresh = {name: getattr(letter, name) for name in ("subject", "text", "html")}
    changed = {name: [getattr(step, name), it] for name, it in fresh.items() if getattr(step, name) != it}
    if changed:
        CampaignStep.update(fresh).where(CampaignStep.id == step.id).execute()
        # A mailbox whose server did not take the letter before may take this one.
        _open_to_its_letter(row.id)
    return changed


def _change_steps(row: Campaign, change: Edit, by: str) -> dict[str, list[object]]:
    """Change the later steps. Returns what changed: name -> [old, new]."""
    if change.later_steps is None:
        return {}
    try:
        return steps.change(row.id, change.later_steps, by)
    except steps.StepsInvalid as error:
        raise CampaignInvalid(f"cannot edit the campaign {row.name!r}: {error}") from None


def _mailbox_ids(campaign_id: int) -> set[int]:
    return {it.mailbox_id for it in CampaignMailbox.select().where(CampaignMailbox.campaign == campaign_id)}


def _check_inboxes(row: Campaign, mailbox_ids: Collection[int]) -> None:
    """Raise CampaignInvalid if a mailbox has no inbox to read: its follow-ups would wait for ever."""
    # Locked, so that none loses its IMAP settings meanwhile.
    if addresses := sorted(it.address for it in locks.lock_mailboxes(mailbox_ids) if it.imap_host is None):
        raise CampaignInvalid(nobody_sees_answers(row, addresses))


def nobody_sees_answers(row: Campaign, addresses: Sequence[str]) -> Message:
    """Why the campaign cannot send follow-ups from the mailboxes with these addresses."""
    template = gettext_noop(
        "nobody would see an answer to %(mailbox)s before a follow-up: give it IMAP settings, or set"
        " follow_up_without_inbox for %(name)s"
    )
    return Message(template, name=repr(row.name), mailbox=", ".join(addresses))


def _change_mailboxes(row: Campaign, before: set[int], wanted: Sequence[int]) -> dict[str, list[object]]:
    """Change the mailboxes. Returns what changed: name -> [old, new], by address.

    The pending e-mails of a removed mailbox are not claimed any more.
    """
    after = set(wanted)
    if not after:
        raise CampaignInvalid(Message(gettext_noop("the campaign %(name)s needs a mailbox"), name=repr(row.name)))
    if before == after:
        return {}
    CampaignMailbox.delete().where(
        CampaignMailbox.campaign == row.id, CampaignMailbox.mailbox.in_(sorted(before - after))
    ).execute()
    if added := sorted(after - before):
        locks.lock_mailboxes(added)  # before the e-mails of removed steps, to keep the lock order
        CampaignMailbox.insert_many([{"campaign": row.id, "mailbox": it} for it in added]).execute()
    former_mailboxes.left(row.id, before - after)
    former_mailboxes.joined(row.id, after - before)
    addresses = _addresses(before | after)
    return {"mailboxes": [sorted(addresses[it] for it in ids) for ids in (before, after)]}


def _addresses(ids: Collection[int]) -> dict[int, str]:
    return {it.id: it.address for it in Mailbox.select().where(Mailbox.id.in_(sorted(ids)))}


def _decide(row: Campaign, order: FollowUpsOf, by: str) -> dict[str, list[object]]:
    """Decide about the follow-ups of a removed mailbox. Returns what changed: name -> [old, new], by address."""
    its = _mailbox_ids(row.id)
    addresses = _addresses({order.mailbox_id, order.goes_on_from or order.mailbox_id})
    names = {"name": repr(row.name), "mailbox": addresses[order.mailbox_id]}
    if order.goes_on_from is not None and order.goes_on_from not in its:
        template = gettext_noop("%(mailbox)s is none of the mailboxes of %(name)s")
        raise CampaignInvalid(Message(template, name=names["name"], mailbox=addresses[order.goes_on_from]))
    if order.goes_on_from is not None and not row.follow_up_without_inbox:
        _check_inboxes(row, {order.goes_on_from})
    if order.mailbox_id in its:
        raise CampaignInvalid(Message(gettext_noop("%(mailbox)s is still a mailbox of %(name)s"), **names))
    if not former_mailboxes.decide(row.id, order.mailbox_id, order.goes_on_from):
        raise CampaignInvalid(Message(gettext_noop("%(mailbox)s sent nothing for %(name)s"), **names))
    former_mailboxes.cancel_ended(by, row.id)
    then = addresses[order.goes_on_from] if order.goes_on_from else None
    return {f"follow_ups_of {names['mailbox']}": [names["mailbox"], then]}


def _refusal(error: IntegrityError, name: str | None) -> Exception:
    if "campaign_name" in str(error):
        return NameTaken(Message(gettext_noop("there is a campaign %(name)s already"), name=repr(name)))
    return error


def letter(campaign_id: int) -> tuple[str, str, str | None]:
    """The subject, text and HTML templates of its first step."""
    step = CampaignStep.get(CampaignStep.campaign == campaign_id, CampaignStep.position == 1)
    return step.subject or "", step.text, step.html  # a first step has a subject


UNSENT = """
SELECT l.position, l.address, l.fields FROM campaign_lead l JOIN lead p ON p.id = l.lead_id
WHERE l.campaign_id = %(campaign)s AND l.position > %(after)s AND p.forgotten_at IS NULL
  AND NOT EXISTS (SELECT FROM campaign_email_queue q
                  WHERE q.campaign_lead_id = l.id AND NOT q.skipped
                    AND (q.status = 'cancelled' OR q.status = 'sent' AND q.step_id = (
                      SELECT s.id FROM campaign_step s WHERE s.campaign_id = %(campaign)s AND s.removed_at IS NULL
                      ORDER BY s.position DESC LIMIT 1)))
ORDER BY l.position LIMIT 1000
"""


def unsent_leads(campaign_id: int) -> Iterator[tuple[int, str, dict[str, str]]]:
    """Turn, address and fields of each lead who may still get one of its letters, in order."""
    after = 0
    while found := fetch(UNSENT, {"campaign": campaign_id, "after": after}):
        yield from found
        after = found[-1][0]


def last_turn(campaign_id: int) -> int:
    """The turn of the campaign's last lead; 0 if it has none."""
    last = CampaignLead.select(fn.COALESCE(fn.MAX(CampaignLead.position), 0))
    return int(last.where(CampaignLead.campaign == campaign_id).scalar())


def _check_window(row: Campaign, change: Edit) -> None:
    start = row.window_start_minute if change.window_start_minute is None else change.window_start_minute
    end = row.window_end_minute if change.window_end_minute is None else change.window_end_minute
    weekdays = row.weekdays if change.weekdays is None else change.weekdays
    try:
        Window(start, end, frozenset(weekdays))
    except WindowInvalid as error:
        raise CampaignInvalid(str(error)) from None


def delete(campaign_id: int, by: str) -> int:
    """Delete a draft with its leads, of which nothing was ever sent. Returns how many leads it had.

    What was done to it stays in the audit log of the installation.
    """
    with database.atomic():
        row = _locked(campaign_id)
        if row.status != CampaignStatus.DRAFT:
            hint = "" if row.status in _ENDED else ": cancel it, and its name is free"
            raise CampaignInvalid(f"cannot delete the campaign {row.name!r}: it is {row.status}, not a draft{hint}")
        count = 0
        while deleted := execute(DELETE_LEADS, (row.id,)):
            count += deleted
        for table in (CampaignMailbox, CampaignStep):
            table.delete().where(table.campaign == row.id).execute()
        changes.move_to_installation(row, count, by)
        Campaign.delete().where(Campaign.id == row.id).execute()
        return count


# In portions, each faster than the statement timeout.
DELETE_LEADS = """
DELETE FROM campaign_lead WHERE id IN (
    SELECT id FROM campaign_lead WHERE campaign_id = %s ORDER BY position LIMIT 10000)
"""


def copy(campaign_id: int, name: str, by: str, *, with_leads: bool) -> int:
    """Insert a draft with the same letters, mailboxes and schedule under another name. Returns its id.

    with_leads: copy the leads too, except those who were forgotten.
    """
    with database.atomic():
        row = _locked(campaign_id)
        subject, text, html = letter(row.id)
        new = NewCampaign(
            name=name,
            subject=subject,
            text=text,
            html=html,
            mailbox_ids=sorted(_mailbox_ids(row.id)),
            window=windows.window_of(row, ()),
            delay_seconds=row.delay_seconds,
            daily_limit=row.daily_limit,
            later_steps=steps.of(row.id),
            **{name: getattr(row, name) for name in (*_STOPS, *SEQUENCE_SETTINGS)},
        )
        copy_id = _insert(new, by)
        if with_leads:
            execute(COPY_LEADS, (copy_id, row.id))
        return copy_id


COPY_LEADS = """
INSERT INTO campaign_lead (campaign_id, lead_id, position, address, fields)
SELECT %s, l.lead_id, l.position, l.address, l.fields FROM campaign_lead l JOIN lead p ON p.id = l.lead_id
WHERE l.campaign_id = %s AND p.forgotten_at IS NULL
"""


def close_to_its_letter(attempt: Attempt, conversation: Conversation) -> bool | None:
    """Release an e-mail whose mailbox's server does not take its campaign's letter; send no more of them from there.

    Returns True if no other mailbox of the campaign takes it: an active campaign is then paused. Returns None if the
    claim is no longer held. A mailbox that was taken from the campaign meanwhile sends no more of them anyway.
    """
    with database.transaction():
        why = conversation.reason
        if not moves.release(attempt.held, why, conversation):
            return None
        joined = CampaignMailbox.select(CampaignMailbox, Campaign, Mailbox)
        joined = joined.join_from(CampaignMailbox, Campaign).join_from(CampaignMailbox, Mailbox)
        links = {link.mailbox_id: link for link in joined.where(CampaignMailbox.campaign == attempt.campaign_id)}
        this = links.pop(attempt.mailbox_id, None)
        if this is None:
            return False
        closed = CampaignMailbox.update(reason_columns.written(why, "closed_reason"))
        with_next(
            *closed.where(CampaignMailbox.campaign == this.campaign, CampaignMailbox.mailbox == this.mailbox).sql()
        )
        if any(link.closed_reason is None for link in links.values()):
            _write_unrecorded(this.campaign, {})
            return False
        if this.campaign.status == CampaignStatus.ACTIVE:
            reason = Reason(Code.LETTER_TOO_LARGE_FOR, mailbox=this.mailbox.address, because=why)
            paused = _paused(PROTECTION, reason)
            _write(this.campaign, paused, PROTECTION, "pause", reason)
        return True


def _open_to_its_letter(campaign_id: int) -> None:
    opened = CampaignMailbox.update(closed_reason=None).where(CampaignMailbox.campaign == campaign_id)
    opened.where(CampaignMailbox.closed_reason.is_null(False)).execute()


def cancel(campaign_id: int, by: str, reason: Why | None = None) -> int:
    """Cancel it, and return how many pending e-mails were cancelled. One being sent is cancelled at its hand-over."""
    with database.atomic():
        cancelled = {"status": CampaignStatus.CANCELLED}
        _change(campaign_id, cancelled, allowed=set(CampaignStatus) - _ENDED, verb="cancel", by=by, reason=reason)
        return batch_moves.cancel_pending(campaign_id, Reason(Code.CAMPAIGN_CANCELLED), by)


def _change(
    campaign_id: int,
    fresh: Mapping[str, object],
    *,
    allowed: set[CampaignStatus],
    verb: str,
    by: str,
    reason: Why | None = None,
) -> None:
    if isinstance(reason, str) and len(reason) > LONGEST_REASON:
        raise CampaignInvalid(str(Reason(Code.REASON_TOO_LONG, most=LONGEST_REASON)))
    with database.atomic():
        row = _locked(campaign_id)
        if row.status not in allowed:
            raise CampaignInvalid(f"cannot {verb} the campaign {row.name!r}: it is {row.status}")
        _write(row, fresh, by, verb, reason)


def _locked(campaign_id: int) -> Campaign:
    for row in locks.lock_campaigns([campaign_id]):
        return row
    raise NoSuchCampaign(f"there is no campaign {campaign_id}")


def _write(
    row: Campaign,
    fresh: Mapping[str, object],
    by: str,
    verb: str,
    reason: Why | None = None,
    more: Mapping[str, list[object]] = MappingProxyType({}),
) -> None:
    """Write the columns and record the change. more: what changed beside its row: name -> [old, new]."""
    _write_unrecorded(row, fresh)
    changes.record(row, fresh, by, verb, reason, more)


def _write_unrecorded(row: Campaign, fresh: Mapping[str, object]) -> None:
    """Write the columns and a new revision, which invalidates plans that were computed before."""
    update = Campaign.update({**fresh, "revision": Campaign.revision + 1})
    with_next(*update.where(Campaign.id == row.id).sql())
    tick_request.ask_for_tick()


# A campaign is complete when every lead that may be written to has a final e-mail of each step. That no e-mail is
# pending now is not enough. The remaining ones are counted last, and only if none is pending, sending or unknown. The
# number of leads left out is recorded: the campaign stays complete even if they may be written to later.
COMPLETE = f"""
WITH finished AS (
    SELECT c.id FROM campaign c
    WHERE c.status = 'active' AND CASE WHEN EXISTS (
            SELECT FROM campaign_email_queue q
            WHERE q.campaign_id = c.id AND q.status IN ('pending', 'sending', 'unknown')) THEN false
        ELSE {remaining.COUNT} = 0 OR c.last_day < %(today)s OR NOT {remaining.IS_TO_BE_PLANNED} END
    ORDER BY c.id FOR NO KEY UPDATE SKIP LOCKED
), completed AS (
    UPDATE campaign c SET status = 'completed', revision = revision + 1 FROM finished WHERE c.id = finished.id
    RETURNING c.id, {remaining.NEW_LEADS} AS left_out, {remaining.LEADS} AS all_left_out
)
INSERT INTO change (by, verb, campaign_id, values)
SELECT %(by)s, 'complete', id, jsonb_build_object('status', jsonb_build_array('active', 'completed'))
    || CASE WHEN left_out > 0 THEN jsonb_build_object('leads_left_out', jsonb_build_array(0, left_out))
            ELSE jsonb_build_object() END
    || CASE WHEN all_left_out > left_out
            THEN jsonb_build_object('leads_not_followed_up', jsonb_build_array(0, all_left_out - left_out))
            ELSE jsonb_build_object() END
FROM completed ORDER BY id
RETURNING campaign_id
"""  # noqa: S608  # only our own words


def complete_finished(by: str) -> list[int]:
    return [row[0] for row in fetch(COMPLETE, {**recipients.rules(), "by": by, "today": warsaw_day(clock())})]


def end_finished(by: str) -> int:
    """Cancel what is still planned of active campaigns whose last day is over. Returns how many e-mails."""
    over = Campaign.select(Campaign.id).where(
        Campaign.status == CampaignStatus.ACTIVE, Campaign.last_day < warsaw_day(clock())
    )
    return sum(_end(row.id, by) for row in over)


def _end(campaign_id: int, by: str) -> int:
    with database.atomic():
        _locked(campaign_id)
        return batch_moves.cancel_pending(campaign_id, Reason(Code.CAMPAIGN_ENDED), by)
