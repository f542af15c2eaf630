"""Converts rows of campaigns and mailboxes to the planner's input, or says why a row is unusable.

CHECK constraints should prevent unusable rows. If one exists anyway it must not stop planning the others.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import TypeVar

from models.email.windows import window_of
from models.states import CampaignStatus, MailboxStatus
from models.store.tables import Campaign, Mailbox
from scheduling import planner
from scheduling.window import Days

Row = TypeVar("Row", Campaign, Mailbox)


def campaign(row: Campaign, frozen: tuple[Days, ...] = ()) -> planner.Campaign:
    """A campaign as the planner takes it, without mailboxes and e-mails. Raises ValueError if it is unusable."""
    return planner.Campaign(
        id=row.id,
        window=window_of(row, frozen),
        delay=planner.interval(row.delay_seconds, "delay"),
        daily_limit=row.daily_limit,
        mailbox_ids=(),
        used={},
        last_start=row.last_start_at,
        emails=(),
        until=None,
        new_per_day=row.new_leads_per_day,
        follow_up_share=row.follow_up_share,
    )


def mailbox(
    row: Mailbox, used: Mapping[date, int] | None = None, ceilings: Sequence[planner.Ceiling] = ()
) -> planner.Mailbox:
    """A mailbox as the planner takes it. Raises ValueError if its settings are unusable.

    used: Warsaw day -> e-mails that already count. ceilings: the provider's limits that it could reach.
    """
    return planner.Mailbox(
        id=row.id,
        daily_limit=row.daily_limit,
        gap=planner.interval(row.gap_seconds, "gap"),
        used=used or {},
        last_start=row.last_start_at,
        open_from=row.closed_until,
        ceilings=tuple(ceilings),
    )


def problem(row: Campaign | Mailbox) -> str | None:
    """Why its settings are unusable; None: they are usable."""
    try:
        campaign(row) if isinstance(row, Campaign) else mailbox(row)
    except ValueError as error:
        return str(error)
    return None


def only(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if problem(row) is None]


def problems() -> dict[tuple[str, int], str]:
    """("campaign" or "mailbox", id) -> why it is unusable; active ones only."""
    rows: list[Campaign | Mailbox] = [
        *Campaign.select().where(Campaign.status == CampaignStatus.ACTIVE).order_by(Campaign.id),
        *Mailbox.select().where(Mailbox.status == MailboxStatus.ACTIVE).order_by(Mailbox.id),
    ]
    found = {(type(row).__name__.lower(), row.id): problem(row) for row in rows}
    return {which: why for which, why in found.items() if why is not None}
