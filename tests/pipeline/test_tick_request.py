"""Whoever gives an order need not wait for the minute: the running timekeeper hears of it."""

from models.owner import campaigns
from models.store import database
from models.store.tables import CampaignEmailQueue
from tests import factories as make
from tests.pipeline.conftest import Punktual
from tests.waiting import until

Q = CampaignEmailQueue
LISTENERS = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND query ILIKE 'LISTEN punktual_tick' AND state = 'idle' AND pid <> %s
"""


def listener(besides: int = 0) -> int:
    """The connection on which the timekeeper listens."""
    until(lambda: database.fetch(LISTENERS, (besides,)), "the timekeeper to listen")
    found: int = database.fetch(LISTENERS, (besides,))[0][0]
    return found


def a_draft(punktual: Punktual) -> int:
    return make.a_campaign([punktual.mailbox()], active=False)


def is_planned(campaign_id: int) -> bool:
    return bool(Q.select().where(Q.campaign == campaign_id).exists())


def test_a_started_campaign_is_planned_at_once(punktual: Punktual) -> None:
    campaign_id = a_draft(punktual)
    punktual.run("timekeeper")
    punktual.listening("tick")
    listener()

    campaigns.start(campaign_id, "ola")

    until(lambda: is_planned(campaign_id), "its mails to be planned")


def test_a_connection_that_was_lost_is_opened_again(punktual: Punktual) -> None:
    campaign_id = a_draft(punktual)
    timekeeper = punktual.run("timekeeper")
    punktual.listening("tick")
    lost = listener()
    database.execute("SELECT pg_terminate_backend(%s)", (lost,))
    listener(besides=lost)

    campaigns.start(campaign_id, "ola")

    until(lambda: is_planned(campaign_id), "its mails to be planned")
    assert timekeeper.poll() is None


def test_an_order_that_nobody_hears_is_carried_out_by_the_next_tick(punktual: Punktual) -> None:
    campaign_id = a_draft(punktual)
    campaigns.start(campaign_id, "ola")
    punktual.run("timekeeper")
    punktual.listening("tick")
    listener()
    assert not is_planned(campaign_id)

    punktual.tick()

    until(lambda: is_planned(campaign_id), "its mails to be planned")


def test_a_worker_does_not_listen(punktual: Punktual) -> None:
    punktual.run("worker")
    punktual.listening()

    punktual.run("timekeeper")
    punktual.listening("tick")

    listener()
    assert len(database.fetch(LISTENERS, (0,))) == 1
