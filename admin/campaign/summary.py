"""What comes of a campaign: how many e-mails, when, from which mailboxes, and what limits it."""

from collections import Counter
from collections.abc import Callable
from datetime import date, datetime
from typing import Annotated

import typer

from admin import show
from models.owner import campaigns, mailboxes
from models.owner.campaigns import CampaignInvalid
from models.planning import usable
from models.states import CampaignStatus
from models.store.tables import Campaign
from models.views import calendars
from models.views.calendars import Calendar
from ops.terminal import escape_controls
from scheduling.window import WARSAW

_MOST_DAYS = 14
# A summary beside another command plays no more: each takes about 0.1 ms.
_MOST_EMAILS = 20_000


def forecast(
    name: Annotated[str, typer.Argument(help="The campaign's name.")],
    every: Annotated[bool, typer.Option("--all", help="List every e-mail with its time, mailbox and lead.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print every e-mail as JSON.")] = False,
) -> None:
    """Show when a campaign's remaining e-mails go if sending continues from now, and what limits it. Changes nothing.

    Example: python -m admin campaign forecast Autumn --all
    """
    row = campaigns.find(name)
    if because := usable.problem(row):
        raise CampaignInvalid(f"{name!r} cannot be planned: {because}")
    found = calendars.of(row, most_left_out=1000)
    if not (every or json):
        print_summary(found)
        return
    addresses, leads = _addresses(), calendars.leads(row.id)
    if json:
        show.as_json(
            [
                {
                    "at": it.at,
                    "campaign_lead_id": it.campaign_lead_id,
                    "step_id": it.step_id,
                    "mailbox_id": it.mailbox_id,
                    "email_id": it.email_id,
                    "lead": leads[it.campaign_lead_id],
                    "mailbox": addresses[it.mailbox_id],
                }
                for it in found.entries
            ]
        )
        return
    rows = [
        (it.at, addresses[it.mailbox_id], leads[it.campaign_lead_id], "planned" if it.email_id else "")
        for it in found.entries
    ]
    show.table(("at", "from", "lead", ""), rows, "nothing is left to send, or no mailbox can send it")
    print()
    print_summary(found)


def print_if_started(row: Campaign) -> None:
    """The summary of a draft, as if it were started now."""
    if not usable.problem(row):
        print_summary(calendars.of(row, _MOST_EMAILS))


def print_difference(row: Campaign, order: Callable[[], object]) -> bool:
    """Print how an order moves the end of the whole calendar, with what is not planned yet. False: it does not."""
    if usable.problem(row):
        return False
    before, after = calendars.of(row, _MOST_EMAILS), calendars.after(order, row.id, _MOST_EMAILS)
    ends = [it.entries[-1].at if it.entries else None for it in (before, after)]
    is_more_than_planned = row.status == CampaignStatus.PAUSED or any(it.email_id is None for it in before.entries)
    is_as_many = len(before.entries) == len(after.entries)
    if is_as_many and (ends[0] == ends[1] or not is_more_than_planned):
        return False
    print(f"before: {escape_controls(sentence(before))}")
    print(f"after:  {escape_controls(sentence(after))}")
    return True


def print_summary(found: Calendar) -> None:
    print(escape_controls(sentence(found)))
    if len(found.days) > 1 or len({box for counts in found.days.values() for box in counts}) > 1:
        print()
        _print_days(found)
    if found.left_out:
        print()
        _print_left_out(found)


def sentence(found: Calendar) -> str:
    """Like: 60 e-mails: 40 Thu 26 Nov, 20 Fri 27 Nov; first …, last …; held by …"""
    count = len(found.entries)
    if not count:
        return f"no e-mails: {found.nowhere or 'none is left to be sent'}"
    first, last = found.entries[0].at, found.entries[-1].at
    parts = [f"{_emails(count)}: {_by_day(found)}", f"first {_moment(first)}, last {_moment(last)}"]
    if found.goes_on:
        parts = [f"the first {parts[0]}", parts[1], "more follow"]
    if found.held_by:
        parts.append(str(found.held_by))
    if found.steady:
        parts.append(str(found.steady))
    if found.nowhere:
        parts.append(f"the rest has no time: {found.nowhere}")
    return "; ".join(parts)


def _emails(count: int) -> str:
    return "1 e-mail" if count == 1 else f"{count} e-mails"


def _by_day(found: Calendar) -> str:
    days = [f"{sum(counts.values())} {day:%a %-d %b}" for day, counts in found.days.items()]
    return ", ".join(days) if len(days) <= 3 else f"{days[0]}, {days[1]}, … {days[-1]}"


def _moment(at: datetime) -> str:
    return f"{at.astimezone(WARSAW):%a %-d %b %H:%M}"


def _print_days(found: Calendar) -> None:
    addresses = _addresses()
    used = Counter[int]()
    for counts in found.days.values():
        used.update(counts)
    boxes = sorted(used, key=lambda box: addresses[box])
    shown = list(found.days.items())[:_MOST_DAYS]
    has_follow_ups = found.follow_ups.total() > 0

    def of_kinds(days: list[date], count: int) -> tuple[int, ...]:
        """All e-mails; of a sequence also the new leads and the follow-ups among them."""
        follow_ups = sum(found.follow_ups[day] for day in days)
        return (count, count - follow_ups, follow_ups) if has_follow_ups else (count,)

    rows: list[tuple[object, ...]] = [
        (_day(day), *of_kinds([day], sum(counts.values())), *(counts[box] or "" for box in boxes))
        for day, counts in shown
    ]
    if (more := len(found.days) - len(shown)) > 0:
        later = list(found.days)[_MOST_DAYS:]
        rest = sum(sum(found.days[day].values()) for day in later)
        rows.append((f"{more} more days", *of_kinds(later, rest), *("" for _ in boxes)))
    rows.append(("all", *of_kinds(list(found.days), sum(used.values())), *(used[box] for box in boxes)))
    kinds = ("e-mails", "new leads", "follow-ups") if has_follow_ups else ("e-mails",)
    show.table(("day", *kinds, *(addresses[box] for box in boxes)), rows, "")


def _day(day: date) -> str:
    return f"{day:%a %Y-%m-%d}"


def _print_left_out(found: Calendar) -> None:
    count = found.left_out_count
    print("1 lead will not be written to:" if count == 1 else f"{count} leads will not be written to:")
    show.table(("lead", "why"), [(it.address, it.why) for it in found.left_out], "")
    if (more := count - len(found.left_out)) > 0:
        print(f"and {more} more")


def _addresses() -> dict[int, str]:
    return {row.id: row.address for row in mailboxes.every()}
