"""A tick does bounded work: what it reads does not grow with what stands already, and nothing is hinted at twice."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from dramatiq import Broker, Message, get_broker
from dramatiq.middleware import Middleware

from actors import tick
from actors.hint import hint_due, hint_soon
from models.email import hints
from models.owner import campaigns, mailboxes
from models.people import lead_search, suppressions
from models.planning import plans, unplanned
from models.store import database
from models.store.tables import CampaignEmailQueue, CampaignMailbox, EmailHistory
from tests import factories as make
from tests.million import Plan

Q = CampaignEmailQueue
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def nothing_hinted(db: None) -> Iterator[None]:
    get_broker().flush_all()
    yield
    get_broker().flush_all()


def hinted() -> int:
    return sum(get_broker().queues[name].qsize() for name in ("deliver", "deliver.DQ"))


@contextmanager
def statements() -> Iterator[list[str]]:
    seen: list[str] = []

    def hook(query: Any) -> None:
        seen.append(query.sql if hasattr(query, "sql") else str(query))

    database.database.query_hooks.append(hook)
    try:
        yield seen
    finally:
        database.database.query_hooks.remove(hook)


def all_planned(leads: int = 3) -> int:
    """A campaign whose leads all have their times, within the planning horizon and beyond the buffer."""
    mailbox_id = make.a_mailbox()
    campaign_id = make.a_campaign([mailbox_id], leads=leads)
    make.planned(
        campaign_id, mailbox_id, *[make.now() + timedelta(hours=1) + number * MINUTE for number in range(leads)]
    )
    return campaign_id


def never_planned(email_id: int) -> None:
    EmailHistory.delete().where(EmailHistory.email == email_id).execute()
    Q.delete().where(Q.id == email_id).execute()


class TestASteadyTick:
    """Nothing is due, nothing to plan, and every lead is searchable."""

    def takes(self, count: int) -> list[str]:
        make.nothing_left()
        for _ in range(count):
            all_planned()
        while lead_search.waiting():
            lead_search.make_leads_searchable()
        with statements() as seen:
            for step in tick.STEPS:
                step()
        return seen

    def test_takes_as_many_statements_for_twenty_campaigns_as_for_two(self) -> None:
        self.takes(2)  # some are run once a session

        assert len(self.takes(20)) == len(self.takes(2))

    def test_reads_no_lead_and_no_planned_mail(self) -> None:
        seen = self.takes(2)

        read = (unplanned.UNPLANNED, plans.TAKEN_BY, plans.TAKEN_BESIDE, plans.PENDING)
        assert [sql for sql in seen if sql in read] == []

    def test_finds_a_campaign_with_a_lead_behind_its_last_planned_one(self) -> None:
        campaign_id = all_planned()
        all_planned()
        assert plans.wanting() == []
        last = Q.select().where(Q.campaign == campaign_id).order_by(Q.campaign_lead.desc()).get()

        never_planned(last.id)

        assert plans.wanting() == [campaign_id]


# What was sent lies in the past and what is pending ahead; Postgres's statistics do not know that.
HISTORY = """
SET LOCAL session_replication_role = replica;
INSERT INTO campaign_lead (campaign_id, lead_id, position, address, fields)
SELECT c, n, n, 'someone', '{}' FROM generate_series(1000, 16000) n CROSS JOIN unnest(ARRAY[%(running)s, %(ended)s]) c;
INSERT INTO campaign_email_queue (campaign_id, campaign_lead_id, step_id, mailbox_id, scheduled_at, message_id)
SELECT campaign_id, id, 1, %(mailbox)s, now() + interval '2 days' + position * interval '1 second', id
FROM campaign_lead WHERE position >= 1000 AND campaign_id = %(running)s;
INSERT INTO campaign_email_queue
    (campaign_id, campaign_lead_id, step_id, mailbox_id, status, scheduled_at, hinted_for, message_id, claim_token,
     claimed_at, worker_host, worker_pid, worker_started_at, handed_over_at, sent_at)
SELECT campaign_id, id, 1, %(mailbox)s, 'sent', at, at, id, gen_random_uuid(), at, 'host', 1, 1.0, at, at
FROM campaign_lead CROSS JOIN LATERAL (SELECT now() - interval '2 days' - position * interval '1 second' AS at) times
WHERE position >= 1000 AND campaign_id = %(ended)s;
UPDATE campaign SET status = 'completed' WHERE id = %(ended)s;
"""


@pytest.mark.slow
class TestALongHistory:
    @pytest.mark.parametrize("read", [hints.soon, hints.due, hints.lost, plans.to_replan, plans.wanting])
    def test_is_not_read(
        self, plans_of: Callable[[Callable[[], object]], list[Plan]], read: Callable[[], object]
    ) -> None:
        mailbox_id = make.a_mailbox()
        running, ended = (make.a_campaign([mailbox_id], leads=1) for _ in range(2))
        with database.database.atomic():
            database.execute(HISTORY, {"running": running, "ended": ended, "mailbox": mailbox_id})
        database.execute("VACUUM ANALYZE")
        # As tempting as it is with millions of rows.
        database.execute("SET min_parallel_table_scan_size = 0; SET parallel_setup_cost = 0; SET random_page_cost = 8")

        found = plans_of(read)

        assert [it.sql for it in found if "campaign_email_queue" in it.read_from_end_to_end] == []
        assert sum(it.rows_examined for it in found) < 1000


class TestLeadsThatWerePassedOver:
    """They have been suppressed when the others were planned, and are not any more."""

    def one(self, number: int) -> int:
        address = f"passed.over.{number}@leads.example"
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], leads=[address, f"planned.{number}@leads.example"])
        suppressions.add(address, "by mistake", "tests")
        first, _ = make.planned(campaign_id, mailbox_id, make.now() + MINUTE, make.now() + 2 * MINUTE)
        never_planned(first)
        suppressions.remove(address, "tests")
        return campaign_id

    def test_are_found_in_few_campaigns_at_once(self) -> None:
        ids = [self.one(number) for number in range(3)]

        assert plans.wanting() == ids

    def test_are_looked_for_in_many_campaigns_by_turns_of_which_each_gets_its_own(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ids = [self.one(number) for number in range(5)]
        monkeypatch.setattr(unplanned, "_COUNTED_AT_ONCE", 4)

        found = [unplanned.some_left(ids, turn) for turn in range(7, 10)]

        assert sorted(map(len, found)) == [1, 2, 2]
        assert sorted(campaign_id for each in found for campaign_id in each) == ids


class TestHints:
    def due(self, count: int, at: timedelta = MINUTE) -> list[int]:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], leads=count)
        return make.planned(campaign_id, mailbox_id, *[make.now() + at] * count)

    @pytest.fixture(autouse=True)
    def in_twos(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(hints, "AT_ONCE", 2)

    def test_are_published_for_all_that_is_due_soon(self) -> None:
        self.due(7)

        with statements() as seen:
            hint_due()

        assert hinted() == 7
        assert hints.due() == []
        assert not [sql for sql in seen if "pg_notify" in sql]

    def test_that_are_too_many_for_a_step_are_left_to_another_tick_which_is_asked_for(self) -> None:
        self.due(11)

        with statements() as seen:
            hint_due()

        assert hinted() == 8
        assert [sql for sql in seen if "pg_notify" in sql]
        hint_due()
        assert hinted() == 11

    def test_of_overdue_mails_are_published_again_a_few_at_a_time_and_keep_no_other_waiting(self) -> None:
        late = self.due(5, -2 * MINUTE)
        hint_soon()
        get_broker().flush_all()
        [new] = self.due(1)

        hint_soon()

        assert hinted() == 1 + 2
        assert make.row(new).hinted_for is not None
        assert {hint.email_id for hint in hints.lost()} <= set(late)

    def test_of_overdue_mails_are_published_before_those_of_mails_that_have_minutes_left(self) -> None:
        overdue = self.due(1, -2 * MINUTE)
        hint_soon()
        get_broker().flush_all()
        self.due(5)
        published = Published()
        get_broker().add_middleware(published)
        try:
            hint_soon()
        finally:
            get_broker().middleware.remove(published)

        assert published.email_ids[:1] == overdue
        assert len(published.email_ids) == 6


class Published(Middleware):
    """The e-mails at which was hinted, in this order."""

    def __init__(self) -> None:
        self.email_ids: list[int] = []

    def after_enqueue(self, broker: Broker, message: Message[Any], delay: int | None) -> None:
        self.email_ids.append(message.args[0])


UNUSABLE: dict[str, Callable[[int, int], object]] = {
    "is paused": lambda campaign_id, mailbox_id: mailboxes.pause(mailbox_id, "tests"),
    "is closed until after their time": lambda campaign_id, mailbox_id: mailboxes.close(
        mailbox_id, "421", lambda faults: timedelta(hours=3)
    ),
    "does not take the campaign's letter": lambda campaign_id, mailbox_id: (
        CampaignMailbox.update(closed_reason="too large")
        .where(CampaignMailbox.campaign == campaign_id, CampaignMailbox.mailbox == mailbox_id)
        .execute()
    ),
}


class TestMailsWhoseMailbox:
    def on(self, mailbox_id: int, other: int, at: timedelta = timedelta(hours=2)) -> int:
        campaign_id = make.a_campaign([mailbox_id, other], leads=1)
        make.planned(campaign_id, mailbox_id, make.now() + at)
        return campaign_id

    @pytest.mark.parametrize("close", UNUSABLE.values(), ids=UNUSABLE)
    def test_is_planned_again_and_no_other_campaign(self, close: Callable[[int, int], object]) -> None:
        mailbox_id, other = make.a_mailbox(), make.a_mailbox()
        campaign_id, beside = self.on(mailbox_id, other), self.on(other, make.a_mailbox())

        close(campaign_id, mailbox_id)

        assert plans.to_replan() == {campaign_id: "mailbox"}
        assert beside not in plans.to_replan()

    def test_opens_before_their_time_stay(self) -> None:
        mailbox_id, other = make.a_mailbox(), make.a_mailbox()
        self.on(mailbox_id, other)

        mailboxes.close(mailbox_id, "421", lambda faults: timedelta(hours=1))

        assert plans.to_replan() == {}

    def test_is_not_their_campaigns_are_planned_again_once_they_are_due_soon(self) -> None:
        near, far = self.on(make.a_mailbox(), make.a_mailbox(), MINUTE), self.on(make.a_mailbox(), make.a_mailbox())
        strange = make.a_mailbox()

        Q.update(mailbox=strange).execute()

        assert plans.to_replan() == {near: "mailbox"}
        Q.update(scheduled_at=make.now() + MINUTE).execute()
        assert plans.to_replan() == {near: "mailbox", far: "mailbox"}

    def test_is_paused_stay_where_their_campaign_is_paused_too(self) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = self.on(mailbox_id, make.a_mailbox())
        campaigns.pause(campaign_id, "tests")

        mailboxes.pause(mailbox_id, "tests")

        assert plans.to_replan() == {}
