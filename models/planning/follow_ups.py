"""Plans follow-ups: each gets its time as soon as the e-mail before it was sent."""

from collections import defaultdict
from collections.abc import Sequence

from models.email.batch_moves import FollowUpSlot
from models.planning import unplanned
from models.planning.plans import Situation
from models.planning.unplanned import Unfollowed
from models.store.database import clock, execute, fetch
from scheduling import planner

# Once in so many minutes the whole past of some campaigns is looked at: an e-mail may be settled as sent after long.
_EVERY_MINUTES = 10


def due(most: int) -> list[Unfollowed]:
    """Sent e-mails of active campaigns that are to be followed and have no follow-up, in the order of their times."""
    ids, now = unplanned.sequences(), clock()
    if not ids:
        return []
    since = unplanned.unfollowed_since(ids)
    turn, is_its_turn = divmod(int(now.timestamp() // 60), _EVERY_MINUTES)
    if not is_its_turn:
        whole = unplanned.in_turn(ids, turn)
        since = {it: at for it, at in since.items() if it not in whole}
    return unplanned.follow_ups(ids, since, most)


def placed(asked: Sequence[Unfollowed], seen: Situation) -> dict[int, list[FollowUpSlot]]:
    """Campaign id -> its follow-ups with their slots. Those whose mailbox cannot be used now are left out."""
    by_plan = {it.planned: it for it in asked}
    found: defaultdict[int, list[FollowUpSlot]] = defaultdict(list)
    for planned, slot in planner.follow(seen.campaigns, seen.mailboxes, seen.taken, by_plan, seen.now):
        it = by_plan[planned]
        found[it.campaign_id].append(FollowUpSlot(it.predecessor_id, slot, it.wait_ends_at))
    return dict(found)


# The planner of the previous version needs this index in ON CONFLICT; it lets no lead have a second e-mail.
_ONE_EMAIL = "campaign_email_queue_campaign_id_campaign_lead_id"


def allow_second_emails() -> None:
    """Drop the index that lets a lead have one e-mail of a campaign, once there is a campaign that has a second step.

    From then on processes of the previous version, if any still run, plan no new e-mails; those of this version do.
    """
    if fetch("SELECT 1 FROM pg_class WHERE oid = to_regclass(%s)", (_ONE_EMAIL,)):
        execute(f"DROP INDEX CONCURRENTLY IF EXISTS {_ONE_EMAIL}")
