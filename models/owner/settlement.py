"""A person's decision about an unknown e-mail."""

from datetime import datetime, timedelta

import config
from bounds import LONGEST_REASON
from models.email import locks, moves
from models.planning import refusals
from models.states import CampaignStatus, Status
from models.store import tick_request
from models.store.database import clock, database
from models.store.tables import Campaign, CampaignEmailQueue
from reasons import Code, Reason, Why


class SettlementRefused(Exception):
    """The e-mail cannot be decided, or not in this way, or not yet."""

    def __init__(self, because: Reason) -> None:
        super().__init__(str(because))
        self.because = because


def sent(email_id: int, reason: Why, by: str) -> None:
    """Decide that it was sent."""
    _check_reason(reason)
    if not moves.settle_as_sent(email_id, reason, by):
        raise SettlementRefused(_not_unknown(locks.lock_email(email_id)))


def again(email_id: int, reason: str, by: str) -> None:
    """Decide to send it again, at the risk that the lead gets it twice."""
    _check_reason(reason)
    with database.atomic():
        row = locks.lock_around(email_id)
        if refusal := _refusal(row):
            raise SettlementRefused(refusal)
        moves.settle_to_send_again(email_id, refusals.retry_moment(email_id, not_before=clock()), reason, by)
        tick_request.ask_for_tick()


def may_send_again_from(handed_over_at: datetime) -> datetime:
    """Before this time its worker may still get the server's answer."""
    return handed_over_at + timedelta(seconds=config.settings().sending.answer_lease_seconds)


def _refusal(row: CampaignEmailQueue) -> Reason | None:
    if row.status != Status.UNKNOWN:
        return _not_unknown(row)
    if row.skipped:
        return Reason(Code.STEP_REMOVED)
    until = may_send_again_from(row.handed_over_at)
    if clock() < until:
        return Reason(Code.ANSWER_MAY_COME, until=until)
    if Campaign.get_by_id(row.campaign_id).status in (CampaignStatus.CANCELLED, CampaignStatus.COMPLETED):
        return Reason(Code.ITS_CAMPAIGN_ENDED)
    return None


def _check_reason(why: Why) -> None:
    reason = str(why)
    if not reason.strip():
        raise SettlementRefused(Reason(Code.RULING_NEEDS_REASON))
    if len(reason) > LONGEST_REASON:
        raise SettlementRefused(Reason(Code.REASON_TOO_LONG, most=LONGEST_REASON))


def _not_unknown(row: CampaignEmailQueue) -> Reason:
    return Reason(Code.ONLY_UNKNOWN, id=row.id, status=row.status)
