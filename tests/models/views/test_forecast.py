"""What a campaign has before it."""

import pytest

from actors.plan import plan_new
from models.owner import mailboxes
from models.states import Status
from models.store.tables import CampaignEmailQueue
from models.views import forecast
from tests import factories as make

pytestmark = pytest.mark.usefixtures("db")
Q = CampaignEmailQueue


def test_a_draft_ends_with_its_last_lead() -> None:
    campaign_id = make.a_campaign([make.a_mailbox()], leads=20, active=False)

    found = forecast.future(campaign_id)

    assert len(found.slots) == 20
    assert found.ends_at == found.slots[-1].at
    assert not Q.select().exists()


def test_one_that_is_planned_whole_ends_with_its_last_mail() -> None:
    campaign_id = make.a_campaign([make.a_mailbox()], leads=20)
    plan_new()

    last = max(row.scheduled_at for row in Q.select())
    assert forecast.future(campaign_id) == forecast.Future([], last)


def test_one_with_nothing_left_to_send_has_no_end_before_it() -> None:
    email_id, _ = make.in_status(Status.SENT)

    assert forecast.future(make.row(email_id).campaign_id) == forecast.Future([], None)


def test_one_that_no_mailbox_may_send_has_none() -> None:
    mailbox_id = make.a_mailbox()
    campaign_id = make.a_campaign([mailbox_id], leads=2)
    mailboxes.pause(mailbox_id, "ola")

    assert forecast.future(campaign_id) == forecast.Future([], None)


@pytest.mark.parametrize(("most", "ends"), [(19, False), (20, True)])
def test_no_more_leads_are_looked_at_than_asked_for_and_no_end_is_said_before_the_last(most: int, ends: bool) -> None:
    campaign_id = make.a_campaign([make.a_mailbox()], leads=20, active=False)

    found = forecast.future(campaign_id, most)

    assert [it.lead_id for it in found.slots] == [it.lead_id for it in forecast.forecast(campaign_id)][:most]
    assert (found.ends_at is not None) is ends
