"""The planning steps over many campaigns: what they read, in which order they write, and whom they leave out."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from dramatiq import get_broker

from actors import plan, tick
from actors.hint import hint_due
from models.email import hints, locks
from models.health import invariants
from models.owner import campaigns, closed_days, mailboxes
from models.planning import plans, usable
from models.states import Move
from models.store import database
from models.store.tables import Campaign, CampaignEmailQueue, EmailHistory, Mailbox, WarmupCount
from models.views import overview
from scheduling import planner
from scheduling.window import Days, warsaw_day
from tests import factories as make
from tests.constraints import without_checks
from tests.waiting import BOUND

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
def watching(look: Callable[[str], object]) -> Iterator[None]:
    """Looks at each statement right before it is run."""

    def hook(query: Any) -> None:
        look(query.sql if hasattr(query, "sql") else str(query))

    database.database.query_hooks.append(hook)
    try:
        yield
    finally:
        database.database.query_hooks.remove(hook)


def beside(action: Callable[[], object]) -> None:
    """On a connection of its own."""

    def on_its_own() -> None:
        try:
            action()
        finally:
            database.close()

    thread = threading.Thread(target=on_its_own)
    thread.start()
    thread.join(BOUND)
    assert not thread.is_alive()


def late(count: int, leads: int = 3) -> list[int]:
    """Campaigns that share a mailbox and whose mails are all overdue for hours."""
    mailbox_id = make.a_mailbox()
    ids = [make.a_campaign([mailbox_id], leads=leads) for _ in range(count)]
    for campaign_id in ids:
        make.planned(campaign_id, mailbox_id, *[make.now() - timedelta(hours=2)] * leads)
    return ids


def reasons() -> dict[int, set[str | None]]:
    """Campaign -> why its mails moved."""
    moved = EmailHistory.select(EmailHistory, Q.campaign).join(Q).where(EmailHistory.move == Move.REPLAN)
    found: dict[int, set[str | None]] = {}
    for row in moved:
        found.setdefault(row.email.campaign_id, set()).add(row.reason)
    return found


class TestManyCampaignsAreLate:
    def reads(self, count: int) -> int:
        """How many statements it takes to come to the first write."""
        make.nothing_left()
        late(count)
        seen: list[str] = []
        with watching(seen.append):
            plan.replan()
        return next(place for place, sql in enumerate(seen) if "FOR NO KEY UPDATE" in sql)

    def test_are_read_in_as_many_statements_for_ten_as_for_two(self) -> None:
        assert self.reads(10) == self.reads(2)

    def test_are_looked_at_once_and_played_once(self) -> None:
        late(10)
        seen: list[str] = []

        with watching(seen.append):
            plan.replan()

        assert len([sql for sql in seen if "faults.met" in sql]) == 1
        assert set(map(str, reasons().values())) == {"{'downtime'}"}
        assert len(reasons()) == 10

    def test_keep_the_gap_of_a_mailbox_that_they_share(self) -> None:
        ids = late(4)
        Mailbox.update(gap_seconds=30.0).execute()

        plan.replan()

        at = sorted(row.scheduled_at for row in Q.select())
        assert all(after - before >= timedelta(seconds=30) for before, after in pairwise(at))
        assert len(ids) * 3 == len(at)

    def test_the_first_is_hinted_at_before_the_last_is_written(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(plan, "HINTED_AT_ONCE", 3)
        late(3)
        hinted_before: list[int] = []

        with watching(lambda sql: hinted_before.append(hinted()) if "'replan'" in sql else None):
            plan.replan()

        assert hinted_before[0] == 0
        assert all(earlier < later for earlier, later in pairwise(hinted_before))

    def test_what_changed_meanwhile_is_planned_again_in_the_same_step(self) -> None:
        first, second = late(2)
        edited: list[int] = []

        def edit(sql: str) -> None:
            if "faults.met" in sql and not edited:
                edited.append(first)
                beside(lambda: campaigns.edit(first, "ola", campaigns.Edit(delay_seconds=90.0)))

        with watching(edit):
            plan.replan()

        assert reasons() == {first: {"edited"}, second: {"downtime"}}
        assert Campaign.get_by_id(first).replan_reason is None

    def test_more_than_a_step_may_plan_is_left_to_another_tick_which_is_asked_for(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(plan, "AT_ONCE", 6)
        ids, seen = late(5), list[str]()

        with watching(seen.append):
            plan.replan()

        assert len(reasons()) == 2
        assert [sql for sql in seen if "pg_notify" in sql]
        plan.replan()
        plan.replan()
        assert sorted(reasons()) == ids

    def test_one_whose_row_is_held_by_another_does_not_stop_the_others(self) -> None:
        first, second = late(2)
        is_held, may_go = threading.Event(), threading.Event()

        def hold() -> None:
            with database.database.atomic():
                locks.lock_campaigns([first])
                is_held.set()
                may_go.wait(BOUND)
            database.close()

        holder = threading.Thread(target=hold)
        holder.start()
        try:
            assert is_held.wait(BOUND)
            database.execute("SET lock_timeout = '200ms'")
            plan.replan()
        finally:
            may_go.set()
            holder.join(BOUND)
            database.close()

        assert list(reasons()) == [second]

    def test_whose_first_mail_may_be_sent_is_planned_again_for_another_mailbox_that_is_full(self) -> None:
        free, full = make.a_mailbox(), make.a_mailbox()
        campaign_id = make.a_campaign([free, full], leads=2)
        make.planned(campaign_id, free, make.now() - timedelta(seconds=20))
        make.planned(campaign_id, full, make.now() - timedelta(seconds=10))
        today = warsaw_day(make.now())
        for day in (today, today + timedelta(days=1)):
            WarmupCount.create(mailbox=full, day=day, count=1000)

        assert plans.to_replan() == {campaign_id: "limit"}

    def test_one_that_no_mailbox_could_send_is_not_looked_at(self) -> None:
        late(1)
        mailboxes.pause(Mailbox.get().id, "ola")

        assert plans.to_replan() == {}


class TestATick:
    def test_hints_at_what_is_due_before_it_plans_what_is_far(self) -> None:
        make.an_email()
        make.a_campaign([make.a_mailbox()], leads=50)
        hinted_before: list[int] = []

        with watching(lambda sql: hinted_before.append(hinted()) if "'plan'" in sql else None):
            for step in tick.STEPS:
                step()

        assert hinted_before[0] == 1

    def test_hints_once_at_what_it_plans_again(self) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], leads=3, delay=60)
        ahead = [make.now() + 10 * MINUTE, make.now() + 11 * MINUTE]
        make.planned(campaign_id, mailbox_id, make.now() - timedelta(hours=2), *ahead)

        for step in tick.STEPS:
            step()

        assert len(reasons()) == 1
        assert hinted() == 3

    def test_leaves_what_is_due_later_to_the_next_one_if_that_plans_the_rest(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(plan, "AT_ONCE", 1)
        late(2, leads=1)
        make.an_email(make.now() + 10 * MINUTE)
        hints.mark(hints.soon())

        tick.tick()
        assert hinted() == 1  # the one campaign that it has planned again

        tick.tick()
        assert hinted() == 3

    def test_hints_at_what_it_planned_itself(self) -> None:
        make.a_campaign([make.a_mailbox()], leads=1)

        for step in tick.STEPS:
            step()

        assert hinted() == 1

    def test_hints_at_nothing_that_is_too_late_to_be_sent(self) -> None:
        email_id = make.an_email(make.now() - timedelta(hours=2))

        hint_due()
        assert hinted() == 0
        plan.replan()

        assert make.row(email_id).hinted_for == make.row(email_id).scheduled_at
        assert hinted() == 1

    def test_hints_at_nothing_that_an_owner_asked_to_be_planned_again(self) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id])
        make.planned(campaign_id, mailbox_id, make.now())
        campaigns.edit(campaign_id, "tests", campaigns.Edit(delay_seconds=30.0))

        assert hints.due() == []
        plan.replan()
        assert hints.soon([campaign_id]) == []  # hinted as it was written
        assert Q.get().hinted_for is not None

    def test_marks_nothing_where_there_is_nothing_to_hint_at(self) -> None:
        seen: list[str] = []

        with watching(seen.append):
            hint_due()

        assert not [sql for sql in seen if "hinted_for = hinted" in sql]


class TestManyNewCampaigns:
    def test_of_all_of_them_what_is_due_soon_is_written_before_what_is_far(self) -> None:
        mailbox_id = make.a_mailbox()
        ids = [make.a_campaign([mailbox_id], leads=20, delay=300) for _ in range(3)]

        plan.plan_new()

        written = [row.campaign_id for row in Q.select().order_by(Q.id)]
        assert len(written) == 60
        assert set(written[:9]) == set(ids)
        assert [row.scheduled_at for row in Q.select().where(Q.campaign == ids[0]).order_by(Q.id)] == sorted(
            row.scheduled_at for row in Q.select().where(Q.campaign == ids[0])
        )

    def test_a_step_plans_a_bounded_number_the_nearest_first_and_asks_for_another_tick(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(plan, "AT_ONCE", 10)
        mailbox_id = make.a_mailbox()
        ids, seen = [make.a_campaign([mailbox_id], leads=8) for _ in range(2)], list[str]()

        with watching(seen.append):
            plan.plan_new()

        assert Q.select().count() == 10
        assert {Q.select().where(Q.campaign == campaign_id).count() for campaign_id in ids} == {5}
        assert [sql for sql in seen if "pg_notify" in sql]
        plan.plan_new()
        assert Q.select().count() == 16

    def test_one_that_is_planned_to_its_horizon_is_not_looked_at(self) -> None:
        mailbox_id = make.a_mailbox()
        whole = make.a_campaign([mailbox_id], leads=2)
        make.planned(whole, mailbox_id, make.now() + timedelta(days=9))
        assert plans.wanting() == []

        Q.update(scheduled_at=make.now() + MINUTE).execute()

        assert plans.wanting() == [whole]

    def test_nothing_to_plan_reads_no_pending_mail(self) -> None:
        mailbox_id = make.a_mailbox()
        make.planned(make.a_campaign([mailbox_id], leads=1), mailbox_id, make.now() + MINUTE)
        seen: list[str] = []

        with watching(seen.append):
            plan.plan_new()

        assert not [sql for sql in seen if sql in (plans.TAKEN_BY, plans.TAKEN_BESIDE, plans.PENDING)]
        assert plans.situation().campaigns == []

    def test_a_mail_that_waits_for_another_attempt_holds_up_no_new_lead(self) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], leads=2)
        [deferred] = make.planned(campaign_id, mailbox_id, make.now() + timedelta(days=3))
        Q.update(attempts=1).execute()

        plan.plan_new()

        [new] = Q.select().where(Q.id != deferred)
        assert new.scheduled_at < make.now() + timedelta(minutes=5)


BAD_CAMPAIGNS: dict[str, str] = {
    "a delay without end": "delay_seconds = 1e300",
    "a delay of thousands of years": "delay_seconds = 1e12",
    "no delay": "delay_seconds = 0",
    "a delay backwards": "delay_seconds = -60",
    "a delay that is no number": "delay_seconds = 'NaN'",
    "an infinite delay": "delay_seconds = 'Infinity'",
    "an eighth day of the week": "weekdays = '{8}'",
    "no day of the week": "weekdays = '{}'",
    "a window that ends before it begins": "window_start_minute = 900, window_end_minute = 60",
    "a window beyond midnight": "window_end_minute = 3000",
    "a last start without end": "last_start_at = 'infinity'",
    "a last start in a year of five digits": "last_start_at = '20000-01-01'",
}
BAD_MAILBOXES: dict[str, str] = {
    "a gap without end": "gap_seconds = 1e300",
    "a gap of thousands of years": "gap_seconds = 1e12",
    "a gap backwards": "gap_seconds = -1",
    "a gap that is no number": "gap_seconds = 'NaN'",
    "a closing without end": "closed_until = 'infinity'",
    "a closing until a year of five digits": "closed_until = '20000-01-01'",
}
# Tables with dates, and the rows in them that belong to one campaign.
DATED = {
    "campaign": "id = %(bad)s",
    "mailbox": "id = %(box)s",
    "campaign_email_queue": "campaign_id = %(bad)s",
    "lead": "id = (SELECT min(id) FROM lead)",
    "hold": "true",
    "frozen_days": "true",
    "warmup_count": "true",
}


@pytest.fixture
def unchecked(db: None) -> Iterator[None]:
    with without_checks("campaign", "mailbox"):
        yield
    database.close()


def told() -> list[str]:
    """By the doctor and to monitoring: which rows nothing can be planned with."""
    [found] = [it for it in invariants.check() if it.rule == "the settings of campaigns and mailboxes are valid"]
    return re.findall(r"(?:campaign|mailbox) [0-9]+", found.broken_by or "")


def columns_with_dates(table: str) -> list[str]:
    """Its columns of dates and times that may hold any."""
    found: list[str] = [
        name
        for [name] in database.fetch(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = current_schema()"
            " AND table_name = %s AND data_type IN ('date', 'timestamp with time zone') ORDER BY 1",
            (table,),
        )
    ]
    assert found
    return found


class TestOneBadRow:
    """Put there by hand, past every constraint: the others are planned as if it were not there."""

    def others_slots(self, now: datetime, but: int) -> list[planner.Slot]:
        seen = plans.situation()
        slots = planner.plan(seen.campaigns, seen.mailboxes, seen.taken, now)
        return [slot for slot in slots if slot.campaign_id != but and slot.at < now + timedelta(hours=12)]

    @pytest.mark.usefixtures("unchecked")
    @pytest.mark.parametrize("change", BAD_CAMPAIGNS.values(), ids=BAD_CAMPAIGNS)
    def test_of_a_campaign_leaves_the_plans_of_the_others_as_they_are(self, change: str) -> None:
        mailbox_id, now = make.a_mailbox(gap_seconds=20.0), make.now()
        good = [make.a_campaign([mailbox_id], leads=5) for _ in range(2)]
        before = self.others_slots(now, but=0)
        bad = make.a_campaign([mailbox_id], leads=5)
        make.planned(bad, mailbox_id, now - timedelta(hours=3))
        database.execute(f"UPDATE campaign SET {change} WHERE id = {bad}")

        after = self.others_slots(now, but=bad)
        for step in tick.STEPS:
            step()

        assert after == before
        assert Q.select().where(Q.campaign.in_(good)).count() == 10
        assert Q.select().where(Q.campaign == bad).count() == 1
        assert set(usable.problems()) == {("campaign", bad)}
        assert told() == [f"campaign {bad}"]
        standings = overview.standings(campaigns.every())
        assert str(standings[bad]).startswith("cannot be planned")
        assert all(not str(standings[each]).startswith("cannot") for each in good)

    @pytest.mark.usefixtures("unchecked")
    @pytest.mark.parametrize("change", BAD_MAILBOXES.values(), ids=BAD_MAILBOXES)
    def test_of_a_mailbox_leaves_the_others_to_be_planned_with(self, change: str) -> None:
        bad, good = make.a_mailbox(), make.a_mailbox()
        with_both, with_bad = make.a_campaign([bad, good], leads=4), make.a_campaign([bad], leads=2)
        beside_it = make.a_campaign([good], leads=3)
        make.planned(with_bad, bad, make.now() - timedelta(hours=1))
        make.planned(with_both, bad, make.now() - timedelta(hours=1))
        database.execute(f"UPDATE mailbox SET {change} WHERE id = {bad}")

        for step in tick.STEPS:
            step()

        assert {row.mailbox_id for row in Q.select().where(Q.campaign == beside_it)} == {good}
        assert Q.select().where(Q.campaign == beside_it).count() == 3
        assert Q.select().where(Q.campaign == with_both).count() == 4
        assert set(usable.problems()) == {("mailbox", bad)}
        assert told() == [f"mailbox {bad}"]
        assert overview.standings(campaigns.every())[with_bad].gate in ("mailbox", "unplanned")

    @pytest.mark.parametrize(
        ("table", "far"), [*((table, "20000-01-01") for table in DATED), ("campaign_email_queue", "0044-03-15 BC")]
    )
    def test_with_dates_beyond_the_calendar_stops_no_step(self, table: str, far: str) -> None:
        box, other = make.a_mailbox(), make.a_mailbox()
        bad = make.a_campaign([box], leads=3, follow_ups=["2 days"])
        good = make.a_campaign([other], leads=3)
        _, answered = make.planned(bad, box, make.now(), make.now() + MINUTE)
        make.came_back(answered, "human")
        closed_days.freeze(Days(date(2030, 1, 1), date(2030, 1, 2)), "a feast", "tests")
        mailboxes.record_warmup(box, warsaw_day(make.now()), 2, "tests")
        far_off = ", ".join(f"{column} = %(far)s" for column in columns_with_dates(table))
        with without_checks(table):
            written = f"UPDATE {table} SET {far_off} WHERE {DATED[table]}"
            assert database.execute(written, {"far": far, "bad": bad, "box": box})

            for step in tick.STEPS:
                step()
            overview.campaigns(campaigns.every())
            invariants.check()

            assert Q.select().where(Q.campaign == good).count() == 3
        database.close()

    def test_at_which_the_planner_fails_for_a_reason_that_nobody_foresaw_is_left_out(self) -> None:
        mailbox_id = make.a_mailbox()
        bad, good = (make.a_campaign([mailbox_id], leads=3) for _ in range(2))
        tried: list[list[int]] = []

        def step(ids: Any) -> None:
            tried.append(list(ids))
            if bad in ids:
                raise planner.Unplannable(bad)

        plan._without_failing([bad, good], step)

        assert tried == [[bad, good], [good]]
