"""Finding e-mails among many: pages, persons, days."""

from datetime import timedelta
from itertools import pairwise

import pytest

from models.states import Status
from models.store.tables import CampaignEmailQueue
from models.views import mails
from models.views.mails import CursorInvalid, Page
from scheduling.window import warsaw_day, warsaw_day_bounds
from tests import factories as make

pytestmark = pytest.mark.usefixtures("db")
Q = CampaignEmailQueue
DAY = timedelta(days=1)


@pytest.fixture
def campaign_id() -> int:
    """Of seven mails, two and two at the same time, planned in no order; a foreign one stands among them."""
    mailbox_id = make.a_mailbox()
    campaign_id, at = make.a_campaign([mailbox_id], leads=7), make.now()
    make.planned(campaign_id, mailbox_id, *(at + timedelta(minutes=n) for n in (3, 1, 1, 0, 2, 2, 5)))
    make.planned(make.a_campaign([mailbox_id]), mailbox_id, at + timedelta(minutes=1))
    return campaign_id


def ids(page: Page) -> list[int]:
    return [line.id for line in page.lines]


def in_order(campaign_id: int) -> list[int]:
    return [row.id for row in Q.select().where(Q.campaign == campaign_id).order_by(Q.scheduled_at, Q.id)]


def forward(campaign_id: int, limit: int) -> list[Page]:
    pages = [mails.page(campaign_id, limit=limit)]
    while pages[-1].next:
        pages.append(mails.page(campaign_id, cursor=pages[-1].next, limit=limit))
    return pages


class TestPages:
    @pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 8])
    def test_forward_they_hold_each_mail_once_in_the_order_of_their_times(self, campaign_id: int, limit: int) -> None:
        pages = forward(campaign_id, limit)

        assert [id for page in pages for id in ids(page)] == in_order(campaign_id)
        assert all(len(page.lines) == limit for page in pages[:-1])
        assert pages[-1].lines

    @pytest.mark.parametrize("limit", [1, 2, 3, 6])
    def test_backward_they_are_the_same_pages(self, campaign_id: int, limit: int) -> None:
        pages = forward(campaign_id, limit)

        for before, after in pairwise(pages):
            assert after.previous is not None
            assert ids(mails.page(campaign_id, cursor=after.previous, limit=limit)) == ids(before)

    def test_the_first_has_none_before_it_however_it_was_reached(self, campaign_id: int) -> None:
        first = mails.page(campaign_id, limit=3)
        second = mails.page(campaign_id, cursor=first.next, limit=3)
        again = mails.page(campaign_id, cursor=second.previous, limit=3)

        assert first.previous is None
        assert again.previous is None
        assert again.next == first.next

    def test_a_mail_that_comes_between_makes_no_other_appear_twice_or_not_at_all(self, campaign_id: int) -> None:
        first = mails.page(campaign_id, limit=3)
        Q.update(scheduled_at=Q.scheduled_at - DAY).where(Q.id == in_order(campaign_id)[-1]).execute()

        rest = mails.page(campaign_id, cursor=first.next, limit=10)

        assert ids(first) + ids(rest) == in_order(campaign_id)[1:]

    def test_a_cursor_is_safe_in_an_address(self, campaign_id: int) -> None:
        cursor = mails.page(campaign_id, limit=3).next

        assert cursor is not None
        assert cursor.replace("-", "").replace("_", "").isalnum()

    @pytest.mark.parametrize(
        "cursor",
        ["", "x", "ö", "....", "PjE", "PjEuMg==", "PjEuMg\n", "PDEuLTE", "PjEuOTk5OTk5OTk5OTk5OTk5OTk5OTk5", "PiAxLjI"],
    )
    def test_what_is_no_cursor_is_refused(self, campaign_id: int, cursor: str) -> None:
        with pytest.raises(CursorInvalid):
            mails.page(campaign_id, cursor=cursor)

    def test_a_page_may_be_of_one_status(self, campaign_id: int) -> None:
        last = in_order(campaign_id)[-1]
        Q.update(status=Status.CANCELLED).where(Q.id == last).execute()

        assert ids(mails.page(campaign_id, status=Status.CANCELLED)) == [last]
        assert ids(mails.page(campaign_id, status=Status.PENDING)) == in_order(campaign_id)[:-1]

    def test_a_page_may_be_of_one_person(self) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], leads=["Anna@leads.example", "jan@leads.example"])
        anna, _ = make.planned(campaign_id, mailbox_id, make.now(), make.now())

        page = mails.page(campaign_id, lead="anna@leads.example")

        assert [(line.id, line.lead) for line in page.lines] == [(anna, "Anna@leads.example")]
        assert mails.page(campaign_id, lead="anna@elsewhere.example") == Page([], None, None)


class TestAPersonsMails:
    def test_they_are_of_all_campaigns_the_newest_first(self) -> None:
        mailbox_id, at = make.a_mailbox(), make.now()
        ids = [make.a_campaign([mailbox_id], leads=["anna@leads.example", "jan@leads.example"]) for _ in range(3)]
        found = [make.planned(campaign_id, mailbox_id, at + n * DAY)[0] for n, campaign_id in enumerate(ids)]

        assert [line.id for line in mails.find("anna@leads.example")] == found[::-1]
        assert [line.campaign_id for line in mails.find("anna@leads.example")] == ids[::-1]

    def test_nobody_knows_a_person_without_any(self) -> None:
        assert mails.find("anna@leads.example") == []


class TestDays:
    def test_each_tells_how_many_mails_stand_on_it_in_each_status(self) -> None:
        mailbox_id, today = make.a_mailbox(), warsaw_day(make.now())
        campaign_id = make.a_campaign([mailbox_id], leads=4)
        begin, end = warsaw_day_bounds(today)
        sent, failed, *_ = make.planned(campaign_id, mailbox_id, begin, begin, end - timedelta(seconds=1), end)
        make.age(sent, -(make.now() - begin))
        make.rested(campaign_id)
        make.handed_over(sent)
        Q.update(scheduled_at=begin - DAY / 2).where(Q.id == sent).execute()
        Q.update(status=Status.FAILED, error="550 no").where(Q.id == failed).execute()

        days = mails.days(campaign_id)

        assert days == [
            mails.Day(today, pending=1, sending=1, sent=0, failed=1, cancelled=0, unknown=0),
            mails.Day(warsaw_day(end), pending=1, sending=0, sent=0, failed=0, cancelled=0, unknown=0),
        ]

    def test_they_are_the_last_that_have_any_or_the_last_before_a_day(self) -> None:
        mailbox_id, at = make.a_mailbox(), make.now()
        campaign_id = make.a_campaign([mailbox_id], leads=3)
        make.planned(campaign_id, mailbox_id, at - 100 * DAY, at - 99 * DAY, at)

        [last] = mails.days(campaign_id, most=31)
        before = mails.days(campaign_id, before=last.day, most=31)

        assert last.day == warsaw_day(at)
        assert [it.day for it in before] == [warsaw_day(at - 100 * DAY), warsaw_day(at - 99 * DAY)]
        assert mails.days(campaign_id, before=before[0].day) == []

    def test_a_campaign_without_mails_has_none(self) -> None:
        assert mails.days(make.a_campaign([make.a_mailbox()])) == []
