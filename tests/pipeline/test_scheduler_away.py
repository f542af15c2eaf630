"""One tick is enough for a quarter of an hour: what happens while nobody ticks, or two do."""

from datetime import UTC, datetime, timedelta

from dramatiq import Message

from actors.hint import AHEAD
from models.health import heartbeats
from models.states import Move, Status
from models.store.tables import CampaignEmailQueue, EmailHistory
from tests import factories as make
from tests.pipeline.conftest import Punktual
from tests.waiting import until

Q = CampaignEmailQueue
# A slow machine may make an ETA late; a wrong time would be wrong by more.
ABOUT = timedelta(minutes=1)


class TestTheTimekeeperIsAway:
    def test_one_tick_hints_at_all_that_is_due_within_a_quarter_of_an_hour_each_for_its_time(
        self, punktual: Punktual
    ) -> None:
        soon = [timedelta(minutes=2), timedelta(minutes=5), timedelta(minutes=14)]
        ids = planned(punktual, *soon, timedelta(minutes=17), timedelta(hours=2))

        punktual.run("timekeeper")
        punktual.tick()

        until(lambda: heartbeats.last("tick"), "the tick")
        hinted = {message.args[0]: message for message in waiting(punktual)}
        assert sorted(hinted) == ids[:3]
        for email_id, message in hinted.items():
            scheduled_at = make.row(email_id).scheduled_at
            eta = datetime.fromtimestamp(message.options["eta"] / 1000, UTC)
            assert message.args[1] == round(scheduled_at.timestamp() * 1000)
            assert scheduled_at - AHEAD <= eta < scheduled_at + ABOUT
        marks = [(row.hinted_for == row.scheduled_at) for row in Q.select().order_by(Q.id)]
        assert marks == [True, True, True, False, False]

    def test_what_it_hinted_at_before_it_died_leaves_at_its_time_and_none_is_planned_again(
        self, punktual: Punktual
    ) -> None:
        ids = planned(punktual, *[timedelta(seconds=seconds) for seconds in (8, 9, 10, 11)])
        timekeeper = punktual.run("timekeeper")
        punktual.tick()
        until(lambda: heartbeats.last("tick"), "the tick")

        punktual.kill(timekeeper)
        punktual.run("worker")

        punktual.smtp.arrived(len(ids))
        until(lambda: Q.select().where(Q.status == Status.SENT).count() == len(ids), "the last answers to be recorded")
        rows = list(Q.select().order_by(Q.id))
        assert all(row.claimed_at >= row.scheduled_at for row in rows)
        assert sorted(row.message_id for row in rows) == sorted(punktual.smtp.message_ids)
        assert not EmailHistory.select().where(EmailHistory.move == Move.REPLAN).exists()


class TestTwoTimekeepers:
    def test_many_ticks_at_once_plan_each_lead_once_and_each_lead_gets_one_mail(self, punktual: Punktual) -> None:
        for _ in range(2):
            make.a_campaign([punktual.mailbox(), punktual.mailbox()], leads=40, delay=0.05)
        for _ in range(2):
            punktual.run("timekeeper")
        until(lambda: punktual.consumers("tick") == 2, "both timekeepers to listen")

        for _ in range(6):
            punktual.tick()
        until(lambda: punktual.messages()["tick"] == 0, "all ticks to be worked off")
        punktual.run("worker")
        punktual.smtp.arrived(80)

        until(lambda: Q.select().where(Q.status == Status.SENT).count() == 80, "the last answers to be recorded")
        assert EmailHistory.select().where(EmailHistory.move == Move.PLAN).count() == 80
        assert len(set(punktual.smtp.message_ids)) == len(punktual.smtp.accepted) == 80


def planned(punktual: Punktual, *after: timedelta) -> list[int]:
    mailbox_id = punktual.mailbox()
    campaign_id = make.a_campaign([mailbox_id], leads=len(after), delay=0.1)
    now = make.now()
    return make.planned(campaign_id, mailbox_id, *[now + each for each in after])


def waiting(punktual: Punktual) -> list[Message[None]]:
    """The delayed messages, which stay where they are."""
    found: list[Message[None]] = []
    with punktual.connection() as connection:
        channel = connection.channel()
        while (body := channel.basic_get("deliver.DQ")[2]) is not None:
            found.append(Message.decode(body))
    return found
