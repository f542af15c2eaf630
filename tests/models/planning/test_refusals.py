"""What the record of a refusal depends on, read in one statement: the same as read one thing after the other."""

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import uuid4

import pytest

from models.email import limits
from models.email.locks import NoSuchEmail
from models.planning import refusals, usable
from models.planning.refusals import Kind
from models.states import Status
from models.store import database
from models.store.tables import Campaign, CampaignEmailQueue, Mailbox, WarmupCount
from scheduling import planner
from scheduling.planner import Taken
from scheduling.window import Window, warsaw_day
from tests import factories as make

pytestmark = pytest.mark.usefixtures("db")
Q = CampaignEmailQueue
FREE = "SELECT id FROM {table} WHERE id = %s FOR NO KEY UPDATE SKIP LOCKED"
WORKER = {"worker_host": "testhost", "worker_pid": 1, "worker_started_at": 1.0}
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class RandomRows:
    """Two campaigns that share two mailboxes, with e-mails of every kind around now, and one that is being sent."""

    def __init__(self, seed: int) -> None:
        self.draw, self.now = random.Random(seed), make.now()
        boxes = [
            make.a_mailbox(gap_seconds=self.draw.choice([0.0, 60.0, 4000.0]), daily_limit=self.draw.randint(0, 9))
            for _ in range(2)
        ]
        campaigns = [self.campaign(boxes) for _ in range(2)]
        for box in boxes:
            self.mailbox(box)
        self.email_id, *others = [
            email_id
            for campaign_id in campaigns
            for email_id in make.planned(campaign_id, self.draw.choice(boxes), *(self.moment() for _ in range(12)))
        ]
        for email_id in others:
            self.age(email_id)
        claim = {"claimed_at": self.now, "claim_token": uuid4(), **WORKER}
        Q.update(status=Status.SENDING, attempts=1, **claim).where(Q.id == self.email_id).execute()

    def moment(self) -> datetime:
        return self.now + self.draw.uniform(-10, 40) * HOUR / 4

    def campaign(self, boxes: list[int]) -> int:
        start = self.draw.randrange(0, 1380, 30)
        window = Window(start, self.draw.randint(start + 5, 1440), frozenset(self.draw.sample(range(7), 4)))
        limit, delay = self.draw.randint(1, 12), self.draw.choice([1.0, 600.0])
        campaign_id = make.a_campaign(boxes, leads=12, window=window, limit=limit, delay=delay)
        if self.draw.random() < 0.5:
            Campaign.update(last_start_at=self.now - HOUR).where(Campaign.id == campaign_id).execute()
        return campaign_id

    def mailbox(self, mailbox_id: int) -> None:
        row = Mailbox.id == mailbox_id
        if self.draw.random() < 0.5:
            Mailbox.update(closed_until=self.now + self.draw.uniform(-1, 30) * HOUR).where(row).execute()
        if self.draw.random() < 0.5:
            Mailbox.update(last_start_at=self.now - self.draw.uniform(0, 2) * HOUR).where(row).execute()
        for day in self.draw.sample(range(-1, 4), 3):
            count = self.draw.randint(0, 9)
            WarmupCount.insert(mailbox=mailbox_id, day=warsaw_day(self.now + day * DAY), count=count).execute()

    def age(self, email_id: int) -> None:
        status = self.draw.choice([Status.PENDING, Status.PENDING, Status.SENT, Status.FAILED])
        at = self.now - self.draw.uniform(0, 30) * HOUR
        sent = {"handed_over_at": at, "sent_at": at} if status is Status.SENT else {"error": "a test"}
        Q.update(status=status, attempts=self.draw.randint(0, 1), **sent).where(Q.id == email_id).execute()


def read_one_after_the_other(email_id: int, not_before: datetime) -> datetime:
    row, today = make.row(email_id), warsaw_day(make.now())
    campaign, mailbox = Campaign.get_by_id(row.campaign_id), Mailbox.get_by_id(row.mailbox_id)
    later = WarmupCount.select().where(WarmupCount.mailbox == mailbox.id, WarmupCount.day > today)
    near = (Q.mailbox == mailbox.id) | (Q.campaign == campaign.id)
    of_campaign = limits.campaigns_used([campaign.id], today).get(campaign.id, 0)
    of_mailbox = limits.mailboxes_used([mailbox.id], today).get(mailbox.id, 0)
    return planner.retry_moment(
        replace(usable.campaign(campaign), mailbox_ids=(mailbox.id,), used={today: of_campaign}),
        usable.mailbox(mailbox, {today: of_mailbox} | {it.day: it.count for it in later}),
        [
            Taken(it.campaign_id, it.mailbox_id, it.scheduled_at, it.attempts > 0)
            for it in Q.select().where(Q.status == Status.PENDING, near, Q.id != email_id)
        ],
        not_before,
    )


class TestTheMomentOfARetry:
    @pytest.mark.slow
    def test_is_the_same_as_that_of_reads_one_after_the_other(self) -> None:
        for seed in range(25):
            it = RandomRows(seed)
            not_before = it.now + it.draw.uniform(0, 48) * HOUR

            moment = refusals.retry_moment(it.email_id, not_before)

            assert moment == read_one_after_the_other(it.email_id, not_before), seed

    def test_is_the_one_asked_for_where_nothing_is_in_its_way(self) -> None:
        email_id, not_before = make.an_email(), make.now() + HOUR

        assert refusals.retry_moment(email_id, not_before) == not_before

    def test_in_a_closed_window_is_its_next_opening(self) -> None:
        day = (warsaw_day(make.now()) + 3 * DAY).weekday()
        window = Window(0, 1440, frozenset({day}))

        moment = refusals.retry_moment(make.an_email(window=window), make.now())

        assert moment == window.next_opening(make.now())

    def test_of_an_email_that_is_not_there_is_refused(self) -> None:
        with pytest.raises(NoSuchEmail):
            refusals.retry_moment(4711, make.now())


class TestWhatIsRead:
    def test_stays_locked_until_the_transaction_ends(self) -> None:
        claim = make.claimed(make.an_email())
        rows = (
            ("campaign", claim.campaign_id),
            ("mailbox", claim.mailbox_id),
            ("campaign_email_queue", claim.held.email_id),
        )

        def locked() -> list[bool]:
            """Seen from another session."""
            try:
                return [not database.fetch(FREE.format(table=table), (id,)) for table, id in rows]
            finally:
                database.close()

        with ThreadPoolExecutor() as beside:
            with database.database.atomic():
                refusals.read(claim.held.email_id)
                inside = beside.submit(locked).result()
            after = beside.submit(locked).result()

        assert (inside, after) == ([True] * 3, [False] * 3)

    def test_is_of_the_databases_day_where_the_machines_clock_is_wrong(self) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], leads=1)
        [email_id] = make.planned(campaign_id, mailbox_id, make.now())
        for day in range(-2, 3):
            WarmupCount.insert(mailbox=mailbox_id, day=warsaw_day(make.now() + day * DAY), count=day + 5).execute()

        found = refusals.read(email_id, put_off=True, machine=lambda: make.now() - 2 * DAY)

        assert (found.mailbox_used, found.warmup_counts) == (5, [6, 7])

    def test_is_only_what_was_asked_for(self) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], leads=2)
        email_id, _ = make.planned(campaign_id, mailbox_id, make.now(), make.now())

        neither = refusals.read(email_id)
        blame, slots = refusals.read(email_id, Kind("unclear", 554, None)), refusals.read(email_id, put_off=True)

        assert (neither.emails, neither.near_times) == (None, None)
        assert (blame.emails, blame.near_times) == ([email_id], None)
        assert (slots.emails, slots.near_mailboxes) == (None, [mailbox_id])

    def test_tells_how_long_it_has_been_put_off(self) -> None:
        email_id = make.an_email()
        since = make.now() - 3 * DAY
        never = refusals.read(email_id).put_off_for
        Q.update(deferred_since=since).where(Q.id == email_id).execute()

        assert never == timedelta(0)
        assert refusals.read(email_id).put_off_for >= 3 * DAY
