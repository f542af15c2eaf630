"""Today's lines: which mails stand on them, where, and what became of those that moved."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import uuid4

import pytest

from actors.plan import replan
from models.email import batch_moves, moves
from models.owner import campaigns, mailboxes
from models.states import Status
from models.store.tables import CampaignEmailQueue, EmailHistory, Mailbox
from models.views import mails, overview, today
from models.views.today import CampaignDay
from reasons import Code, Reason
from scheduling.window import Window, warsaw_day, warsaw_day_bounds
from tests import factories as make

pytestmark = pytest.mark.usefixtures("db")
Q = CampaignEmailQueue
SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)


def noon() -> datetime:
    """The middle of the day that it is, so that no test's minutes reach into another."""
    begin, end = warsaw_day_bounds(warsaw_day(make.now()))
    return begin + (end - begin) / 2


def line_of(campaign_id: int, now: datetime | None = None) -> CampaignDay:
    """With its marks."""
    rows, now = [campaigns.get(campaign_id)], now or noon()
    [line] = today.lines(rows, overview.heads(rows), now)
    return replace(line, marks=today.marks(rows, today.whole_day(now))[campaign_id])


def stretches_of(campaign_id: int, sight: today.Sight, width: timedelta) -> list[tuple[str, datetime, int, int]]:
    found = today.stretches([campaigns.get(campaign_id)], sight, width)
    return [(it.status, it.begins, it.count, it.late) for it in found.get(campaign_id, [])]


def put(email_id: int, **columns: datetime | None) -> None:
    Q.update(columns).where(Q.id == email_id).execute()


def moved(email_id: int, to: datetime, reason: str) -> None:
    row = make.row(email_id)
    slot = make.slot(row, to)
    assert batch_moves.replan(row.campaign_id, [slot], reason, "tests") == 1


class TestTheMarks:
    def test_a_pending_mail_stands_where_it_is_planned(self) -> None:
        email_id = make.an_email(noon())

        [mark] = line_of(make.row(email_id).campaign_id).marks

        assert (mark.email_id, mark.status, mark.at, mark.moved) == (email_id, "pending", noon(), None)
        assert mark.lead.startswith("lead1@")
        assert mark.mailbox == Mailbox.get().address

    def test_one_that_was_handed_over_stands_where_that_was_not_where_it_was_planned(self) -> None:
        email_id, _ = make.in_status(Status.SENT)
        put(email_id, scheduled_at=noon(), claimed_at=noon() + SECOND, handed_over_at=noon() + 2 * SECOND)

        [mark] = line_of(make.row(email_id).campaign_id).marks

        assert (mark.at, mark.scheduled_at) == (noon() + 2 * SECOND, noon())

    @pytest.mark.parametrize("began", [SECOND, DAY])
    def test_one_that_failed_stands_where_it_was_planned_whenever_its_attempt_began(self, began: timedelta) -> None:
        email_id = make.an_email()
        moves.reject(make.claimed(email_id).held, make.no(550))
        put(email_id, scheduled_at=noon(), claimed_at=noon() + began)

        [mark] = line_of(make.row(email_id).campaign_id).marks

        assert (mark.status, mark.at) == ("failed", noon())
        [its_day] = mails.days(make.row(email_id).campaign_id)
        assert (its_day.day, its_day.failed) == (warsaw_day(noon()), 1)

    @pytest.mark.parametrize("status", Status)
    def test_a_mail_in_any_status_has_one(self, status: Status) -> None:
        email_id, _ = make.in_status(status)

        line = line_of(make.row(email_id).campaign_id)

        assert [(mark.email_id, mark.status) for mark in line.marks] == [(email_id, status)]
        assert line.not_drawn == 0

    def test_one_that_left_after_midnight_stands_on_the_day_on_which_it_counts(self) -> None:
        begin, _ = warsaw_day_bounds(warsaw_day(make.now()))
        late, _ = make.in_status(Status.SENT)
        put(late, scheduled_at=begin - SECOND, claimed_at=begin, handed_over_at=begin)
        early, _ = make.in_status(Status.SENT)
        put(early, scheduled_at=begin, claimed_at=begin - SECOND, handed_over_at=begin - SECOND)

        lines = [line_of(make.row(email_id).campaign_id) for email_id in (late, early)]

        assert [[mark.email_id for mark in line.marks] for line in lines] == [[late], []]
        used = overview.campaigns([campaigns.get(line.campaign.id) for line in lines])
        assert [line.used_today for line in used] == [1, 0]

    def test_those_of_tomorrow_have_none(self) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id])
        _, end = warsaw_day_bounds(warsaw_day(make.now()))
        make.planned(campaign_id, mailbox_id, end)

        assert line_of(campaign_id).marks == []

    def test_they_are_in_the_order_of_their_places_each_on_its_own_line(self) -> None:
        mailbox_id = make.a_mailbox()
        ids = [make.a_campaign([mailbox_id], leads=2) for _ in range(2)]
        for campaign_id in ids:
            make.planned(campaign_id, mailbox_id, noon() + MINUTE, noon())

        _, lines = today.now_and_lines([campaigns.get(campaign_id) for campaign_id in reversed(ids)])

        assert [line.campaign.id for line in lines] == ids[::-1]
        assert [[mark.at for mark in line.marks] for line in lines] == [[noon(), noon() + MINUTE]] * 2


class TestLateness:
    @pytest.mark.parametrize(("waits", "is_late"), [(59, False), (61, True)])
    def test_a_mail_that_waits_for_more_than_a_minute_is_late(self, waits: int, is_late: bool) -> None:
        email_id = make.an_email(noon())

        [mark] = line_of(make.row(email_id).campaign_id, now=noon() + waits * SECOND).marks

        assert mark.late is is_late

    @pytest.mark.parametrize(("after", "is_late"), [(59, False), (61, True)])
    def test_one_that_was_started_is_late_by_its_start_however_long_its_server_took(
        self, after: int, is_late: bool
    ) -> None:
        email_id, _ = make.in_status(Status.SENT)
        started = noon() + after * SECOND
        put(email_id, scheduled_at=noon(), claimed_at=started, handed_over_at=started + 2 * MINUTE)

        [mark] = line_of(make.row(email_id).campaign_id).marks

        assert mark.late is is_late

    def test_one_that_will_never_start_is_not_late(self) -> None:
        email_id, _ = make.in_status(Status.CANCELLED)
        put(email_id, scheduled_at=noon() - 60 * MINUTE)

        [mark] = line_of(make.row(email_id).campaign_id).marks

        assert not mark.late


class TestOverdue:
    """Pending e-mails from before this day."""

    def overdue(self, before: timedelta = SECOND) -> tuple[int, int, datetime]:
        """Its campaign, its id, and the day's first moment."""
        begin, _ = warsaw_day_bounds(warsaw_day(make.now()))
        email_id = make.an_email(begin - before)
        return make.row(email_id).campaign_id, email_id, begin

    @pytest.mark.parametrize("before", [2 * MINUTE, 30 * DAY])
    def test_one_belongs_to_today_and_is_late(self, before: timedelta) -> None:
        campaign_id, email_id, begin = self.overdue(before)

        [mark] = line_of(campaign_id, begin + 5 * MINUTE).marks

        assert (mark.email_id, mark.at, mark.late) == (email_id, begin - before, True)
        assert today.counts([campaigns.get(campaign_id)], begin + 5 * MINUTE) == {campaign_id: {"pending": 1}}

    def test_it_is_counted_in_a_stretch_before_the_day(self) -> None:
        campaign_id, _, begin = self.overdue(3 * DAY)

        found = stretches_of(campaign_id, today.whole_day(noon()), 15 * MINUTE)

        assert found == [("pending", begin - 15 * MINUTE, 1, 1)]

    def test_around_midnight_it_stands_where_it_was_planned(self) -> None:
        campaign_id, _, begin = self.overdue(2 * MINUTE)
        now = begin + 5 * MINUTE

        found = stretches_of(campaign_id, today.between(now - 20 * MINUTE, now + 40 * MINUTE, now), MINUTE)

        assert found == [("pending", begin - 2 * MINUTE, 1, 1)]

    def test_what_is_not_around_now_is_not_there(self) -> None:
        campaign_id, _, _ = self.overdue()

        assert stretches_of(campaign_id, today.between(noon() - MINUTE, noon() + MINUTE, noon()), MINUTE) == []

    def test_what_a_paused_campaign_holds_is_not_overdue(self) -> None:
        campaign_id, _, _ = self.overdue()
        campaigns.pause(campaign_id, "tests")

        assert line_of(campaign_id).marks == []
        assert today.counts([campaigns.get(campaign_id)]) == {}

    @pytest.mark.parametrize("status", sorted(set(Status) - {Status.PENDING}))
    def test_what_is_done_stays_on_its_own_day(self, status: Status) -> None:
        email_id, _ = make.in_status(status)
        begin, _ = warsaw_day_bounds(warsaw_day(make.now()))
        claimed = None if make.row(email_id).claimed_at is None else begin - SECOND
        handed_over = None if make.row(email_id).handed_over_at is None else begin - SECOND
        put(email_id, scheduled_at=begin - SECOND, claimed_at=claimed, handed_over_at=handed_over)

        assert line_of(make.row(email_id).campaign_id).marks == []

    def test_it_stays_on_its_own_day_in_a_campaigns_days(self) -> None:
        campaign_id, _, begin = self.overdue()

        assert [it.day for it in mails.days(campaign_id)] == [warsaw_day(begin - SECOND)]


class TestStretches:
    def test_count_what_stands_in_each_by_status(self) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], leads=4)
        make.planned(campaign_id, mailbox_id, *(noon() + each * MINUTE for each in (0, 1, 14, 15)))
        sent = Q.get(Q.scheduled_at == noon() + MINUTE)
        Q.update(
            status="sent", claim_token=uuid4(), claimed_at=noon(), handed_over_at=noon() + 16 * MINUTE, sent_at=noon()
        ).where(Q.id == sent.id).execute()

        found = stretches_of(campaign_id, today.whole_day(noon() + 2 * MINUTE), 15 * MINUTE)

        later = noon() + 15 * MINUTE
        assert found == [("pending", noon(), 2, 1), ("pending", later, 1, 0), ("sent", later, 1, 0)]
        assert today.by_status(
            today.stretches([campaigns.get(campaign_id)], today.whole_day(noon()), MINUTE)[campaign_id]
        ) == {
            "pending": 3,
            "sent": 1,
        }

    def test_moves_within_the_day_are_counted_once_an_email_by_the_latest(self) -> None:
        email_id = make.an_email(noon())
        moved(email_id, noon() + MINUTE, "downtime")
        moved(email_id, noon() + 2 * MINUTE, "mailbox")
        campaign_id = make.row(email_id).campaign_id

        assert today.moved_within([campaign_id], noon()) == {campaign_id: {Reason(Code.MAILBOX): 1}}
        moved(email_id, noon() + DAY, "limit")
        assert today.moved_within([campaign_id], noon()) == {}


class TestMoves:
    def test_a_mark_shows_the_latest_move_of_its_time_and_why(self) -> None:
        email_id = make.an_email(noon())
        moved(email_id, noon() + MINUTE, "downtime")
        moved(email_id, noon() + 3 * MINUTE, "mailbox")

        [mark] = line_of(make.row(email_id).campaign_id).marks

        assert mark.moved == today.TimeChange(noon() + MINUTE, noon() + 3 * MINUTE, "mailbox", Reason(Code.MAILBOX))

    def test_what_kept_its_time_has_not_moved(self) -> None:
        email_id = make.an_email()
        moves.release(make.claimed(email_id).held, "withdrawn")

        [mark] = line_of(make.row(email_id).campaign_id).marks

        assert mark.moved is None

    def test_a_retry_is_a_move_with_the_servers_words(self) -> None:
        email_id = make.an_email(make.now())
        claim = make.claimed(email_id)
        at = claim.scheduled_at
        moves.retry(claim.held, at + SECOND, make.later(450, "busy"))

        [mark] = line_of(make.row(email_id).campaign_id).marks

        assert mark.moved == today.TimeChange(at, at + SECOND, "450 busy", Reason(Code.ANSWER, answer="450 busy"))

    def test_a_mail_that_moved_to_another_day_is_told_of_on_the_line_it_left(self) -> None:
        email_id = make.an_email(noon())
        moved(email_id, noon() + DAY, "limit")

        line = line_of(make.row(email_id).campaign_id)

        assert line.marks == []
        [away] = line.moved_away
        assert (away.email_id, away.at_from, away.at_to, away.reason) == (email_id, noon(), noon() + DAY, "limit")
        assert away.lead.startswith("lead1@")

    def test_one_that_came_back_is_not_away(self) -> None:
        email_id = make.an_email(noon())
        moved(email_id, noon() + DAY, "limit")
        moved(email_id, noon() + MINUTE, "edited")

        line = line_of(make.row(email_id).campaign_id)

        assert [mark.email_id for mark in line.marks] == [email_id]
        assert line.moved_away == []

    def test_one_that_was_sent_today_after_all_is_not_away(self) -> None:
        email_id, _ = make.in_status(Status.SENT)
        put(email_id, scheduled_at=noon() + DAY)
        EmailHistory.update(move="replan", scheduled_from=noon(), scheduled_to=noon() + DAY, reason="limit").where(
            EmailHistory.move == "hand_over"
        ).execute()

        line = line_of(make.row(email_id).campaign_id)

        assert [mark.email_id for mark in line.marks] == [email_id]
        assert line.moved_away == []

    def test_what_the_product_itself_moves_is_seen_with_its_reason(self) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id])
        make.planned(campaign_id, mailbox_id, noon())
        mailboxes.close(mailbox_id, "421 busy", lambda faults: 2 * DAY)

        replan()

        [away] = line_of(campaign_id).moved_away
        assert away.reason == "mailbox"


class TestOpeningHours:
    def test_they_are_those_of_this_warsaw_day(self) -> None:
        date = warsaw_day(make.now())
        campaign_id = make.a_campaign([make.a_mailbox()], window=Window(60, 120, frozenset({date.weekday()})))
        begin, _ = warsaw_day_bounds(date)

        line = line_of(campaign_id)

        assert line.opens is not None
        assert line.closes is not None
        assert timedelta(0) <= line.opens - begin <= timedelta(hours=2)
        assert line.opens < line.closes <= line.opens + timedelta(hours=2)

    def test_a_day_that_is_closed_has_none(self) -> None:
        tomorrow = (warsaw_day(make.now()).weekday() + 1) % 7
        campaign_id = make.a_campaign([make.a_mailbox()], window=Window(0, 1440, frozenset({tomorrow})))

        line = line_of(campaign_id)

        assert (line.opens, line.closes) == (None, None)


class TestTheDaysCounts:
    def test_are_of_what_stands_on_this_day_by_campaign_and_status(self, db: None) -> None:
        email_id, _ = make.in_status(Status.SENT)
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], leads=2)
        make.planned(campaign_id, mailbox_id, make.now(), make.now() + timedelta(days=2))
        without = make.a_campaign([mailbox_id])

        found = today.counts(campaigns.every())

        assert found == {make.row(email_id).campaign_id: {"sent": 1}, campaign_id: {"pending": 1}}
        assert without not in found
