"""A database with at least one row of everything that pages show."""

from datetime import timedelta

from models.email import moves
from models.health import calibrations
from models.owner import campaigns
from models.states import Status
from reasons import Code, Reason
from tests import factories as make


def something_of_everything() -> dict[Status, int]:
    """Status -> an e-mail in it. A campaign in each status too, and a mailbox that is closed."""
    found = {status: make.in_status(status)[0] for status in Status}
    make.age(found[Status.UNKNOWN], timedelta(hours=1))
    mailbox_id = make.a_mailbox()
    make.a_campaign([mailbox_id], active=False)
    campaigns.pause(make.a_campaign([mailbox_id]), "tests", "a holiday")
    campaigns.cancel(make.a_campaign([mailbox_id]), "tests")
    several = make.a_campaign([mailbox_id], leads=7)
    ids = make.planned(several, mailbox_id, *(make.now() + timedelta(minutes=i) for i in range(7)))
    moves.cancel(ids[0], "a test", "tests")
    for class_, kind in (("human", None), ("unclear", None), ("bounce", "address"), ("complaint", None)):
        make.came_back(found[Status.SENT], class_, kind)
    calibrated = make.a_listening_mailbox()
    calibrations.keep(calibrated, [("dkim", "missing", Reason(Code.CALIBRATION_UNSIGNED))])
    return found
